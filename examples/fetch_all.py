"""Get any number of URLs at once over HTTP/3, and print status, size and SHA-256 of each.

    python -m examples.fetch_all URL... [--cafile FILE]

URLs of one server share a connection, which moves to another network when it must, and is made
again when it is lost.
"""

import argparse
import hashlib
import sys

import trio

import trioquic
from trioquic import http3


async def fetch(client: http3.Client, url: str) -> bool:
    """One URL, read while it comes; whether that worked."""
    digest, size = hashlib.sha256(), 0
    try:
        async with client.stream("GET", url) as response:
            async for chunk in response:
                digest.update(chunk)
                size += len(chunk)
    except (trioquic.QuicError, OSError, ValueError) as error:
        print(f"{url}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    print(response.status, response.header("content-type", "-"), size, digest.hexdigest(), url)
    return response.status < 400


async def main(urls: list[str], ca_file: str | None) -> bool:
    worked: list[bool] = []
    async with http3.Client(tls=trioquic.TLSConfig(ca_file=ca_file)) as client:

        async def note(url: str) -> None:
            worked.append(await fetch(client, url))

        async with trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(note, url)
        print(f"over {len(client.connections)} connections", file=sys.stderr)
    return all(worked)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--cafile", help="trust this root instead of certifi's")
    options = parser.parse_args()
    sys.exit(not trio.run(main, options.urls, options.cafile))
