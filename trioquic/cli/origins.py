"""One HTTP/3 connection for each origin, shared by all downloads from there, made again if lost.

A connection is a task. Whoever needs it waits for it to be there; the first one to need it starts
it. It is replaced when it is of no use any more, never while requests on it go on.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from .. import (
    HandshakeError,
    NetworkSource,
    TLSConfig,
    TransportConfig,
    open_connection,
    system_networks,
)
from ..http3 import HTTP3Connection, open_http3
from ..sessions import SessionStore
from .chosen_networks import ChosenNetworks, policy_for
from .failures import connecting_failed
from .handovers import Handovers

Origin = tuple[str, int]


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


@dataclass(slots=True, kw_only=True)
class Origins:
    """The connections of one run of the command, in a nursery of the caller's."""

    nursery: trio.Nursery
    settings: Settings
    tell: Callable[[str], None]
    began: float
    links: list[Link] = field(default_factory=list)
    _current: dict[Origin, Link] = field(default_factory=dict)
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
            nursery.start_soon(self._end_of, http, nursery)

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
