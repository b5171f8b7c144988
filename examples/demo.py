"""A download goes on, byte for byte, while the path under it is taken away.

    make demo            (or: python -m examples.demo, with the `demo` extra installed)
    make handover        (the same, and draws a picture of it: --picture docs/handover.svg)

A real QUIC server (aioquic) serves a random file on loopback behind a relay that makes two access
links, "wifi" and "cellular". The client downloads over wifi. In the middle wifi goes dead without a
word; the client notices that nothing arrives, moves the connection to cellular and finishes there,
on the same stream. The SHA-256 tells whether every byte came.

Nobody here decides when to move. The demo only says which networks there are, as a phone would
(`ManualNetworks`); trioquic keeps the second one warm, notices that the first does not answer, asks
both, and goes where an answer comes from. On a busy machine it may find the silence too long
although nothing is wrong. Then the download moves early, and later the cut hits the link it has
moved to: always the one in use.
"""

import argparse
import hashlib
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import trio

import trioquic
from trioquic import plot

from .options import make_network
from .view import View
from .world import FILE, NAME, Access, World, build_world

ACCESSES = (
    Access("wifi", "127.0.0.1", mbit=40, rtt_ms=20),
    Access("cellular", "127.0.0.2", mbit=40, rtt_ms=40),
)
NETWORKS = [make_network(access.name, access.local) for access in ACCESSES]
BY_ADDRESS = {access.local: access for access in ACCESSES}
TIME_LIMIT = 90.0


@dataclass
class Download:
    """What has been seen so far, on trio's clock."""

    size: int
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    received: int = 0
    last_arrival: float = field(default_factory=trio.current_time)
    half_done: trio.Event = field(default_factory=trio.Event)
    cut: Access | None = None
    cut_at: float = 0.0
    rtt_at_cut: float = 0.0
    noticed_at: float = 0.0
    gap: float = 0.0
    moves: int = 0

    def add(self, chunk: bytes | bytearray) -> None:
        now = trio.current_time()
        if self.cut is not None:
            self.gap = max(self.gap, now - self.last_arrival)
        self.last_arrival = now
        self.digest.update(chunk)
        self.received += len(chunk)
        if self.received >= self.size // 2:
            self.half_done.set()


def access_of(path: trioquic.Path | None) -> Access:
    assert path is not None
    return BY_ADDRESS[path.local[0]]


async def receive(conn: trioquic.Connection, download: Download, view: View) -> None:
    stream = await conn.open_stream()
    await stream.send_all(f"GET /{FILE}\r\n".encode())
    await stream.send_eof()
    async for chunk in stream:
        download.add(chunk)
        view.received(download.received)
        view.watch(conn.paths)


async def cut_in_the_middle(
    world: World, conn: trioquic.Connection, download: Download, view: View
) -> None:
    await download.half_done.wait()
    path = conn.active_path
    access = access_of(path)
    await world.cut(access)
    download.cut, download.cut_at = access, trio.current_time()
    download.rtt_at_cut = (path and path.rtt) or 0.0
    view.say(f"[bold red]{access.name} is cut[/]; nobody is told")


async def tell_path_events(
    conn: trioquic.Connection,
    download: Download,
    view: View,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    async with conn.path_events() as events:
        task_status.started()
        async for event in events:
            view.watch(conn.paths)
            view.tell(event)
            if isinstance(event, trioquic.Migrated):
                download.moves += 1
                if download.cut is not None and not download.noticed_at:
                    download.noticed_at = trio.current_time()


def check(world: World, download: Download, path: trioquic.Path | None) -> list[str]:
    """What went wrong; empty if nothing."""
    wrong = []
    if download.received != world.size:
        wrong.append(f"{download.received} bytes of {world.size}")
    if download.digest.hexdigest() != world.sha256:
        wrong.append("the SHA-256 differs")
    if download.cut is None or not download.moves:
        wrong.append("the path was not cut, or the connection did not move")
    elif access_of(path) is download.cut:
        wrong.append(f"the connection is still on {download.cut.name}")
    return wrong


def tell_the_gap(download: Download, path: trioquic.Path | None, view: View) -> None:
    old, new = download.cut, access_of(path)
    if old is None:
        return
    view.say(
        f"[bold]the gap was {download.gap * 1000:.0f} ms[/]: "
        f"{download.gap * 1000 / old.rtt_ms:.1f} RTTs of {old.name} ({old.rtt_ms:.0f} ms), "
        f"{download.gap * 1000 / new.rtt_ms:.1f} of {new.name} ({new.rtt_ms:.0f} ms)"
    )
    noticing = (download.noticed_at - download.cut_at) * 1000
    rtt = download.rtt_at_cut * 1000
    view.say(f"it moved {noticing:.0f} ms after the cut; RTT until then {rtt:.0f} ms, with queues")


async def show(size: int, traces: str | None) -> int:
    view = View(size, {access.local: access.name for access in ACCESSES})
    async with build_world(size, ACCESSES) as world:
        download = Download(size)
        async with trioquic.open_connection(
            world.relay.host,
            world.relay.port,
            alpn=["hq-interop"],
            server_name=NAME,
            tls=trioquic.TLSConfig(fingerprint=world.fingerprint),
            transport=trioquic.TransportConfig(qlog_dir=traces),
            networks=trioquic.ManualNetworks(NETWORKS),
            local=ACCESSES[0].local,
        ) as conn:
            view.say(f"connected over {ACCESSES[0].name}, downloading {size / 1e6:.0f} MB")
            with view.on_screen():
                async with trio.open_nursery() as nursery:
                    await nursery.start(tell_path_events, conn, download, view)
                    nursery.start_soon(cut_in_the_middle, world, conn, download, view)
                    await receive(conn, download, view)
                    nursery.cancel_scope.cancel()
            path = conn.active_path
            wrong = check(world, download, path)
        tell_the_gap(download, path, view)
        for reason in wrong:
            view.say(f"[bold red]FAILED[/]: {reason}")
        if not wrong:
            view.say(f"[bold green]SHA-256 matches[/], {size} bytes: {world.sha256}")
    return len(wrong)


def missing_address() -> str | None:
    """One of the local addresses that this system does not have, if any."""
    for access in ACCESSES:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((access.local, 0))
            except OSError:
                return access.local
    return None


async def main(size: int, traces: str | None = None) -> int:
    with trio.fail_after(TIME_LIMIT):
        return await show(size, traces)


def run(size: int, picture: str | None) -> int:
    """With a picture the connection leaves a trace, from which it is drawn."""
    if picture is None:
        return trio.run(main, size)
    with tempfile.TemporaryDirectory() as traces:
        wrong = trio.run(main, size, traces)
        (trace,) = Path(traces).iterdir()
        Path(picture).write_text(plot.draw(plot.read_trace(trace)), encoding="utf-8")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=40)
    parser.add_argument("--picture", metavar="FILE.svg", help="draw what happened")
    options = parser.parse_args()
    if missing := missing_address():
        sys.exit(f"this system has no {missing}; macOS: sudo ifconfig lo0 alias {missing}")
    sys.exit(min(1, run(int(options.megabytes * 1e6), options.picture)))
