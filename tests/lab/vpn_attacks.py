"""What a network may do to have a connection leave its VPN, and the datagrams that did.

    python -m tests.lab.vpn_attacks [NAME ...]

Each attack is a process of its own, which makes its own namespaces (vpn_world.py) and prints one
line of JSON. Everything begins with the VPN up; a packet socket on the networks beside it counts
what leaves there. Whether a connection survives is told, too, but most attacks are of the sort that
may end one.
"""

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import trio

import trioquic
from tests.certificates import Certificates
from trioquic._runtime.system.interface_binding import OptionSocket, bind_by_name
from trioquic.http3 import open_http3

from .network import ROOT
from .vpn import end_with, load, serve
from .vpn_world import PORT, PREFERRED, SERVERS, TUNNEL, VpnWorld, ip

_SERIES: Final = 2.0
_LONGEST: Final = 40.0
# Beside the tunnel there would be something to see after 10 ms, and in a handshake after 250 ms.
_OUTAGE: Final = 0.4
_BOTH: Final = (SERVERS[6], SERVERS[4])


@dataclass(kw_only=True)
class Outcome:
    """What came of one attack."""

    attack: str
    opened: int = 0
    lost: int = 0
    """Connections that ended, or were never made."""
    loads: int = 0
    """Files that were loaded while and after the attack went on."""
    inside: int = 0
    outside: int = 0
    """Datagrams to the server through the tunnel, and beside it."""

    def broken(self) -> list[str]:
        """The bounds that do not hold. A few connections may be lost, to the server's own rules for
        instance (vpn.py)."""
        bounds = {
            "nothing leaves beside the tunnel": self.outside == 0 < self.inside,
            "files are loaded": self.loads >= self.opened > 0,
            "most connections stay": 2 * self.lost <= self.opened,
        }
        return [what for what, holds in bounds.items() if not holds]


class Attack:
    """One world, and the connections in it."""

    def __init__(self, name: str, world: VpnWorld) -> None:
        self.world = world
        self.outcome = Outcome(attack=name)
        self.chance = random.Random(name)
        self.over = trio.Event()
        self.news = trio.Event()

    async def stay(self, *addresses: str) -> None:
        """One connection that loads files until the attack is over, and one after that."""
        try:
            async with self.opening(*addresses) as conn, open_http3(conn) as http:
                self.outcome.opened += 1
                while not self.over.is_set():
                    await load(http)
                    self.outcome.loads += 1
                    self.news.set()
                    await trio.sleep(0.02)
                with trio.fail_after(10):
                    await load(http)
                self.outcome.loads += 1
        except* (trioquic.QuicError, trio.TooSlowError, OSError) as group:
            self.outcome.lost += 1
            print(f"{self.outcome.attack}: {group.exceptions[0]!r}", file=sys.stderr)

    def opening(self, *addresses: str) -> AbstractAsyncContextManager[trioquic.Connection]:
        return trioquic.open_connection(
            "localhost",
            PORT,
            alpn=["h3"],
            addresses=addresses,
            tls=trioquic.TLSConfig(verify=False),
        )

    async def until_loaded(self, files: int) -> None:
        while self.outcome.loads < files:
            self.news = trio.Event()
            await self.news.wait()

    async def until_something_left(self) -> None:
        """The first datagrams are in the tunnel."""
        before = self.world.through_tunnel
        while True:
            await trio.sleep(0.0005)
            if self.world.through_tunnel > before:
                return

    async def pause(self, longest: float) -> None:
        await trio.sleep(self.chance.uniform(0.001, longest))


async def flapping_routes(attack: Attack) -> None:
    """The tunnel's routes go and come, faster than anybody can look."""
    end = trio.current_time() + _SERIES
    while trio.current_time() < end:
        attack.world.drop_routes()
        await attack.pause(0.04)
        attack.world.connect_vpn()
        await attack.pause(0.04)


async def flapping_device(attack: Attack) -> None:
    """In each of its three ways."""
    for leave in (attack.world.disconnect_vpn, attack.world.switch_off, attack.world.drop_routes):
        leave()
        await trio.sleep(_OUTAGE)
        attack.world.connect_vpn()
        await trio.sleep(_OUTAGE)


async def renamed(attack: Attack) -> None:
    """The device gets another name, which its sockets know nothing of, and its own one back."""
    for old, new in ((TUNNEL, "office"), ("office", TUNNEL)):
        ip([f"link set {old} down", f"link set {old} name {new}", f"link set {new} up"])
        await trio.sleep(_OUTAGE)
        if new != TUNNEL:
            ip([f"address replace 10.8.0.2/24 dev {new}", f"route add default dev {new} metric 50"])
            await trio.sleep(_OUTAGE)
    attack.world.connect_vpn()
    await trio.sleep(_OUTAGE)


