"""One HTTP/3 connection for each origin, shared by all downloads from there, made again if lost.

A connection is a task. Whoever needs it waits for it to be there; the first one to need it starts
it. It is replaced when it is of no use any more. While the server is not heard on it, others are
tried beside it, over every interface that may be used; the first one to be heard, old or new,
carries the downloads from then on.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import trio

from .. import (
    Connection,
    EarlyData,
    HandshakeError,
    HealthState,
    MigrationPolicy,
    NetworkSource,
    QuicError,
    TLSConfig,
    TransportConfig,
    open_connection,
    system_networks,
)
from ..http3 import HTTP3Connection, open_http3
from ..sessions import SessionStore
from .console import host_and_port
from .failures import connecting_failed
from .handovers import Handovers
from .link import Link
from .urls import Origin

# A connection beside one that is not heard is given so long at first, and twice that each time:
# what was sent into a network that was dead then is sent again late. Seconds.
_FIRST_PATIENCE: Final = 3.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 4.0
# More interfaces than anybody has a way to the server from
_ALL_INTERFACES: Final = 16
_EARLY: Final = {
    EarlyData.NONE: "",
    EarlyData.OFFERED: "",
    EarlyData.ACCEPTED: ", early data accepted",
    EarlyData.REJECTED: ", early data rejected and sent again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user chose for all connections."""

    tls: TLSConfig = TLSConfig()  # noqa: RUF009 - frozen
    transport: TransportConfig = TransportConfig()  # noqa: RUF009 - frozen
    start: Sequence[str] = ()
    """Start here: on the first of these interfaces that is up."""
    migration: MigrationPolicy = MigrationPolicy()  # noqa: RUF009 - frozen
    networks: NetworkSource | None = None
    """None: the system's."""
    sessions: SessionStore | None = None
    """What was kept of earlier connections; None: nothing is."""
    early_data: bool = False
    """Whether requests go out before the server has answered, where it was visited before."""
    verbose: bool = False
    """Whether to tell how connections begin."""


