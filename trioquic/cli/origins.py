"""One HTTP/3 connection for each origin, shared by all downloads from there, made again if lost.

A connection is a task. Whoever needs it waits for it to be there; the first one to need it starts
it. It is replaced when it is of no use any more, never while requests on it go on.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import trio

from .. import (
    Connection,
    EarlyData,
    HandshakeError,
    NetworkSource,
    QuicError,
    TLSConfig,
    TransportConfig,
    open_connection,
    system_networks,
)
from ..http3 import HTTP3Connection, open_http3
from ..sessions import SessionStore
from .chosen_networks import ChosenNetworks, policy_for
from .console import host_and_port
from .failures import connecting_failed
from .handovers import Handovers

Origin = tuple[str, int]

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
    interfaces: Sequence[str] = ()
    networks: NetworkSource | None = None
    """None: the system's."""
    sessions: SessionStore | None = None
    """What was kept of earlier connections; None: nothing is."""
    early_data: bool = False
    """Whether requests go out before the server has answered, where it was visited before."""
    verbose: bool = False
    """Whether to tell how connections begin."""


class Link:
    """One connection at work."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.handovers: Handovers | None = None
        self.http: HTTP3Connection | None = None
        self.failure: Exception | None = None
        self.decided: trio.Event = trio.Event()  # there is a connection, or a failure
        self.over: trio.Event = trio.Event()

    @property
    def usable(self) -> bool:
        """Whether a request can be made now or soon."""
        return not self.decided.is_set() or (self.http is not None and self.http.available)

    @property
    def connected(self) -> bool:
        """Whether the server is authenticated; requests as early data need not wait for that."""
        return self.http is not None and self.http.quic.handshake_complete


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
        link = self._current.get(origin)
        if link is None or not link.usable:
            link = self._current[origin] = Link(origin)
            self.nursery.start_soon(self._run, link)
        await link.decided.wait()
        if link.failure is not None:
            raise connecting_failed(link.failure) from link.failure
        return link

    def drop(self, link: Link) -> None:
        """The connection failed somebody; the next one who needs it makes another."""
        if self._current.get(link.origin) is link:
            del self._current[link.origin]

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
            await link.over.wait()

    async def _run(self, link: Link) -> None:
        """A connection from its beginning to its end."""
        try:
            await self._serve(link)
        except (HandshakeError, OSError, ValueError) as error:
            link.failure = error
        finally:
            link.decided.set()
            link.over.set()

    async def _serve(self, link: Link) -> None:
        names = self.settings.interfaces
        networks = self.settings.networks or system_networks()
        if names:
            networks = ChosenNetworks(networks, names)
        host, port = link.origin
        async with (
            open_connection(
                host,
                port,
                alpn=["h3"],
                tls=self.settings.tls,
                transport=self.settings.transport,
                migration=policy_for(names),
                networks=networks,
                interface=_first_up(networks, names),
                sessions=self.settings.sessions,
                early_data=self.settings.early_data and link.origin not in self._not_early,
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
            if self.settings.verbose:
                nursery.start_soon(self._tell_of, link.origin, conn)
            nursery.start_soon(self._end_of, http, nursery)

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


def _first_up(networks: NetworkSource, names: Sequence[str]) -> str | None:
    """The connection begins on the first named interface that is up."""
    up = {interface.name for interface in networks.snapshot() if interface.up}
    return next((name for name in names if name in up), names[0] if names else None)
