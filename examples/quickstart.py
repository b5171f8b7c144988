"""Download one file over hq-interop, the smallest application protocol there is on QUIC.

    python examples/quickstart.py HOST PORT /PATH [CA_FILE] > file

Without CA_FILE the server's certificate must lead to one of certifi's roots.
"""

import sys

import trio

import trioquic


async def main(host: str, port: int, path: str, ca_file: str | None) -> None:
    async with trioquic.open_connection(
        host, port, alpn=["hq-interop"], tls=trioquic.TLSConfig(ca_file=ca_file)
    ) as conn:
        stream = await conn.open_stream()
        await stream.send_all(f"GET {path}\r\n".encode())
        await stream.send_eof()
        async for chunk in stream:
            sys.stdout.buffer.write(chunk)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit((__doc__ or "").strip())
    _, host, port, path, *rest = sys.argv
    try:
        trio.run(main, host, int(port), path, rest[0] if rest else None)
    except (trioquic.QuicError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