@dataclass(slots=True, kw_only=True)
class Origins:
    """The connections of one run of the command, in a nursery of the caller's."""

    nursery: trio.Nursery
    settings: Settings
    tell: Callable[[str], None]
    began: float
    links: list[Link] = field(default_factory=list)
    _current: dict[Origin, Link] = field(default_factory=dict)
    _not_early: set[Origin] = field(default_factory=set)
    _finished: trio.Event = field(default_factory=trio.Event)

    async def link(self, origin: Origin) -> Link:
        """A connection to there. Raises `FetchError` when there is none to be had."""
        while True:
            link = self._current.get(origin)
            if link is not None and not link.usable:
                # the one that was tried beside it has a start
                link = link.beside
            if link is None or not link.usable:
                link = Link(origin)
                self.nursery.start_soon(self._run, link)
            self._current[origin] = link
            await link.decided.wait()
            if link.failure is not None:
                raise connecting_failed(link.failure, self.settings.tls) from link.failure
            if link.http is not None:
                return link
            # It was ended before there was anything to tell: the one beside which it was tried has
            # been heard again, or all of the command ends, as this task finds out at its next wait.

    async def pause(self, seconds: float) -> None:
        """Wait, at most until the networks change."""
        with trio.move_on_after(seconds):
            await (self.settings.networks or system_networks()).wait_changed()

    def drop(self, link: Link) -> None:
        """The connection failed somebody; the next one who needs it makes another."""
        link.failed = True

    def handshake_failed(self, link: Link, error: HandshakeError) -> None:
        """There was no connection after all, when early data had been sent already. It went where
        the server was the last time; the next attempt sends none, and looks for the server."""
        if link.origin not in self._not_early:
            self._not_early.add(link.origin)
            where = host_and_port(*link.origin)
            self.tell(f"no connection with early data to {where}: {error}; trying without")
        self.drop(link)

    async def finish(self) -> None:
        """Nobody needs a connection any more: end all of them."""
        self._finished.set()
        for link in self.links:
            assert link.http is not None
            if link.http.quic.health.state is not HealthState.GOOD:
                # nobody would hear that it is closed
                link.scope.cancel()
        for link in self.links:
            await link.over.wait()

    async def _run(self, link: Link, patience: float | None = None) -> None:
        """A connection from its beginning to its end. With `patience`, one beside another, which
        has that many seconds for its handshake with each address."""
        try:
            with link.scope:
                await self._serve(link, patience)
        except (QuicError, OSError, ValueError) as error:
            link.failure = error
        finally:
            link.over.set()
            link.decided.set()

    async def _serve(self, link: Link, patience: float | None) -> None:
        networks = self.settings.networks or system_networks()
        transport, migration = self.settings.transport, self.settings.migration
        early_data = self.settings.early_data and link.origin not in self._not_early
        interface = _first_up(networks, self.settings.start)
        if self._is_inside(link.origin[0]):
            # what was begun in a tunnel is not ended beside it
            migration, interface = migration.inside(), None
        if patience is not None:
            transport = replace(
                transport, handshake_timeout=min(patience, transport.handshake_timeout)
            )
            # the network of the other connection looks as if it worked
            migration = replace(migration, start_interfaces=_ALL_INTERFACES)
            early_data, interface = False, None
        host, port = link.origin
        async with (
            open_connection(
                host,
                port,
                alpn=["h3"],
                tls=self.settings.tls,
                transport=transport,
                migration=migration,
                networks=networks,
                interface=interface,
                sessions=self.settings.sessions,
                early_data=early_data,
            ) as conn,
            conn.path_events() as events,
            open_http3(conn) as http,
            trio.open_nursery() as nursery,
        ):
            link.http = http
            link.handovers = Handovers(conn, began=self.began, tell=self.tell)
            self.links.append(link)
            nursery.start_soon(link.handovers.follow, events)
            link.decided.set()
            self.nursery.start_soon(self._replace, link, conn)
            if self.settings.verbose:
                nursery.start_soon(self._tell_of, link.origin, conn)
            nursery.start_soon(self._end_of, http, nursery)

    def _is_inside(self, host: str) -> bool:
        """Whether the host was reached through a tunnel, perhaps by a connection that began outside
        and was moved into it."""
        return any(
            link.http.quic.in_tunnel
            for link in self.links
            if link.origin[0] == host and link.http is not None
        )

    # -- beside one that is not heard --------------------------------------------------------------

    async def _replace(self, link: Link, conn: Connection) -> None:
        """Whenever the server is not heard on a connection, look for a better one; until there is
        one, or the connection is over."""
        patience, pause = _FIRST_PATIENCE, _FIRST_PAUSE
        while True:
            health = await conn.wait_unhealthy()
            if health.state is HealthState.OVER or self._finished.is_set():
                return
            other = link.beside = Link(link.origin)
            self.nursery.start_soon(self._run, other, patience)
            await _until_heard(conn, other.decided.wait)
            if conn.health.state is HealthState.OVER:
                # whoever needs it finds it with the old one
                return
            if conn.health.state is HealthState.GOOD:
                patience, pause = _FIRST_PATIENCE, _FIRST_PAUSE
                link.beside = None
                other.scope.cancel()
            elif other.usable:
                self._take_over(link, other)
                return
            else:
                await _until_heard(conn, partial(self.pause, pause))
                patience, pause = patience * 2, min(pause * 2, _LONGEST_PAUSE)

    def _take_over(self, link: Link, other: Link) -> None:
        where = host_and_port(*link.origin)
        self.tell(f"no answer from {where}: going on over a new connection")
        if self._current.get(link.origin, link) is link:
            self._current[link.origin] = other
        link.leave()

    async def _tell_of(self, origin: Origin, conn: Connection) -> None:
        """Say how the connection begins."""
        with suppress(QuicError, trio.ClosedResourceError):
            await conn.wait_handshake()
            how = "the session resumed" if conn.resumed else "a full handshake"
            text = f"{how}{_EARLY[conn.early_data]}"
            self.tell(f"connected to {host_and_port(*origin)} over QUIC {conn.version}: {text}")

    async def _end_of(self, http: HTTP3Connection, nursery: trio.Nursery) -> None:
        """Wait until the connection is not needed or of no use, and end it."""
        async with trio.open_nursery() as waiting:

            async def either(event: Callable[[], Awaitable[None]]) -> None:
                await event()
                waiting.cancel_scope.cancel()

            waiting.start_soon(either, http.wait_closed)
            waiting.start_soon(either, self._finished.wait)
        nursery.cancel_scope.cancel()


async def _until_heard(conn: Connection, wait: Callable[[], Awaitable[None]]) -> None:
    """Wait, at most until the server is heard on the connection, or that is over."""
    async with trio.open_nursery() as nursery:

        async def heard() -> None:
            with suppress(QuicError, trio.ClosedResourceError):
                await conn.wait_healthy()
            nursery.cancel_scope.cancel()

        nursery.start_soon(heard)
        await wait()
        nursery.cancel_scope.cancel()


def _first_up(networks: NetworkSource, names: Sequence[str]) -> str | None:
    """The connection begins on the first named interface that is up."""
    up = {interface.name for interface in networks.snapshot() if interface.up}
    return next((name for name in names if name in up), names[0] if names else None)
