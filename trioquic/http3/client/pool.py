"""The connections of a client, and the requests that wait for one.

Every change (a request comes or goes; a connection settles, ends, or is allowed more streams) runs
`_assign`, which gives waiting requests to connections, in order. A request goes to a connection of
its endpoint that has room for a stream. RFC 9114 section 3.3 wants one connection to a server; a
second one is made where the first is full, and others in place of those that take no more requests.

When another one has been made in place of a connection in doubt, that is kept only for what is
under way on it. An idle connection gives its place to one that is needed.

For whoever can ask for the rest of a response elsewhere (`Settings.seek`), others are tried beside
a connection in doubt as soon as that is known, over every interface that may be used, until one of
them is there or the first one is heard again.
"""

import math
from types import NoneType
from typing import Final

import trio

from ... import ApplicationCodeError, InternalError, LocalAddressError, NetworkSource
from ..failure import CLOSED, Phase, RequestFailedError
from ..timeouts import Timeouts, wait_until
from ..url import Origin
from .connection import Opener, PooledConnection
from .discovery import Discovery, Endpoint
from .settings import Settings
from .slot import PoolSlot

# Usable connections to one endpoint
_MOST_TO_ONE: Final = 2
# For so long, in seconds, a connection that was lost says that there is an outage
_OUTAGE: Final = 5.0
# What is wrong on this machine; None: nothing, the attempt was cancelled
_OWN_FAULTS: Final = (LocalAddressError, ApplicationCodeError, InternalError, NoneType)
# A connection that is sought beside one that is not heard is given so long at first, in seconds,
# and twice that each time: what was sent into a network that was dead then is sent again late
_FIRST_PATIENCE: Final = 3.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 4.0


class _Waiter:
    def __init__(self, endpoint: Endpoint, connect: float, patience: float) -> None:
        self.endpoint = endpoint
        self.connect = connect
        self.patience = patience
        self.slot: PoolSlot | None = None
        self.woken = trio.Event()


