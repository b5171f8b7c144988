"""A download that outlives its network, with a live table of the paths.

    python -m examples.failover HOST PORT /PATH --interface wlan0 --interface eth0

Start it on a machine with two networks and take the one in use away: switch Wi-Fi off, pull the
cable, or only drop its packets. The stream goes on over the other one. The table shows each path
with its state, round-trip time, bytes and losses, and below it stands when the connection moved and
why. At the end comes the SHA-256 of everything that was received.

The whole part that has to do with networks is `MigrationPolicy(interfaces=...)`, and that only
because somebody has a preference. See examples/options.py for the other options.
"""

import argparse
import hashlib
import sys

import trio

import trioquic

from .options import chosen_networks, first_interface, make_parser, run
from .view import View


async def download(conn: trioquic.Connection, path: str, view: View) -> str:
    """Get a file and return its SHA-256; the stream does not care which network carries it."""
    stream = await conn.open_stream()
    await stream.send_all(f"GET {path}\r\n".encode())
    await stream.send_eof()
    digest = hashlib.sha256()
    size = 0
    async for chunk in stream:
        digest.update(chunk)
        size += len(chunk)
        view.received(size)
    view.say(f"received {size} bytes")
    return digest.hexdigest()


async def watch(
    conn: trioquic.Connection,
    view: View,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep the table up to date and tell what happens to the paths."""
    view.watch(conn.paths)
    async with conn.path_events() as events:
        task_status.started()
        async for event in events:
            view.watch(conn.paths)
            view.tell(event)


async def main(options: argparse.Namespace) -> None:
    view = View(size=None)
    async with trioquic.open_connection(
        options.host,
        options.port,
        alpn=["hq-interop"],
        tls=options.tls,
        networks=chosen_networks(options),
        interface=first_interface(options),
        migration=trioquic.MigrationPolicy(interfaces=options.interfaces),
    ) as conn:
        assert conn.active_path is not None
        view.say(f"connected over {view.name(conn.active_path)}")
        async with trio.open_nursery() as nursery:
            await nursery.start(watch, conn, view)
            with view.on_screen():
                digest = await download(conn, options.path, view)
            nursery.cancel_scope.cancel()
        view.show_paths()
    view.say(f"SHA-256 {digest}")


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("path", help="what to download")
    sys.exit(run(main, parser.parse_args()))
