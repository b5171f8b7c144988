"""An application that hears from its platform which networks there are, as on a phone.

    python -m examples.phone_networks HOST PORT

On a phone no library can ask the system freely; the platform calls the application instead, in
threads of its own (Android's `ConnectivityManager.NetworkCallback`, Apple's `NWPathMonitor`).
`PhoneNetworks` has such callbacks and passes what they say on to a `ManualNetworks`, which the
connection watches. Here the platform is whoever types (or writes into the standard input):

    available wifi=192.0.2.7
    available cellular=203.0.113.9
    lost wifi
    available wifi=192.0.2.7

The connection begins when the first network is there, moves when the one in use is lost, waits when
there is none, and goes back to Wi-Fi a second after that has returned. The program ends with its
standard input.
"""

import argparse
import sys

import trio

import trioquic
from trioquic.networks import Interface

from .options import make_parser, parse_network, run


class PhoneNetworks:
    """The platform's callbacks. They may come in any thread."""

    def __init__(self) -> None:
        self.source = trioquic.ManualNetworks()
        self._links: dict[str, Interface] = {}
        self._token = trio.lowlevel.current_trio_token()

    def on_available(self, link: Interface) -> None:
        """A network is there, or has another address than before."""
        self._in_trio(self._set, link.name, link)

    def on_lost(self, name: str) -> None:
        """A network is gone."""
        self._in_trio(self._set, name, None)

    def _in_trio(self, *call: object) -> None:
        # The library belongs to trio's thread.
        self._token.run_sync_soon(*call)  # type: ignore[arg-type]

    def _set(self, name: str, link: Interface | None) -> None:
        if link is None:
            self._links.pop(name, None)
        else:
            self._links[name] = link
        self.source.update(self._links.values())


def run_platform(phone: PhoneNetworks) -> None:
    """The platform, in its own thread: every line is a callback."""
    for line in sys.stdin:
        match line.split():
            case ["available", link]:
                try:
                    phone.on_available(parse_network(link))
                except (ValueError, argparse.ArgumentTypeError) as error:
                    print(f"not understood: {error}", flush=True)
            case ["lost", name]:
                phone.on_lost(name)
            case []:
                pass
            case _:
                print(f"not understood: {line}", end="", flush=True)


async def first_network(source: trioquic.NetworkSource) -> Interface:
    """Wait until there is one."""
    while not (links := source.snapshot()):
        await source.wait_changed()
    return links[0]


async def use(conn: trioquic.Connection, path: str, pause: float) -> None:
    """A small request every now and then, which waits while there is no network."""
    while True:
        stream = await conn.open_stream()
        await stream.send_all(f"GET {path}\r\n".encode())
        await stream.send_eof()
        size = sum([len(chunk) async for chunk in stream])
        network = conn.active_path.interface if conn.active_path else None
        print(f"{size} bytes over {network}", flush=True)
        await trio.sleep(pause)


async def tell(conn: trioquic.Connection) -> None:
    async with conn.path_events() as events:
        async for event in events:
            if isinstance(event, trioquic.Migrated):
                print(f"moved to {event.new.interface}: {event.reason}", flush=True)
            elif isinstance(event, trioquic.WaitingForPath):
                print("no network, waiting", flush=True)


async def connect_and_use(phone: PhoneNetworks, options: argparse.Namespace) -> None:
    link = await first_network(phone.source)
    async with trioquic.open_connection(
        options.host,
        options.port,
        alpn=["hq-interop"],
        tls=options.tls,
        networks=phone.source,
        interface=link.name,
        migration=trioquic.MigrationPolicy(kinds=["wifi", "ethernet", "cellular"]),
    ) as conn:
        print(f"connected over {link.name}", flush=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell, conn)
            await use(conn, options.path, options.pause)


async def main(options: argparse.Namespace) -> None:
    phone = PhoneNetworks()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect_and_use, phone, options)
        await trio.to_thread.run_sync(run_platform, phone, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--path", default="/1000", help="what to ask for")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two requests")
    sys.exit(run(main, parser.parse_args()))
