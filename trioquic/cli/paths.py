"""`trioquic paths`: this machine's interfaces, and the ways from them to a host.

The order is the one that a connection uses (`trioquic.addresses`), so the table answers why a
connection starts or goes where it does.
"""

import dataclasses
import socket
from typing import Any

import click
import trio
from rich.table import Table

from .. import Interface, InterfaceAddress, system_networks
from ..addresses import AddressPair, candidate_pairs
from . import options
from .console import NO_CONNECTION, fail, output, print_json, run, safe


@click.command()
@click.argument("host", required=False)
@options.as_json("Print JSON instead of tables.")
def paths(host: str | None, as_json: bool) -> None:
    """Show the network interfaces, and the candidate paths to HOST.

    Paths are in the order in which a connection would use them: preferences of the default policy
    first, then RFC 6724. Each line says what put it before the next one.

    Exit codes: 0; 1 HOST is unknown; 2 usage.
    """
    interfaces, remotes = run(_look, host)
    pairs = candidate_pairs(interfaces, remotes)
    if as_json:
        print_json(_document(host, interfaces, remotes, pairs))
        return
    console = output()
    console.print(_interface_table(interfaces))
    if host is not None:
        console.print(_pair_table(host, pairs))
        if not pairs:
            console.print(f"No interface leads to {', '.join(remotes)}.")


async def _look(host: str | None) -> tuple[tuple[Interface, ...], tuple[str, ...]]:
    """The interfaces, and the host's addresses in the resolver's order."""
    interfaces = tuple(system_networks().snapshot())
    if host is None:
        return interfaces, ()
    try:
        found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        fail(NO_CONNECTION, f"{host}: {error}")
    # a family that Python was built without has a number in place of an address
    addresses = [entry[4][0] for entry in found if isinstance(entry[4][0], str)]
    return interfaces, tuple(dict.fromkeys(addresses))


def _document(
    host: str | None,
    interfaces: tuple[Interface, ...],
    remotes: tuple[str, ...],
    pairs: tuple[AddressPair, ...],
) -> dict[str, Any]:
    document: dict[str, Any] = {"interfaces": [dataclasses.asdict(i) for i in interfaces]}
    if host is not None:
        document["host"] = host
        document["addresses"] = remotes
        document["pairs"] = [dataclasses.asdict(pair) for pair in pairs]
    return document


def _interface_table(interfaces: tuple[Interface, ...]) -> Table:
    table = Table(title="Interfaces", title_justify="left", box=None, header_style="bold")
    for name in ("interface", "kind", "state", "metered", "addresses"):
        table.add_column(name)
    metered = {True: "yes", False: "no", None: "unknown"}
    for interface in interfaces:
        table.add_row(
            interface.name,
            interface.kind,
            "up" if interface.up else "down",
            metered[interface.metered],
            "\n".join(_with_flags(entry) for entry in interface.addresses) or "none",
            style=None if interface.up else "dim",
        )
    return table


def _with_flags(entry: InterfaceAddress) -> str:
    flags = [f for f in ("deprecated", "temporary", "tentative", "home") if getattr(entry, f)]
    text = f"{entry.address}/{entry.prefix_length}"
    return f"{text} ({', '.join(flags)})" if flags else text


def _pair_table(host: str, pairs: tuple[AddressPair, ...]) -> Table:
    title = f"\nCandidate paths to {safe(host)}, the best first"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("", "interface", "from", "to", "before the next because of"):
        table.add_column(name)
    for number, pair in enumerate(pairs, 1):
        spare = pair.source_rank > 0
        table.add_row(
            str(number),
            pair.interface,
            pair.local,
            pair.remote,
            pair.reason + (" (not the address that RFC 6724 selects here)" if spare else ""),
            style="dim" if spare else None,
        )
    return table
