"""One HTTP/3 connection of the pool, from the attempt to its end, in a task of its own.

The task opens the connection, tells so, and serves it: until the connection is of no use any more,
until it has been idle for too long, or until it is told to end. What goes wrong is kept for the
requests that wait for it. How many requests it can take is counted here, decided in the pool.

A ready connection is in doubt while what it asked has no answer on any path, or there is no path;
that is the QUIC connection's to know. It gets no requests then, and those that wait for a response
are told, as they may have another way; when the server is heard again it is as good as before.
"""

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from enum import Enum
from typing import Final

import trio

from ... import Connection, HealthState, QuicError
from ..._groups import hidden_nursery
from ..blocks import Blocks
from ..connection import HTTP3Connection
from .discovery import Endpoint

# So many requests wait for one attempt before another one is made; RFC 9114 section 6.1 asks
# servers to allow at least as many
EXPECTED_STREAMS = 100

Opener = Callable[["PooledConnection"], AbstractAsyncContextManager[HTTP3Connection]]
"""Connects it, for as long as the block lasts."""


class State(Enum):
    """How far a connection is."""

    CONNECTING = "connecting"
    EARLY = "early"
    READY = "ready"
    FAILED = "failed"
    OVER = "over"


class Step(Enum):
    """What takes it further."""

    EARLY_DATA = "requests can go out as early data"
    HANDSHAKE = "the handshake is complete"
    END = "its end"


STEPS: Final[dict[tuple[State, Step], State]] = {
    (State.CONNECTING, Step.EARLY_DATA): State.EARLY,
    (State.CONNECTING, Step.HANDSHAKE): State.READY,
    (State.CONNECTING, Step.END): State.FAILED,
    (State.EARLY, Step.HANDSHAKE): State.READY,
    (State.EARLY, Step.END): State.FAILED,
    (State.READY, Step.END): State.OVER,
}


