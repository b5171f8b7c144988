"""Finds out what a server supports, by using it: a Version Negotiation, a connection, real moves.

One connection answers everything. Nothing is concluded from what the server says alone: after each
move a PING must be answered on the new path, which the server does only once it has followed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import trio

from .. import (
    CloseCause,
    Connection,
    ConnectionLostError,
    HandshakeError,
    Interface,
    MigrationPolicy,
    Path,
    PathClosed,
    PathError,
    PathEvent,
    PathState,
    PeerParameters,
    PreferredAddressResult,
    TLSConfig,
    TransportConfig,
    open_connection,
    system_networks,
)
from ..addresses import candidate_pairs
from ..http3.url import host_and_port
from ..networks import address_of, routes_of
from ..paths import Address
from .paths import leads_into_tunnel
from .versions import offered_versions

# A server follows within a round trip; more PTOs than path validation is given (RFC 9000 8.2.4)
_PTOS_TO_FOLLOW: Final = 4
_SHORTEST_WAIT: Final = 0.5
_LOOK_AGAIN: Final = 0.005
MOST_IN_A_ROW: Final = 8
# Who follows so often knows the connection at every port; what comes then is a limit.
_ONE_WORKER: Final = 3
_UNANSWERED: Final = "no answer"
_LONGEST_WAIT_FOR_VERSIONS: Final = 3.0


@dataclass(slots=True, kw_only=True)
class MoveResult:
    """What became of one attempt to move the connection."""

    worked: bool = False
    local: str | None = None
    remote: str | None = None
    rtt: float | None = None
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Preferred:
    """The server's preferred address, of two that of the family in use, and what became of it."""

    address: str
    used: bool = False
    reason: str = "nothing was heard of it in time"


@dataclass(slots=True, kw_only=True)
class Findings:
    """Everything that was found out; what could not be is None."""

    versions: tuple[int, ...] | None = None
    """In the order of the server; None: it did not answer."""
    asked: bool = False
    """Whether it was asked for them."""
    error: str | None = None
    """Why there was no connection, or why it was lost."""
    connected: bool = False
    connect_time: float | None = None
    """From the name lookup to the end of the handshake, in seconds."""
    address: str | None = None
    rtt: float | None = None
    alpn: str | None = None
    cipher_suite: str | None = None
    group: str | None = None
    certificate: bytes | None = None
    """DER."""
    peer: PeerParameters | None = None
    session_tickets: int | None = None
    connection_ids: int | None = None
    """How many of the server's connection IDs there were at once: what uses one, and spare ones."""
    preferred: Preferred | None = None
    new_port: MoveResult | None = None
    interfaces: dict[str, MoveResult] = field(default_factory=dict)
    moves_in_a_row: int | None = None
    """How often the server followed to new ports without a pause; `MOST_IN_A_ROW` at most."""
    stopped_by: str | None = None
    """Why it followed no further."""
    strangers: int = 0
    """How many moves were answered by somebody who does not know the connection."""

    @property
    def several_workers(self) -> bool:
        """Whether it looks as if the server's address had several workers, one of which knows the
        connection: strangers answer, or one port is answered and another one is not."""
        worked = [self.new_port, *self.interfaces.values()]
        if self.strangers or self.new_port is None:
            return self.strangers > 0
        if not self.new_port.worked:
            silent = _UNANSWERED in (self.new_port.reason or "")
            return silent and any(move is not None and move.worked for move in worked)
        few = self.moves_in_a_row is not None and self.moves_in_a_row < _ONE_WORKER
        return few and _UNANSWERED in (self.stopped_by or "")


