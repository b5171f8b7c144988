"""How a connection comes to be: names become addresses, and a race among these a connection.

`open_connection` hides a nursery (`_groups.py`).
"""

import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio

from ... import _checks
from ..._groups import hidden_nursery
from ...config import TLSConfig, TransportConfig
from ...errors import LocalAddressError
from ...networks import NetworkSource
from ...policy import MigrationPolicy
from ...sessions import SessionStore
from ..connection import Connection
from ..endpoints import ip_version
from ..sockets.binding import bind_socket
from .arguments import Plan, either_local, make_plan
from .lookup import Lookup
from .race import HappyEyeballs
from .ways import check_networks, check_start

_NURSERY: Final = _checks.instance(trio.Nursery)


def open_connection(
    host: str,
    port: int,
    *,
    alpn: Sequence[str],
    server_name: str | None = None,
    tls: TLSConfig = TLSConfig(),  # noqa: B008 - frozen
    transport: TransportConfig = TransportConfig(),  # noqa: B008 - frozen
    migration: MigrationPolicy = MigrationPolicy(),  # noqa: B008 - frozen
    networks: NetworkSource | None = None,
    interface: str | None = None,
    local: str | None = None,
    addresses: Sequence[str] | None = None,
    sessions: SessionStore | None = None,
    early_data: bool = False,
    local_address: str | None = None,
) -> AbstractAsyncContextManager[Connection]:
    """Connect to a QUIC version 1 server: `async with open_connection(...) as conn`.

    The block is entered when the handshake is complete and the server is authenticated. Leaving it
    normally closes as `Connection.aclose` does; leaving it by an exception or a cancellation closes
    at once, with one datagram. An exception of the block comes out as it is.

    `host` is a name or an IP address. A name's addresses (16 of each family) are tried in the order
    of RFC 6724, the two families in turns, one more every `TransportConfig.attempt_delay` seconds
    until a handshake is complete (RFC 8305); each has `TransportConfig.handshake_timeout`.
    `addresses` are tried instead of asking the resolver, by who has them from an HTTPS record (RFC
    9460). `server_name` is what the certificate must name, `host` by default. `alpn` has the
    application protocols to offer, preferred first. `interface` and `local` (or `local_address`)
    say where the connection starts from, `networks` where interfaces are looked up, the system by
    default. `sessions` lets the next connection start faster (`trioquic.sessions`).

    With `early_data`, and a ticket in `sessions` whose server takes that, the block is entered at
    once: streams opened with `early_data=True` may send, everything else waits for the handshake,
    and raises `HandshakeError` if that fails. No address is tried but the one of the ticket.

    Raises `HandshakeError` (for each kind a class below it) when there is no connection, with the
    errors of all attempts in `attempts`; `socket.gaierror` when the host is unknown;
    `LocalAddressError` when the interface or address cannot be used; `OSError` and `ValueError` for
    files of `tls` that cannot be read or understood; `ValueError` and `TypeError` for other misuse,
    such as `early_data` without `sessions`, or a start that `migration` rules out. Cancelled while
    connecting, it leaves nothing behind.
    """
    return _hidden_nursery(
        make_plan(
            host,
            port,
            alpn=alpn,
            server_name=server_name,
            tls=tls,
            transport=transport,
            migration=migration,
            networks=networks,
            interface=interface,
            local=either_local(local, local_address),
            addresses=addresses,
            sessions=sessions,
            early_data=early_data,
        )
    )


@asynccontextmanager
async def _hidden_nursery(plan: Plan) -> AsyncIterator[Connection]:
    """The block of `open_connection`, with a nursery that the application does not see."""
    if not trio.lowlevel.in_trio_task():
        raise RuntimeError(
            "trioquic needs trio, and this task runs under something else, such as asyncio: start"
            " with trio.run, or with anyio.run(..., backend='trio')"
        )
    async with hidden_nursery() as nursery:
        lookup = await _find(plan, nursery)
        tell, outcome = trio.open_memory_channel[Connection | Exception](1)
        # `Nursery.start` would open a nursery more, to cancel the task when we are cancelled; this
        # one is cancelled with us.
        nursery.start_soon(_serve, plan, lookup, tell.send_nowait)
        conn = _connected(await outcome.receive())
        yield conn
        await conn.aclose()


async def connect(
    nursery: trio.Nursery,
    host: str,
    port: int,
    *,
    alpn: Sequence[str],
    server_name: str | None = None,
    tls: TLSConfig = TLSConfig(),  # noqa: B008 - frozen
    transport: TransportConfig = TransportConfig(),  # noqa: B008 - frozen
    migration: MigrationPolicy = MigrationPolicy(),  # noqa: B008 - frozen
    networks: NetworkSource | None = None,
    interface: str | None = None,
    local: str | None = None,
    addresses: Sequence[str] | None = None,
    sessions: SessionStore | None = None,
    early_data: bool = False,
    local_address: str | None = None,
) -> Connection:
    """Connect as `open_connection` does, with the connection's tasks in a nursery of the caller's.

    The connection lives until `Connection.aclose`, until it is lost, or until the nursery is
    cancelled. Arguments and errors are those of `open_connection`.
    """
    _checks.check(_NURSERY, "nursery", nursery)
    plan = make_plan(
        host,
        port,
        alpn=alpn,
        server_name=server_name,
        tls=tls,
        transport=transport,
        migration=migration,
        networks=networks,
        interface=interface,
        local=either_local(local, local_address),
        addresses=addresses,
        sessions=sessions,
        early_data=early_data,
    )
    lookup = await _find(plan, nursery)
    try:
        # An exception out of a task that has not started loses its cause, so failures are results.
        return _connected(await nursery.start(_serve_there, plan, lookup))
    except BaseException:
        lookup.close()
        raise


async def _serve_there(
    plan: Plan, lookup: Lookup, *, task_status: trio.TaskStatus[Connection | Exception]
) -> None:
    """`_serve` for a nursery of the application's."""
    await _serve(plan, lookup, task_status.started)


async def _serve(
    plan: Plan, lookup: Lookup, tell: Callable[[Connection | Exception], None]
) -> None:
    """The whole race, in a task: what is wrong with it is no exception of the caller's block."""
    try:
        await HappyEyeballs(plan, lookup, tell).run()
    finally:
        lookup.close()


def _connected(result: Connection | Exception) -> Connection:
    try:
        if isinstance(result, Exception):
            raise result
        return result
    finally:
        # a traceback refers to this frame
        del result


async def _find(plan: Plan, nursery: trio.Nursery) -> Lookup:
    """Where the server may be. Raises ValueError where the policy rules out the start."""
    await _check_local(plan)
    lookup = Lookup(plan)
    await lookup.begin(nursery)
    if plan.local is not None:
        for remote in lookup.remotes:
            check_start(plan, remote.address)
    return lookup


async def _check_local(plan: Plan) -> None:
    """Find out that the interface or address does not exist before a name server is asked: the
    question would leave by another one."""
    if not plan.named:
        check_networks(plan)
        return
    if plan.interface is not None:
        check_start(plan, None)
    ipv6 = plan.local is not None and ip_version(plan.local) == 6
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    try:
        sock = await bind_socket(
            family, interface=plan.interface, local=plan.local, networks=plan.networks
        )
    except LocalAddressError as error:
        # An interface without IPv4 may still do for a server that has IPv6.
        if plan.local is not None or error.errno == errno.ENODEV:
            raise
    else:
        sock.close()