class Pool:
    def __init__(
        self,
        nursery: trio.Nursery,
        open_http3: Opener,
        settings: Settings,
        discovery: Discovery,
        networks: NetworkSource,
    ) -> None:
        self._nursery = nursery
        self._open_http3 = open_http3
        self._discovery = discovery
        self._networks = networks
        self.early_data: bool = settings.early_data
        self._seeks = settings.seek
        self._seeking: set[PooledConnection] = set()
        # the last attempt could send early data there, and failed
        self._not_early: set[Endpoint] = set()
        self._limits = settings.limits
        self._connections: list[PooledConnection] = []
        # they gave way to others, and are being closed
        self._leaving: list[PooledConnection] = []
        self._waiters: list[_Waiter] = []
        self._lost: dict[Origin, float] = {}
        self.closed: bool = False
        """Whether no more requests are taken."""
        # a connection became ready, or ended
        self._news = trio.lowlevel.ParkingLot()

    @property
    def connections(self) -> tuple[PooledConnection, ...]:
        """Those that are open or being opened, oldest first."""
        return tuple(self._connections)

    async def acquire(
        self, endpoint: Endpoint, timeouts: Timeouts, patience: float = math.inf
    ) -> PoolSlot:
        """A slot on a connection, which may be an attempt still: see `PoolSlot`. `patience` is how
        old the attempt may become, in seconds.

        Raises `RequestFailedError`. Cancelled, the slot is free again, and an attempt that nobody
        waits for is given up.
        """
        waiter = _Waiter(endpoint, timeouts.connect, patience)
        self._waiters.append(waiter)
        self._assign()
        try:
            await wait_until(waiter.woken, trio.current_time() + timeouts.pool)
        except BaseException:
            if waiter.slot is not None:
                waiter.slot.abandon()
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        if waiter.slot is not None:
            return waiter.slot
        if self.closed:
            raise RequestFailedError(Phase.CONNECT, trio.ClosedResourceError(CLOSED))
        text = f"no free connection to {endpoint.authority} in time"
        raise RequestFailedError(Phase.SLOT, text=text)

    def tidy(self, connection: PooledConnection) -> None:
        """A request has left the connection."""
        if not connection.users and not connection.connecting:
            connection.expire_after(self._limits.idle_expiry)
            idle = [one for one in self._idle if one.usable and not one.connecting]
            if len(idle) > min(self._limits.max_connections, self._limits.max_idle_connections):
                min(idle, key=lambda one: one.idle_since).end()
        self._assign()

    @property
    def _idle(self) -> list[PooledConnection]:
        return [one for one in self._connections if not one.users]

    def close_to_new(self) -> None:
        """Take no more requests; those that wait for a slot fail."""
        self.closed = True
        self._assign()

    async def aclose(self) -> None:
        """Close all connections: gracefully, or at once if this is cancelled; requests that are not
        complete fail. Idempotent."""
        self.close_to_new()
        for connection in self._connections:
            if connection.doubtful:
                # nobody would hear a farewell
                connection.abort()
            else:
                connection.end()
        try:
            await trio.lowlevel.checkpoint()
            while self._connections or self._leaving:
                await self._news.park()
        except BaseException:
            for connection in self._connections + self._leaving:
                connection.abort()
            raise

    def has_outage(self, origin: Origin) -> bool:
        """Whether there was a connection to the origin a moment ago, and now there is none."""
        if trio.current_time() < self._lost.get(origin, -math.inf) + _OUTAGE:
            return True
        return any(one.doubtful for one in self._connections if one.endpoint.origin == origin)

    def is_ready(self, origin: Origin) -> bool:
        """Whether a connection to the origin can be used without waiting for it."""
        known = [one for one in self._connections if one.endpoint.origin == origin]
        return any(one.usable and one.connected for one in known)

    async def wait_ready(self, origin: Origin, seconds: float) -> None:
        """Wait until `is_ready`, at most so long."""
        with trio.move_on_after(seconds):
            while not self.is_ready(origin):
                await self._news.park()

    def _changed(self, connection: PooledConnection) -> None:
        self._not_early.discard(connection.endpoint)
        if not connection.over:
            if connection.usable:
                self._on_ready(connection)
            if connection.doubtful:
                self._on_doubt(connection)
            self.tidy(connection)
            return
        for some in (self._connections, self._leaving):
            if connection in some:
                some.remove(connection)
        self._on_end(connection)
        self._news.unpark_all()
        self._assign()

    def _on_ready(self, connection: PooledConnection) -> None:
        self._discovery.worked(connection.endpoint)
        self._lost.pop(connection.endpoint.origin, None)
        self._news.unpark_all()
        for other in self._connections:
            # what is under way on it, and nothing else, may still come
            if other.doubtful and other.endpoint == connection.endpoint:
                if other.users:
                    other.leave()
                else:
                    other.abort()

    def _on_doubt(self, connection: PooledConnection) -> None:
        if any(one.connected for one in self._usable(connection.endpoint)):
            connection.leave()
        elif self._seeks and connection not in self._seeking and not self.closed:
            self._seeking.add(connection)
            self._nursery.start_soon(self._seek, connection)

    async def _seek(self, silent: PooledConnection) -> None:
        patience, pause = _FIRST_PATIENCE, _FIRST_PAUSE
        other = None
        with silent.while_doubtful():
            while not self.closed and (other is None or not other.connected):
                other = next(iter(self._usable(silent.endpoint)), None)
                other = other or self._start(silent.endpoint, patience)
                await other.settled.wait()
                if not other.connected:
                    with trio.move_on_after(pause):
                        await self._networks.wait_changed()
                    patience, pause = patience * 2, min(pause * 2, _LONGEST_PAUSE)
        self._seeking.discard(silent)
        if not silent.over and other is not None and other.connecting and not other.users:
            # heard again; whoever needs it when it is over finds it with the other one
            other.end()

    def _on_end(self, connection: PooledConnection) -> None:
        if connection.failed_early:
            # It went to one address only, where the server was the last time.
            self._not_early.add(connection.endpoint)
        elif connection.http3 is None:
            # what is wrong on this machine is not the place's fault
            if not isinstance(connection.error, _OWN_FAULTS):
                self._discovery.failed(connection.endpoint, trio.current_time())
        elif not connection.ended_here:
            now = trio.current_time()
            lost = {o: at for o, at in self._lost.items() if now < at + _OUTAGE}
            self._lost = {**lost, connection.endpoint.origin: now}

    def _assign(self) -> None:
        for waiter in list(self._waiters):
            connection = None if self.closed else self._connection_for(waiter.endpoint)
            if connection is not None:
                connection.take()
                waiter.slot = PoolSlot(connection, self.tidy, waiter.connect, waiter.patience)
            if connection is not None or self.closed:
                self._waiters.remove(waiter)
                waiter.woken.set()

    def _connection_for(self, endpoint: Endpoint) -> PooledConnection | None:
        usable = self._usable(endpoint)
        for connection in usable:
            if connection.room > 0:
                return connection
        if len(usable) < _MOST_TO_ONE and self._make_room():
            return self._start(endpoint)
        for connection in usable:
            connection.want_room()
        return None

    def _usable(self, endpoint: Endpoint) -> list[PooledConnection]:
        return [one for one in self._connections if one.endpoint == endpoint and one.usable]

    def _make_room(self) -> bool:
        if len(self._connections) < self._limits.max_connections:
            return True
        oldest = min(self._idle, key=lambda one: one.idle_since, default=None)
        if oldest is None:
            return False
        oldest.end()
        self._connections.remove(oldest)
        self._leaving.append(oldest)
        return True

    def _start(self, endpoint: Endpoint, patience: float | None = None) -> PooledConnection:
        early_data = self.early_data and endpoint not in self._not_early and patience is None
        connection = PooledConnection(
            endpoint, self._changed, early_data=early_data, patience=patience
        )
        self._connections.append(connection)
        self._nursery.start_soon(connection.run, self._open_http3)
        return connection
