"""Download over HTTP/3, tell what happens to the network paths, and print the content's SHA-256.

    python -m examples.http3_download URL [--cafile FILE] [--moves N]

`--moves` moves the connection to a new local port that often on the way, as a stand-in for a change
of network on a machine that has only one.
"""

import argparse
import hashlib
import sys
from urllib.parse import urlsplit

import trio

import trioquic
from trioquic import http3

from .options import run


async def tell_paths(
    conn: trioquic.Connection, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Print what happens to the paths until the connection ends."""
    async with conn.path_events() as events:
        task_status.started()
        async for event in events:
            print(event, file=sys.stderr)


async def download(conn: trioquic.Connection, url: str, moves: int) -> str:
    """Get `url` and return its SHA-256. The response does not care which path carries it."""
    digest = hashlib.sha256()
    async with http3.open_http3(conn) as http, http.request("GET", url) as response:
        print(f"status {response.status}", file=sys.stderr)
        async for chunk in response:
            digest.update(chunk)
            if moves:
                moves -= 1
                await conn.migrate()
    return digest.hexdigest()


async def main(options: argparse.Namespace) -> None:
    parts = urlsplit(options.url)
    async with trioquic.open_connection(
        parts.hostname or "",
        parts.port or 443,
        alpn=["h3"],
        tls=trioquic.TLSConfig(ca_file=options.cafile),
    ) as conn:
        async with trio.open_nursery() as nursery:
            await nursery.start(tell_paths, conn)
            print(await download(conn, options.url, options.moves))
            nursery.cancel_scope.cancel()


def https_url(text: str) -> str:
    """A URL as the command line has it."""
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.port == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no https URL")
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", type=https_url)
    parser.add_argument("--cafile", help="trust this root instead of certifi's")
    parser.add_argument("--moves", type=int, default=0, help="how often to move to a new port")
    sys.exit(run(main, parser.parse_args()))
