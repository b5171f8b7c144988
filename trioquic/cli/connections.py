"""The connections of one run of the command, on the HTTP client's lower half, and what is told of
them while they live."""

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import trio

from .. import Connection, EarlyData, HandshakeError, QuicError, system_networks
from .._groups import hidden_nursery
from ..http3 import Headers, HTTP3Connection, PoolLimits
from ..http3.client.call import Call
from ..http3.client.connection import PooledConnection
from ..http3.client.origins import Origins, open_origins
from ..http3.client.settings import Settings
from ..http3.exchange import Exchange
from ..http3.url import Target, host_and_port
from .handovers import WatchedConnection

_EARLY: Final = {
    EarlyData.NONE: "",
    EarlyData.OFFERED: "",
    EarlyData.ACCEPTED: ", early data accepted",
    EarlyData.REJECTED: ", early data rejected and sent again",
}
_NO_LIMITS: Final = PoolLimits(
    max_connections=math.inf, max_idle_connections=math.inf, idle_expiry=math.inf
)


class Connections:
    """Those of one run, in a block of `opened`; `verbose`: it is told how they begin."""

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[str], None],
        began: float,
        *,
        verbose: bool = False,
    ) -> None:
        self.settings = settings
        self.tell = tell
        self._verbose = verbose
        self.all: list[WatchedConnection] = []
        self._began = began
        self._left: set[WatchedConnection] = set()
        self._origins: Origins

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """The block in which they live. At its end they are closed, those that are heard
        gracefully."""
        settings = replace(
            self.settings,
            limits=_NO_LIMITS,
            # a download has its own way to wait
            outage=0.0,
            seek=True,
            watch=self._watch,
        )
        async with open_origins(settings) as self._origins:
            yield

    async def get(self, target: Target, headers: Headers) -> Exchange:
        """A GET request whose response has begun. Raises `RequestFailedError`."""
        call = Call(
            method="GET",
            origin=target.origin,
            authority=target.authority,
            path=target.path,
            fields=headers,
        )
        exchange = await self._origins.router.send(call)
        assert isinstance(exchange, Exchange)
        return exchange

    def watched(self, quic: Connection) -> WatchedConnection:
        return next(one for one in self.all if one.quic is quic)

    async def pause(self, seconds: float) -> None:
        """Wait, at most until the networks change."""
        with trio.move_on_after(seconds):
            await (self.settings.networks or system_networks()).wait_changed()

    def leave(self, connection: WatchedConnection) -> None:
        """Somebody goes on over another connection than this one."""
        if connection not in self._left:
            self._left.add(connection)
            where = host_and_port(*connection.origin)
            self.tell(f"no answer from {where}: going on over a new connection")

    @asynccontextmanager
    async def _watch(self, pooled: PooledConnection, http: HTTP3Connection) -> AsyncGenerator[None]:
        quic = http.quic
        watched = WatchedConnection(pooled, quic, began=self._began, tell=self.tell)
        where = host_and_port(*watched.origin)
        self.all.append(watched)
        early = not quic.handshake_complete
        async with quic.path_events() as events, hidden_nursery("trioquic.cli") as nursery:
            nursery.start_soon(watched.follow, events)
            if self._verbose:
                nursery.start_soon(self._tell_of, where, quic)
            try:
                yield
            except HandshakeError as error:
                if early:
                    text = f"no connection with early data to {where}: {error}; trying without"
                    self.tell(text)
                raise

    async def _tell_of(self, where: str, quic: Connection) -> None:
        with suppress(QuicError, trio.ClosedResourceError):
            await quic.wait_handshake_complete()
            how = "the session resumed" if quic.resumed else "a full handshake"
            text = f"{how}{_EARLY[quic.early_data]}"
            self.tell(f"connected to {where} over QUIC {quic.version}: {text}")