async def check_server(
    host: str,
    port: int,
    *,
    alpn: Sequence[str],
    tls: TLSConfig,
    patience: float,
    interfaces: Sequence[str] = (),
    server_name: str | None = None,
) -> Findings:
    """Examine a server. `patience` (seconds) bounds the handshake with each of its addresses, and
    each wait for something that it does later. `interfaces`: from where to move; none: from all
    that lead there. Raises ValueError and OSError for files of `tls` that cannot be used."""
    findings = Findings()
    inside = False
    begin = trio.current_time()
    opening = open_connection(
        host,
        port,
        alpn=alpn,
        server_name=server_name,
        tls=tls,
        transport=TransportConfig(handshake_timeout=patience),
        # Only the server's preferred address is moved to without our asking.
        migration=MigrationPolicy(standby=0, move_back_after=math.inf, new_port=False),
        interface=interfaces[0] if interfaces else None,
    )
    try:
        async with opening as conn, conn.path_events() as events:
            findings.connected = True
            findings.connect_time = trio.current_time() - begin
            try:
                await _examine(conn, events, findings, interfaces, patience)
            finally:
                inside = conn.in_tunnel
                findings.strangers = _count_strangers(events)
    except (HandshakeError, ConnectionLostError, OSError) as error:
        findings.error = str(error)
    patience = min(patience, _LONGEST_WAIT_FOR_VERSIONS)
    for remote, interface in await _ways(host, port, findings, interfaces[:1], inside):
        findings.asked = True
        findings.versions = await offered_versions((remote, port), patience, interface)
        if findings.versions is not None:
            break
    return findings


async def _ways(
    host: str, port: int, findings: Findings, named: Sequence[str], inside: bool
) -> list[tuple[str, Interface | None]]:
    """Where to ask for versions, and through which interface: at the address that the connection
    was made to, without one at each; where that was begun, and not beside a tunnel."""
    remotes = [] if findings.address is None else [findings.address]
    if not remotes:
        try:
            found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_DGRAM)
        except OSError:
            return []
        remotes = list(dict.fromkeys(address_of(entry[4]) for entry in found))
    networks = system_networks()
    interfaces = networks.snapshot()
    routes = routes_of(networks, [(remote, port) for remote in remotes])
    if not (named or inside or leads_into_tunnel(interfaces, routes)):
        return [(remote, None) for remote in remotes]
    # whoever names an interface outside wants that
    pairs = candidate_pairs(
        interfaces, remotes, only_interfaces=named, routes=routes, in_tunnel=not named
    )
    by_name = {interface.name: interface for interface in interfaces}
    return list(dict.fromkeys((pair.remote, by_name[pair.interface]) for pair in pairs))


async def _examine(
    conn: Connection,
    events: trio.MemoryReceiveChannel[PathEvent],
    findings: Findings,
    interfaces: Sequence[str],
    patience: float,
) -> None:
    path = conn.active_path
    assert path is not None
    findings.address = path.remote[0]
    findings.rtt = path.rtt
    findings.alpn = conn.alpn
    findings.cipher_suite = conn.cipher_suite
    findings.group = conn.group
    findings.certificate = conn.peer_certificates[0]
    findings.peer = conn.peer
    with trio.move_on_after(patience):
        await conn.wait_handshake_confirmed()
    if not conn.handshake_confirmed:
        findings.new_port = MoveResult(reason="the server never confirmed the handshake")
        return
    findings.preferred = await _preferred(conn, path, events, patience)
    findings.connection_ids = await _count_ids(conn)
    first = interfaces[0] if interfaces else None
    findings.new_port = await _move(conn, first)
    for name in interfaces or _leading_to(path.remote, conn.in_tunnel):
        findings.interfaces[name] = await _move(conn, name)
    findings.session_tickets = conn.statistics().session_tickets
    if findings.new_port.worked:
        await _move_in_a_row(conn, first, findings)


def _leading_to(server: Address, in_tunnel: bool) -> list[str]:
    """The interfaces from which there is a way to the server, the best first; none beside a VPN."""
    networks = system_networks()
    pairs = candidate_pairs(
        networks.snapshot(), [server[0]], routes=routes_of(networks, [server]), in_tunnel=in_tunnel
    )
    return list(dict.fromkeys(pair.interface for pair in pairs))