class PooledConnection:
    """A connection to one endpoint, or the attempt to make one. `early_data` is that of
    `open_connection`; with `patience` it is one beside another that is not heard, and so many
    seconds are for each address. `changed` hears when its state is another one."""

    def __init__(
        self,
        endpoint: Endpoint,
        changed: Callable[["PooledConnection"], None],
        *,
        early_data: bool,
        patience: float | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._changed = changed
        self.early_data = early_data
        self.patience = patience
        self.started_at: float = trio.current_time()
        self.http3: HTTP3Connection | None = None
        self.error: Exception | None = None
        # requests can be sent, perhaps as early data only; or they never can
        self.opened: trio.Event = trio.Event()
        # the handshake is complete, or never will be
        self.settled: trio.Event = trio.Event()
        self._state = State.CONNECTING
        self.users: int = 0
        self.idle_since: float = math.inf
        self._attempt = trio.CancelScope()
        self._stay = trio.CancelScope()
        self._wanted = trio.Event()
        # nothing came for as long as a request was willing to wait
        self._void = False
        self._left = False
        self._while_good = Blocks()
        self._while_doubtful = Blocks()
        self._while_best = Blocks()

    def __repr__(self) -> str:
        state = "in doubt" if self.doubtful else self._state.value
        return f"<PooledConnection to {self.endpoint.authority} {state}, {self.users} requests>"

    def _step(self, step: Step) -> None:
        self._state = STEPS[self._state, step]

    async def run(self, open_http3: Opener) -> None:
        """Serve to the end."""
        try:
            with self._attempt:
                async with open_http3(self) as http3:
                    self.http3 = http3
                    if not http3.quic.handshake_complete:
                        self._step(Step.EARLY_DATA)
                        self.opened.set()
                        await http3.quic.wait_handshake_complete()
                    self._step(Step.HANDSHAKE)
                    self.opened.set()
                    self.settled.set()
                    self._changed(self)
                    with self._stay:
                        await self._serve(http3)
        except Exception as error:
            # its traceback refers to this object, which is kept as long
            self.error = error.with_traceback(None)
        finally:
            self._step(Step.END)
            self.opened.set()
            self.settled.set()
            self._while_doubtful.leave()
            self._changed(self)

    async def _serve(self, http3: HTTP3Connection) -> None:
        async with hidden_nursery("trioquic.http3") as nursery:
            nursery.start_soon(self._watch_room, http3.quic)
            nursery.start_soon(self._watch_health, http3.quic)
            await http3.wait_closed()

    async def _watch_room(self, quic: Connection) -> None:
        """The server's credit for streams comes whenever it likes."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            if not await _came(quic.wait_open_stream_might_not_block):
                return
            self._changed(self)

    async def _watch_health(self, quic: Connection) -> None:
        while await _came(quic.wait_unhealthy):
            if quic.closed:
                # there is no doubt about it; its requests find out by themselves
                return
            self._while_good.leave()
            self._changed(self)
            if not await _came(quic.wait_healthy):
                return
            self._left = False
            self._while_doubtful.leave()
            self._changed(self)

    def while_good(self) -> AbstractContextManager[object]:
        """Leave the block when the connection is in doubt."""
        return self._while_good.entered(self.doubtful)

    def while_doubtful(self) -> AbstractContextManager[object]:
        """Leave it when the connection is in doubt no more, or over."""
        return self._while_doubtful.entered(not self.doubtful)

    def while_best(self) -> AbstractContextManager[object]:
        """Leave it when the connection is in doubt, and there is another one."""
        return self._while_best.entered(self._left)

    def leave(self) -> None:
        """There is another connection, and this one is not heard."""
        self._left = True
        self._while_best.leave()

    def suspect(self) -> None:
        """Nothing has come in time: if nothing at all came, this connection is of no use, and ends
        with the request that says so, or with others that have still hope."""
        self._void |= self.doubtful

    def want_room(self) -> None:
        """Tell when there may be room for one request more."""
        self._wanted.set()

    @property
    def connecting(self) -> bool:
        return self._state in (State.CONNECTING, State.EARLY)

    @property
    def failed(self) -> bool:
        """Whether nothing came of the attempt."""
        return self._state is State.FAILED

    @property
    def over(self) -> bool:
        """Whether nothing can be done with it any more."""
        return self._state in (State.FAILED, State.OVER)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, in doubt or not."""
        return self._state is State.READY

    @property
    def takes_early_data(self) -> bool:
        """Whether a request can be sent as early data now."""
        if self.http3 is None or self._state is not State.EARLY:
            return False
        return self.http3.quic.available_streams > 0

    @property
    def failed_early(self) -> bool:
        """Whether nothing came of an attempt that could send early data."""
        return self.failed and self.http3 is not None

    @property
    def doubtful(self) -> bool:
        """Whether there was a connection, and nobody is heard on it."""
        if self.http3 is None or not self.connected:
            return False
        return self._void or self.http3.quic.health.state is not HealthState.GOOD

    @property
    def ended_here(self) -> bool:
        """Whether this side has ended it."""
        return self._stay.cancel_called or self._attempt.cancel_called

    @property
    def usable(self) -> bool:
        """Whether new requests may be given to it, now or when it is connected."""
        if self.over or self.ended_here or self.doubtful:
            return False
        return self.connecting or (self.http3 is not None and self.http3.available)

    @property
    def room(self) -> int:
        """How many requests more it takes without letting them wait for a stream; less than 0 when
        some wait already."""
        if self.http3 is None or not self.connected:
            return EXPECTED_STREAMS - self.users
        without_stream = self.users - self.http3.active_requests
        return self.http3.quic.available_streams - max(0, without_stream)

    def take(self) -> None:
        self.users += 1
        self.idle_since = math.inf
        self._stay.deadline = math.inf

    def release(self) -> None:
        self.users -= 1
        if not self.users:
            self.idle_since = trio.current_time()
            if self._void:
                self.abort()

    def expire_after(self, seconds: float) -> None:
        """End after so many seconds without a request."""
        self._stay.deadline = trio.current_time() + seconds

    def end(self) -> None:
        """Take no more requests and close: at once while connecting, else gracefully."""
        if self.connecting:
            self._attempt.cancel()
        else:
            self._stay.cancel()

    def abort(self) -> None:
        """Close at once, with one datagram."""
        self._attempt.cancel()


async def _came(wait: Callable[[], Awaitable[object]]) -> bool:
    """Wait for it; False: the connection is over. What the pool does then may fail, too, and is no
    matter of the connection."""
    try:
        await wait()
    except (QuicError, trio.ClosedResourceError):
        return False
    return True