async def ipv6_beside(attack: Attack) -> None:
    """The tunnel takes IPv4 only, and IPv6 comes and goes beside it."""
    for _ in range(4):
        ip(["route del default via 2001:db8:1::1 dev eth0 metric 100"])
        await attack.pause(0.2)
        ip(["route add default via 2001:db8:1::1 dev eth0 metric 100"])
        await trio.sleep(_OUTAGE)
    await flapping_device(attack)


async def preferred_beside(attack: Attack) -> None:
    """The server's preferred addresses get routes beside the tunnel while they are in use."""
    ways = [
        f"route add {PREFERRED[4]}/32 via 198.19.1.1 dev eth0",
        f"-6 route add {PREFERRED[6]}/128 via 2001:db8:1::1 dev eth0",
    ]
    for _ in range(3):
        ip(ways)
        await trio.sleep(_OUTAGE)
        ip([way.replace("add", "del", 1) for way in ways])
        await attack.pause(0.1)
    ip(ways)
    await flapping_device(attack)


async def _in_mid_handshake(attack: Attack) -> None:
    """The tunnel goes when the first datagrams are in it."""
    for number in range(6):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attack.stay, *(_BOTH, (SERVERS[4],), (SERVERS[6],))[number % 3])
            await attack.until_something_left()
            await attack.pause(0.012)
            attack.world.disconnect_vpn()
            await trio.sleep(_OUTAGE)
            attack.world.connect_vpn()
            attack.over.set()
        attack.over = trio.Event()


async def old_linux(attack: Attack) -> None:
    """Nothing keeps a socket from another interface but what it asks for."""
    await flapping_routes(attack)
    await flapping_device(attack)


_IPV4: Final = ((SERVERS[4],),) * 2


@dataclass(frozen=True, kw_only=True)
class _Plan:
    setup: str
    go: Callable[[Attack], Awaitable[None]]
    old: bool = False
    """As on Linux before 5.7, without privileges: no socket can be bound to an interface."""
    connections: tuple[tuple[str, ...], ...] = ((SERVERS[4],), (SERVERS[6],), _BOTH)


ATTACKS: Final = {
    "flapping routes": _Plan(setup="default", go=flapping_routes),
    "flapping rules": _Plan(setup="rules", go=flapping_routes),
    "renamed": _Plan(setup="default", go=renamed, connections=((SERVERS[4],), _BOTH)),
    "IPv6 beside": _Plan(setup="ipv4", go=ipv6_beside, connections=((SERVERS[4],), _BOTH)),
    "preferred beside": _Plan(setup="default", go=preferred_beside),
    "one user's": _Plan(setup="users", go=flapping_device),
    "one port's": _Plan(setup="ports", go=flapping_device),
    "unnumbered": _Plan(setup="unnumbered", go=flapping_device),
    "old Linux": _Plan(setup="default", go=old_linux, connections=_IPV4, old=True),
    "in mid-handshake": _Plan(setup="default", go=_in_mid_handshake, connections=()),
}


def _refuse(sock: OptionSocket, family: int, name: str, index: int | None, /) -> None:
    raise PermissionError(1, "Operation not permitted")


async def run(name: str) -> Outcome:
    """One attack. This process stays in the namespaces that it makes."""
    plan = ATTACKS[name]
    if plan.old:
        bind_by_name.__code__ = _refuse.__code__
    attack = Attack(name, VpnWorld(plan.setup))
    world = attack.world
    world.connect_vpn()
    with tempfile.TemporaryDirectory() as directory:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.forward)
            nursery.start_soon(world.count_for_ever)
            async with serve(world, Certificates(Path(directory))):
                with trio.fail_after(_LONGEST):
                    async with trio.open_nursery() as connections:
                        for addresses in plan.connections:
                            connections.start_soon(partial(attack.stay, *addresses))
                        await attack.until_loaded(len(plan.connections))
                        await plan.go(attack)
                        attack.over.set()
            nursery.cancel_scope.cancel()
    world.count()
    attack.outcome.outside = sum(world.sent.values())
    attack.outcome.inside = world.through_tunnel
    return attack.outcome


def command(name: str) -> list[str]:
    """What runs one attack in a process of its own."""
    return [sys.executable, "-m", "tests.lab.vpn_attacks", "--here", name]


def run_apart(name: str) -> Outcome:
    """The attack in such a process."""
    done = subprocess.run(command(name), cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    return Outcome(**json.loads(done.stdout))


def main() -> None:
    if sys.argv[1:2] == ["--here"]:
        print(json.dumps(asdict(trio.run(run, sys.argv[2]))))
        return
    found = []
    for name in sys.argv[1:] or ATTACKS:
        found.append(run_apart(name))
        print(found[-1], flush=True)
    end_with({outcome.attack: outcome.broken() for outcome in found})


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
