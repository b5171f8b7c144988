"""`trioquic paths`: this machine's interfaces, and the ways from them to a host.

The order is the one that a connection uses (`trioquic.addresses`), so the table answers why a
connection starts or goes where it does.
"""

import dataclasses
import socket
from collections.abc import Sequence
from typing import Any, TypedDict

import click
import trio
from rich.table import Table

from .. import Interface, InterfaceAddress, Route, system_networks
from ..addresses import AddressPair, NoCandidate, candidate_pairs, no_candidates
from ..networks import address_of, routes_of
from . import options
from .console import NO_CONNECTION, complain, fail, output, print_json, run, safe, split_host


@click.command()
@click.argument("host", metavar="[HOST[:PORT]]", required=False)
@options.prefer_interfaces
@options.only_interfaces
@options.leave_tunnel
@options.not_tunnels
@options.as_json("Print JSON instead of tables.")
def paths(
    host: str | None,
    prefer_interfaces: tuple[str, ...],
    only_interfaces: tuple[str, ...],
    leave_tunnel: bool,
    not_tunnels: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the network interfaces, and the candidate paths to HOST.

    Paths are in the order in which a connection would use them: your preferences, the metrics of
    the system's routes, the usual order of kinds, then RFC 6724. Each line says what put it before
    the next one; the system's own route is marked. Below is what is no candidate, and why: no
    route, too narrow for QUIC, or outside the tunnel (VPN) that the system uses.

    Exit codes: 0; 1 HOST is unknown; 2 usage.
    """
    port = 0
    if host is not None:
        host, port = split_host(host, 443)
    interfaces, remotes = run(_look, host)
    servers = [(remote, port) for remote in remotes]
    routes = routes_of(system_networks(), servers) if servers else None
    rules = Rules(only_interfaces=only_interfaces, routes=routes, leave_tunnel=leave_tunnel)
    rules["not_tunnels"] = not_tunnels
    # a connection would begin in a tunnel: then addresses beside it are not tried
    rules["in_tunnel"] = leads_into_tunnel(interfaces, routes, only_interfaces, not_tunnels)
    with options.refused():
        pairs = candidate_pairs(interfaces, remotes, prefer_interfaces=prefer_interfaces, **rules)
        left_out = no_candidates(interfaces, remotes, **rules)
    named = (*only_interfaces, *prefer_interfaces, *not_tunnels)
    for text in options.unknown_interfaces(named, interfaces):
        complain(text)
    if as_json:
        print_json(_document(host, interfaces, remotes, pairs, routes, left_out))
        return
    console = output()
    console.print(_interface_table(interfaces))
    if host is not None:
        chosen = {(route.interface, route.remote) for route in routes or () if route.chosen}
        console.print(_pair_table(host, pairs, chosen))
        if not pairs:
            console.print(f"No interface leads to {', '.join(remotes)}.")
        if routes is None:
            console.print("The system does not tell its routes: every interface counts.")
        for left in left_out:
            console.print(f"No candidate: {left.interface} to {left.remote}, {left.reason.value}")


class Rules(TypedDict, total=False):
    """What `candidate_pairs` and `no_candidates` are told of routes."""

    only_interfaces: tuple[str, ...]
    routes: tuple[Route, ...] | None
    leave_tunnel: bool
    in_tunnel: bool
    not_tunnels: tuple[str, ...]


def leads_into_tunnel(
    interfaces: Sequence[Interface],
    routes: Sequence[Route] | None,
    only: Sequence[str] = (),
    not_tunnels: Sequence[str] = (),
) -> bool:
    """Whether the system's own route, of these, leads into a tunnel that may be used."""
    tunnels = {i.name for i in interfaces if i.kind == "tunnel" and (not only or i.name in only)}
    tunnels.difference_update(not_tunnels)
    return any(route.chosen and route.interface in tunnels for route in routes or ())


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
    addresses = [address_of(entry[4]) for entry in found if isinstance(entry[4][0], str)]
    return interfaces, tuple(dict.fromkeys(addresses))


def _document(
    host: str | None,
    interfaces: tuple[Interface, ...],
    remotes: tuple[str, ...],
    pairs: tuple[AddressPair, ...],
    routes: tuple[Route, ...] | None,
    left_out: tuple[NoCandidate, ...],
) -> dict[str, Any]:
    document: dict[str, Any] = {"interfaces": [dataclasses.asdict(i) for i in interfaces]}
    if host is not None:
        document["host"] = host
        document["addresses"] = remotes
        document["routes"] = None if routes is None else [dataclasses.asdict(r) for r in routes]
        document["pairs"] = [dataclasses.asdict(pair) for pair in pairs]
        document["no_candidates"] = [
            {"interface": left.interface, "remote": left.remote, "reason": left.reason.value}
            for left in left_out
        ]
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


def _pair_table(host: str, pairs: tuple[AddressPair, ...], chosen: set[tuple[str, str]]) -> Table:
    title = f"\nCandidate paths to {safe(host)}, the best first"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("", "interface", "from", "to", "system", "before the next because of"):
        table.add_column(name)
    for number, pair in enumerate(pairs, 1):
        spare = pair.source_rank > 0
        table.add_row(
            str(number),
            pair.interface,
            pair.local,
            pair.remote,
            "chosen" if not spare and (pair.interface, pair.remote) in chosen else "",
            pair.reason + (" (not the address that RFC 6724 selects here)" if spare else ""),
            style="dim" if spare else None,
        )
    return table
