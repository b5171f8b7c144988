"""A download goes on, byte for byte, while the path under it is taken away.

    make demo            (or: python -m examples.demo, with the `demo` extra installed)

A real QUIC server (aioquic) serves a random file on loopback behind a relay that makes two access
links, "wifi" and "cellular". The client downloads over wifi. In the middle wifi goes dead without a
word; the client notices that nothing arrives, moves the connection to cellular and finishes there,
on the same stream. The SHA-256 tells whether every byte came.

When to move is decided here, in `watch`, by the rule "silence for longer than 3 PTO"; trioquic
carries the move out: a fresh socket and connection ID, validation, the switch, retransmission.
"""

import argparse
import hashlib
import socket
import sys
from dataclasses import dataclass, field

import trio

import trioquic

from .view import View
from .world import FILE, NAME, Access, World, build_world

WIFI = Access("wifi", "127.0.0.1", mbit=60, rtt_ms=20)
CELLULAR = Access("cellular", "127.0.0.2", mbit=60, rtt_ms=40)
TIME_LIMIT = 90.0


@dataclass
class Download:
    """What has been seen so far, on trio's clock."""

    size: int
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    received: int = 0
    last_arrival: float = field(default_factory=trio.current_time)
    half_done: trio.Event = field(default_factory=trio.Event)
    longest_gap: float = 0.0
    cut_at: float | None = None
    noticed_at: float | None = None
    moved_at: float | None = None

    def add(self, chunk: bytes | bytearray) -> None:
        now = trio.current_time()
        if self.received:
            self.longest_gap = max(self.longest_gap, now - self.last_arrival)
        self.last_arrival = now
        self.digest.update(chunk)
        self.received += len(chunk)
        if self.received >= self.size // 2:
            self.half_done.set()


async def receive(conn: trioquic.Connection, download: Download, view: View) -> None:
    stream = await conn.open_stream()
    await stream.send_all(f"GET /{FILE}\r\n".encode())
    await stream.send_eof()
    async for chunk in stream:
        download.add(chunk)
        view.received(download.received)
        view.paths = tuple(conn.paths)


async def cut_in_the_middle(world: World, download: Download, view: View) -> None:
    await download.half_done.wait()
    await world.cut(WIFI)
    download.cut_at = trio.current_time()
    view.say("[bold red]wifi is cut[/]; nobody is told")


async def watch(conn: trioquic.Connection, download: Download, view: View) -> None:
    """Move to cellular once wifi has been silent for longer than its rhythm explains."""
    path = conn.active_path
    assert path is not None
    while True:
        patience = download.last_arrival + 3 * path.statistics().pto
        if patience <= trio.current_time():
            break
        await trio.sleep_until(patience)
    download.noticed_at = trio.current_time()
    silence = (download.noticed_at - download.last_arrival) * 1000
    view.say(f"[yellow]nothing arrived for {silence:.0f} ms[/] (3 PTO): moving to cellular")
    await conn.migrate(local=CELLULAR.local)
    download.moved_at = trio.current_time()


async def tell_path_events(
    conn: trioquic.Connection,
    view: View,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    async with conn.path_events() as events:
        task_status.started()
        async for event in events:
            view.paths = tuple(conn.paths)
            match event:
                case trioquic.PathValidated(path=path, rtt=rtt):
                    view.say(f"{view.name(path)} works both ways, RTT {rtt * 1000:.1f} ms")
                case trioquic.Migrated(old=old, new=new):
                    before = "nothing" if old is None else view.name(old)
                    view.say(f"[bold green]moved[/] from {before} to {view.name(new)}")
                case trioquic.PathFailed(path=path, reason=reason):
                    view.say(f"{view.name(path)} is given up: {reason}")
                case _:
                    pass


def check(world: World, download: Download, conn: trioquic.Connection) -> list[str]:
    """What went wrong; empty if nothing."""
    wrong = []
    if download.received != world.size:
        wrong.append(f"{download.received} bytes of {world.size}")
    if download.digest.hexdigest() != world.sha256:
        wrong.append("the SHA-256 differs")
    if download.cut_at is None or download.moved_at is None:
        wrong.append("the path was not cut, or the connection did not move")
    path = conn.active_path
    if path is None or path.local[0] != CELLULAR.local:
        wrong.append(f"the active path is {path}")
    return wrong


def tell_the_gap(download: Download, path: trioquic.Path | None, view: View) -> None:
    if download.cut_at is None or download.noticed_at is None:
        return
    gap = download.longest_gap
    view.say(
        f"[bold]the gap was {gap * 1000:.0f} ms[/]: {gap / (WIFI.rtt_ms / 1000):.1f} RTTs of wifi "
        f"({WIFI.rtt_ms:.0f} ms), {gap / (CELLULAR.rtt_ms / 1000):.1f} of cellular "
        f"({CELLULAR.rtt_ms:.0f} ms)"
    )
    noticing = download.noticed_at - download.cut_at
    view.say(f"of which {noticing * 1000:.0f} ms went by before it was noticed")


async def show(size: int) -> int:
    view = View(size, {access.local: access.name for access in (WIFI, CELLULAR)})
    async with build_world(size, (WIFI, CELLULAR)) as world:
        download = Download(size)
        with view.on_screen():
            async with trioquic.open_connection(
                world.relay.host,
                world.relay.port,
                alpn=["hq-interop"],
                server_name=NAME,
                tls=trioquic.TLSConfig(fingerprint=world.fingerprint),
                local_address=WIFI.local,
            ) as conn:
                view.say(f"connected over wifi, downloading {size / 1e6:.0f} MB")
                async with trio.open_nursery() as nursery:
                    await nursery.start(tell_path_events, conn, view)
                    nursery.start_soon(cut_in_the_middle, world, download, view)
                    nursery.start_soon(watch, conn, download, view)
                    await receive(conn, download, view)
                    nursery.cancel_scope.cancel()
                wrong = check(world, download, conn)
                path = conn.active_path
        tell_the_gap(download, path, view)
        for reason in wrong:
            view.say(f"[bold red]FAILED[/]: {reason}")
        if not wrong:
            view.say(f"[bold green]SHA-256 matches[/], {size} bytes: {world.sha256}")
    return len(wrong)


def second_address_exists() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((CELLULAR.local, 0))
        except OSError:
            return False
    return True


async def main(size: int) -> int:
    with trio.fail_after(TIME_LIMIT):
        return await show(size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=50)
    options = parser.parse_args()
    if not second_address_exists():
        sys.exit(f"this system has no {CELLULAR.local}; try `sudo ifconfig lo0 alias 127.0.0.2`")
    sys.exit(min(1, trio.run(main, int(options.megabytes * 1e6))))
