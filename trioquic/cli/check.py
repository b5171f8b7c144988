"""`trioquic check`: what a server supports, as a table or JSON, and as an exit code."""

import dataclasses
import sys
from functools import partial
from typing import Any

import click
from rich.table import Table

from . import options
from .certificate import describe_certificate
from .console import (
    USAGE,
    complain,
    fail,
    output,
    print_json,
    run,
    safe,
    split_host,
    trouble_told,
)
from .probe import Findings, MoveResult, check_server, exit_code
from .versions import is_reserved, version_name


@click.command()
@click.argument("target", metavar="HOST[:PORT]")
@options.cafile
@options.insecure
@click.option("--alpn", multiple=True, default=["h3"], help="Offer this protocol [h3]. Repeatable.")
@click.option("--server-name", help="The name that the certificate must have, HOST by default.")
@options.interfaces("Start from the first, and move to each. All by default. Repeatable.")
@click.option("--timeout", type=options.Seconds(), default=5.0, help="Seconds.")
@options.as_json("Print JSON instead of a table.")
def check(
    target: str,
    cafile: str | None,
    insecure: bool,
    alpn: tuple[str, ...],
    server_name: str | None,
    interfaces: tuple[str, ...],
    timeout: float,
    as_json: bool,
) -> None:
    """Find out what a QUIC server supports: versions, Retry, tickets, and migration.

    The connection is really moved: to a new port, and to each interface. PORT is 443 by default.

    Exit codes: 0 all of it works, migration included; 1 no connection; 2 usage; 3 connected, but
    migration is forbidden or failed.
    """
    host, port = split_host(target, 443)
    tls = options.tls_config(cafile, insecure)
    examine = partial(
        check_server,
        host,
        port,
        alpn=alpn,
        tls=tls,
        patience=timeout,
        interfaces=interfaces,
        server_name=server_name,
    )
    try:
        with trouble_told(complain):
            findings = run(examine)
    except (ValueError, OSError) as error:
        fail(USAGE, str(error))
    if as_json:
        print_json({"host": host, "port": port, **_document(findings, verified=not insecure)})
    else:
        output().print(_table(f"{host} port {port}", findings, verified=not insecure))
    sys.exit(exit_code(findings, interfaces))


# -- the same facts, for programs and for people ---------------------------------------------------


def _document(found: Findings, *, verified: bool) -> dict[str, Any]:
    document = dataclasses.asdict(found)
    del document["asked"]
    document["several_workers"] = found.several_workers
    if found.peer is not None:
        peer = found.peer
        document["migration_allowed"] = (
            not peer.disable_active_migration and peer.connection_id_length > 0
        )
    if found.versions is not None:
        document["versions"] = [f"{v:#x}" for v in found.versions if not is_reserved(v)]
    if found.certificate is not None:
        document["certificate"] = {**describe_certificate(found.certificate), "verified": verified}
    return document


def _table(title: str, found: Findings, *, verified: bool) -> Table:
    table = Table(title=safe(title), title_justify="left", box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    versions = None
    if found.versions is not None:
        versions = ", ".join(version_name(v) for v in found.versions if not is_reserved(v))
    if found.asked:
        table.add_row("versions", versions or "no answer to an unknown version")
    if found.connected and found.peer is not None:
        _add_connection(table, found, verified)
        _add_migration(table, found)
    if found.error is not None:
        table.add_row(
            "lost" if found.connected else "no connection", safe(found.error), style="red"
        )
    return table


def _add_connection(table: Table, found: Findings, verified: bool) -> None:
    assert found.peer is not None
    assert found.certificate is not None
    certificate = describe_certificate(found.certificate)
    names = ", ".join(certificate["names"]) or certificate["subject"]
    trusted = "trusted" if verified else "[red]not verified[/red]"
    table.add_row("connected", f"to {found.address} in {_milliseconds(found.connect_time)}")
    table.add_row("round trip", _milliseconds(found.rtt))
    table.add_row("protocol", found.alpn)
    table.add_row("TLS", f"{found.cipher_suite}, {found.group}")
    table.add_row("certificate", f"{safe(names)}, until {certificate['not_after'][:10]}, {trusted}")
    table.add_row("Retry", "yes" if found.peer.retry else "no")
    table.add_row("session tickets", str(found.session_tickets))


def _add_migration(table: Table, found: Findings) -> None:
    assert found.peer is not None
    if found.peer.disable_active_migration:
        allowed = "forbidden: the server sent disable_active_migration"
    elif found.peer.connection_id_length == 0:
        allowed = "impossible: the server has zero-length connection IDs"
    else:
        allowed = "allowed"
    table.add_row("migration", allowed)
    if found.connection_ids is not None:
        held = found.peer.active_connection_id_limit
        table.add_row("connection IDs", f"{_ids(found.connection_ids)}; it holds {held} of ours")
    if found.preferred is not None:
        used = "works" if found.preferred.used else f"not used: {safe(found.preferred.reason)}"
        table.add_row("preferred address", f"{found.preferred.address} {used}")
    else:
        table.add_row("preferred address", "none")
    if found.new_port is not None:
        table.add_row("move to a new port", _move(found.new_port))
    for name, move in found.interfaces.items():
        table.add_row(f"move to {name}", _move(move))
    if found.moves_in_a_row is not None:
        table.add_row("moves in a row", _in_a_row(found))
    if found.several_workers:
        table.add_row(
            "hint",
            "this looks like several workers behind one address, one of which knows the "
            'connection: ask again, and see docs/limits.md, "Servers that set limits"',
        )


def _ids(count: int) -> str:
    """What they are for: the path in use has one, and each path beside it, or after it."""
    spare = f"{count - 1} for other paths" if count > 1 else "none for another path"
    return f"{count} of the server's, {spare}"


def _in_a_row(found: Findings) -> str:
    if found.stopped_by is None:
        return f"{found.moves_in_a_row} work"
    return f"{found.moves_in_a_row} work, then no: {safe(found.stopped_by)}"


def _move(move: MoveResult) -> str:
    if move.worked:
        return f"[green]works[/green], {move.local} to {move.remote}, {_milliseconds(move.rtt)}"
    return f"[red]no[/red]: {safe(move.reason or '')}"


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:.1f} ms"
