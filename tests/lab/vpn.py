"""Connections through a VPN, counted by what leaves beside it.

    python -m tests.lab.vpn [--connections 100] [--setups default,halves,rules]

For each way in which a VPN takes a machine's packets (vpn_world.py), half of the connections over
IPv4 and half over IPv6, to ngtcp2's server with a preferred address of both families:

- they load a file, move to a new port, and load more, while the tunnel's device goes and comes, is
  switched off and on, and loses its routes: not one datagram may leave by another interface;
- as many are opened with `interface="eth1"` or `interface="tun0"`, and are still there after two
  seconds: neither the system's better route nor the preferred address takes them away;
- as many are there before the VPN is: a second after it has come nothing of theirs leaves beside
  it.

Each setup is a process of its own, which prints one line of JSON. The exit code is 1 when a bound
does not hold (`Result.broken`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

import trioquic
from tests.certificates import Certificates
from tests.programs import find_program
from tests.servers.process import wait_until_it_answers
from trioquic.http3 import HTTP3Connection, open_http3

from .network import ROOT
from .vpn_world import PORT, PREFERRED, SERVERS, SETUPS, TUNNEL, VpnWorld

_AT_ONCE = 10
# Beside the tunnel there would be something to see after 10 ms, and a move after a second.
_OUTAGE = 0.3
_CALM = 0.5
_STAY = 2.0
# A second for the tunnel to answer, and what the kernel and this process take
_TO_ENTER = 1.2
_LONGEST = 60.0
_SIZE = 20_000


@dataclass(kw_only=True)
class Result:
    """What came of one setup."""

    setup: str
    connections: int = 0
    complete: int = 0
    """Connections that loaded everything."""
    waits: int = 0
    """How often one waited for the tunnel, and said so."""
    moves: int = 0
    preferred: int = 0
    """Connections that reached the preferred address."""
    outside: int = 0
    """Datagrams that left beside the tunnel."""
    inside: int = 0
    """Datagrams through the tunnel."""
    named: int = 0
    kept: int = 0
    """Connections that were opened on an interface by name, and stayed."""
    strays: int = 0
    """Datagrams of these on another interface."""
    early: int = 0
    entered: int = 0
    """Connections that were there before the VPN, and moved into it."""
    late: int = 0
    """Datagrams of these beside the tunnel, more than a second after it had come."""

    def broken(self) -> list[str]:
        """The bounds that do not hold. That every connection lives through all of it is none: a few
        do not, and what they did must have been inside as well."""
        bounds = {
            "nothing leaves beside the tunnel": self.outside == 0 < self.inside,
            "some connections are complete": 0 < self.complete <= self.connections,
            # one for each time that it went
            "who waits for the tunnel says so": self.waits >= 3 * self.complete,
            "the preferred address is reached": self.preferred >= self.complete,
            "who has an interface by name stays there": self.kept == self.named > 0,
            "nothing of theirs strays": self.strays == 0,
            "who was there before the VPN moves into it": self.entered == self.early > 0,
            "nothing of theirs leaves beside it then": self.late == 0,
        }
        return [what for what, holds in bounds.items() if not holds]


@asynccontextmanager
async def serve(world: VpnWorld, certs: Certificates) -> AsyncIterator[None]:
    """gtlsserver in the server's namespace, on all addresses."""
    nsenter, gtlsserver = find_program("nsenter"), find_program("gtlsserver")
    assert nsenter is not None and gtlsserver is not None
    flags = [
        "--quiet",
        f"--preferred-ipv4-addr={PREFERRED[4]}:{PORT}",
        f"--preferred-ipv6-addr=[{PREFERRED[6]}]:{PORT}",
        f"--htdocs={certs.directory}",
    ]
    files = [str(certs.server.key_file), str(certs.server.cert_file)]
    process = await trio.lowlevel.open_process(
        [nsenter, f"--net={world.server_space}", gtlsserver, *flags, "*", str(PORT), *files],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await wait_until_it_answers(SERVERS[4], PORT, process)
        yield
    finally:
        process.kill()
        await process.wait()


def _open(
    number: int, interface: str | None = None
) -> AbstractAsyncContextManager[trioquic.Connection]:
    return trioquic.open_connection(
        SERVERS[4 if number % 2 else 6],
        PORT,
        alpn=["h3"],
        server_name="localhost",
        tls=trioquic.TLSConfig(verify=False),
        interface=interface,
    )


async def load(http: HTTP3Connection) -> None:
    async with http.request("GET", f"https://localhost:{PORT}/{_SIZE}") as response:
        content = await response.read()
        assert len(content) == _SIZE


class Crowd:
    """Connections that are tried at the same time, and what they have in common."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.ready = 0
        self.waiting: set[int] = set()
        """Those that wait for the tunnel."""
        self.flapped = False
        self._news = trio.Event()

    def tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._news.wait()


async def _listen(
    number: int,
    events: trio.MemoryReceiveChannel[trioquic.PathEvent],
    result: Result,
    crowd: Crowd,
) -> None:
    async for event in events:
        if isinstance(event, trioquic.WaitingForPath) and "tunnel is gone" in event.reason:
            result.waits += 1
            crowd.waiting.add(number)
        elif isinstance(event, trioquic.Migrated):
            result.moves += 1
            if event.old is None:
                crowd.waiting.discard(number)
        elif isinstance(event, trioquic.PreferredAddressResult):
            result.preferred += event.used
        crowd.tell()


async def _try_to_stay_inside(number: int, result: Result, crowd: Crowd) -> None:
    """One that is lost leaves the others alone, and is missing in `complete`."""
    try:
        await _stay_inside(number, result, crowd)
    except* trioquic.QuicError as lost:
        print(f"{result.setup}, connection {number}: {lost.exceptions[0]!r}", file=sys.stderr)
        crowd.size -= 1
        crowd.waiting.discard(number)
        crowd.tell()


def _at_preferred(conn: trioquic.Connection) -> bool:
    path = conn.active_path
    return path is not None and path.remote[0] in PREFERRED.values()


async def _stay_inside(number: int, result: Result, crowd: Crowd) -> None:
    """One connection through the tunnel, before, during and after its flaps."""
    result.connections += 1
    async with (
        _open(number) as conn,
        conn.path_events() as events,
        open_http3(conn) as http,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_listen, number, events, result, crowd)
        await load(http)
        await conn.wait_handshake_confirmed()
        with suppress(trioquic.PathError):
            # The supervisor gives up what leads to the server's old address once it has moved to
            # the preferred one, a move of ours among them.
            await conn.migrate()
        await crowd.until(lambda: _at_preferred(conn))
        crowd.ready += 1
        crowd.tell()
        while not crowd.flapped:
            await load(http)
            await trio.sleep(0.05)
        await load(http)
        nursery.cancel_scope.cancel()
    result.complete += 1


async def _flap(world: VpnWorld, crowd: Crowd) -> None:
    """The tunnel goes in three ways, and comes back."""
    for leave in (world.disconnect_vpn, world.switch_off, world.drop_routes):
        leave()
        await crowd.until(lambda: len(crowd.waiting) == crowd.size)
        await trio.sleep(_OUTAGE)
        world.connect_vpn()
        await crowd.until(lambda: not crowd.waiting)
        await trio.sleep(_CALM)


async def _inside_series(world: VpnWorld, count: int, result: Result) -> None:
    for first in range(0, count, _AT_ONCE):
        await _some_inside(world, range(first, min(first + _AT_ONCE, count)), result)
    world.count()
    result.outside = sum(world.sent.values())
    result.inside = world.through_tunnel


async def _some_inside(world: VpnWorld, numbers: range, result: Result) -> None:
    crowd = Crowd(len(numbers))
    with trio.fail_after(_LONGEST):
        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(_try_to_stay_inside, number, result, crowd)
            await crowd.until(lambda: crowd.ready == crowd.size)
            await _flap(world, crowd)
            crowd.flapped = True


async def _stay_where_told(number: int, name: str, result: Result) -> None:
    result.named += 1
    async with _open(number, name) as conn, open_http3(conn) as http:
        await load(http)
        await conn.wait_handshake_confirmed()
        await trio.sleep(_STAY)
        await load(http)
        path = conn.active_path
        result.kept += path is not None and path.interface == name


async def _named_series(world: VpnWorld, count: int, result: Result) -> None:
    """The VPN is up: outside of it only who was told to be there."""
    for first in range(0, count, 2 * _AT_ONCE):
        with trio.fail_after(_LONGEST):
            async with trio.open_nursery() as nursery:
                for number in range(first, min(first + 2 * _AT_ONCE, count)):
                    name = ("eth1", TUNNEL)[number // 2 % 2]
                    nursery.start_soon(_stay_where_told, number, name, result)
    world.count()
    assert world.sent["eth1"] > 0, "what leaves is not seen"
    result.strays = world.sent["eth0"]


async def _enter(number: int, result: Result, crowd: Crowd) -> None:
    result.early += 1
    async with _open(number) as conn, conn.path_events() as events, open_http3(conn) as http:
        await load(http)
        await conn.wait_handshake_confirmed()
        assert not conn.in_tunnel
        crowd.ready += 1
        crowd.tell()
        async for event in events:
            if isinstance(event, trioquic.Migrated) and conn.in_tunnel:
                break
        result.entered += 1
        while not crowd.flapped:
            await load(http)
            await trio.sleep(0.05)


async def _late_series(world: VpnWorld, count: int, result: Result) -> None:
    """The VPN comes when the connections are there."""
    for first in range(0, count, _AT_ONCE):
        with trio.fail_after(_LONGEST):
            await _some_late(world, range(first, min(first + _AT_ONCE, count)), result)


async def _some_late(world: VpnWorld, numbers: range, result: Result) -> None:
    crowd = Crowd(len(numbers))
    world.disconnect_vpn()
    async with trio.open_nursery() as nursery:
        for number in numbers:
            nursery.start_soon(_enter, number, result, crowd)
        await crowd.until(lambda: crowd.ready == crowd.size)
        world.connect_vpn()
        await trio.sleep(_TO_ENTER)
        world.count()
        before = sum(world.sent.values())
        await trio.sleep(_CALM)
        crowd.flapped = True
    world.count()
    result.late += sum(world.sent.values()) - before


async def run(setup: str, count: int) -> Result:
    """Everything in one setup. This process stays in the namespaces that it makes."""
    result = Result(setup=setup)
    world = VpnWorld(setup)
    world.connect_vpn()
    with tempfile.TemporaryDirectory() as directory:
        certs = Certificates(Path(directory))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.forward)
            nursery.start_soon(world.count_for_ever)
            async with serve(world, certs):
                await _inside_series(world, count, result)
                await _named_series(world, count, result)
                await _late_series(world, count, result)
            nursery.cancel_scope.cancel()
    return result


def run_apart(setup: str, count: int) -> Result:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "tests.lab.vpn", "--here", setup, "--connections", str(count)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=600)
    return Result(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--setups", default=",".join(SETUPS))
    parser.add_argument("--here", metavar="SETUP", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(asdict(trio.run(run, options.here, options.connections))))
        return
    found = []
    for setup in options.setups.split(","):
        found.append(run_apart(setup, options.connections))
        print(found[-1], flush=True)
    end_with({result.setup: result.broken() for result in found})


def end_with(broken: dict[str, list[str]]) -> None:
    """End the process with 1 if there is a bound that does not hold; tells all of them."""
    for name, bounds in broken.items():
        for what in bounds:
            print(f"BROKEN in {name}: {what}", file=sys.stderr)
    if any(broken.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