async def _preferred(
    conn: Connection, path: Path, events: trio.MemoryReceiveChannel[PathEvent], patience: float
) -> Preferred | None:
    both = conn.peer.preferred_ipv4, conn.peer.preferred_ipv6
    address = both[":" in path.remote[0]] or both[":" not in path.remote[0]]
    if address is None:
        return None
    found = Preferred(address=host_and_port(*address))
    # From another network than the one in use it is not asked.
    here, leading = _interface_of(path), _leading_to(address, conn.in_tunnel)
    if not leading:
        return replace(found, reason="no network here leads to it")
    if here is not None and here not in leading:
        return replace(found, reason=f"{here} does not lead to it, {', '.join(leading)} would")
    with trio.move_on_after(patience):
        async for event in events:
            if isinstance(event, PreferredAddressResult) and event.address == address:
                found.used, found.reason = event.used, event.reason
                break
    return found


def _count_strangers(events: trio.MemoryReceiveChannel[PathEvent]) -> int:
    """Of what was heard until now."""
    count = 0
    while True:
        try:
            event = events.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return count
        if isinstance(event, PathClosed):
            count += event.cause in (CloseCause.STRANGER, CloseCause.RESET)


def _interface_of(path: Path) -> str | None:
    """The interface of a path; None if nobody knows it."""
    if path.interface is not None:
        return path.interface
    for interface in system_networks().snapshot():
        if any(entry.address == path.local[0] for entry in interface.addresses):
            return interface.name
    return None


async def _count_ids(conn: Connection) -> int:
    """They come when the handshake is confirmed, or a moment later; most servers give at once what
    they will have given at any time."""
    path = conn.active_path
    await trio.sleep(_SHORTEST_WAIT if path is None else path.statistics().pto)
    in_use = sum(path.state is not PathState.ABANDONED for path in conn.paths)
    return conn.statistics().spare_peer_ids + in_use


async def _move_in_a_row(conn: Connection, interface: str | None, findings: Findings) -> None:
    """Some servers follow a few times only, for minutes. What that does to the connection is no
    finding of its own: it has nothing to do any more."""
    findings.moves_in_a_row = 0
    while findings.moves_in_a_row < MOST_IN_A_ROW:
        try:
            move = await _move(conn, interface)
        except ConnectionLostError as error:
            move = MoveResult(reason=str(error))
        if not move.worked:
            findings.stopped_by = move.reason
            break
        findings.moves_in_a_row += 1


async def _move(conn: Connection, interface: str | None) -> MoveResult:
    """Move to a new port, or to an interface, and see whether the server follows."""
    try:
        path = await conn.migrate(interface)
    except PathError as error:
        return MoveResult(reason=str(error))
    found = MoveResult(local=host_and_port(*path.local), remote=host_and_port(*path.remote))
    before = path.statistics().datagrams_received
    conn.ping()
    wait = max(_PTOS_TO_FOLLOW * path.statistics().pto, _SHORTEST_WAIT)
    for _ in range(math.ceil(wait / _LOOK_AGAIN)):
        await trio.sleep(_LOOK_AGAIN)
        if path.statistics().datagrams_received > before:
            return replace(found, worked=True, rtt=path.statistics().min_rtt)
    return replace(found, reason="the path was validated, but the server does not send on it")


def exit_code(findings: Findings, asked: Sequence[str]) -> int:
    """0: all works; 1: no connection; 3: connected, and moving is forbidden or fails, to a new
    port, to the preferred address or from an interface that was `asked` for by name."""
    if not findings.connected:
        return 1
    moves: list[Any] = [findings.new_port, *(findings.interfaces.get(name) for name in asked)]
    if findings.error is not None or not all(move is not None and move.worked for move in moves):
        return 3
    return 0 if findings.preferred is None or findings.preferred.used else 3
