"""The one place that touches the core and then flushes: receive, core, send, events, timer.

Path tasks bring datagrams in, stream calls and path commands change the core; each ends in
`flush()`, which sends what there is to send on every path, tells waiting tasks what happened and
moves the timer. Stream calls leave it to the timer, which does it for all of one turn together.
Nothing here awaits, so the core is never seen half-changed.

An exception out of the core is a bug, unless code of the application's has raised it: it stops the
connection, and comes out as `InternalError` or `ApplicationCodeError` where it happened and in
every later call (`lifecycle.py`).
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import trio

from .._protocol import events
from .._protocol.connection import ClientConnection
from .._protocol.errors import INTERNAL_ERROR
from .._protocol.events import Event, StreamOpened, StreamReadable, StreamsAvailable, StreamWritable
from .._protocol.lifetime import CoreState
from .._protocol.tls.state import EarlyData
from .asleep import LONG, Asleep
from .endings import Wait
from .lifecycle import Lifecycle
from .sockets.sockets import Received
from .timer import Timer
from .tracing.trace import TraceWriter
from .waiting import EventWaiters, Reason, StreamWaiters

_BLOCKED_PAUSE: Final = 0.001

Keep = Callable[[events.TicketReceived | events.TokenReceived], None]
"""Is told of what a later connection can use."""


class PumpedLink(Protocol):
    """What the driver needs of one path at work, a `PathLink`."""

    @property
    def blocked(self) -> bool: ...
    def pump(self, now: float) -> None: ...
    def wake(self) -> None: ...
    def read_waiting(self) -> None: ...


class PathListener(Protocol):
    """Who has the paths at work, and is told what happens to them: `PathSet`."""

    @property
    def links(self) -> Mapping[int, PumpedLink]: ...
    def on_path_event(self, event: Event) -> None: ...
    def on_woken(self) -> bool:
        """Nobody listened for a while. Whether somebody looks at the networks now, and says with
        `Driver.release` that sending may go on."""
        ...


class Driver:
    """The core of one connection, and everybody who waits for it."""

    def __init__(
        self,
        core: ClientConnection,
        trace: TraceWriter | None,
        drain_timeout: float,
        assumed: events.HandshakeCompleted | None,
    ) -> None:
        self.core = core
        self.trace = trace
        self._drain_timeout = drain_timeout
        self.timer = Timer()
        self.life = Lifecycle(assumed)
        self.listener: PathListener | None = None
        self._keep: Keep | None = None
        self.readers = StreamWaiters()
        self.writers = StreamWaiters()
        self.waiters = EventWaiters()
        # streams that nobody has accepted yet; as few as the server may open
        self.incoming: list[int] = []
        self._asleep = Asleep()
        # nothing is sent before somebody has looked whether there is still a network
        self.held = False

    def attach(self, listener: PathListener) -> None:
        """Somebody has the paths at work."""
        self.listener = listener

    def attach_keeper(self, keep: Keep) -> None:
        """Somebody wants what a later connection can use."""
        self._keep = keep

    def detach(self) -> None:
        """The connection is gone: let go of who would be told."""
        self.listener = self._keep = None

    def set_wait(self, wait: Wait | None) -> None:
        """There is no path; or there is one, with None."""
        if self.life.on_waiting(wait):
            self.waiters.wake(Reason.HEALTH)

    def _links(self) -> tuple[PumpedLink, ...]:
        return () if self.listener is None else tuple(self.listener.links.values())

    # -- the way in and out ----------------------------------------------------------------------

    def receive(self, path_id: int, received: Received) -> None:
        """Datagrams came in on a path. `flush` must follow."""
        data, segment_size, ecn = received
        try:
            self.notice_sleep()
            self.core.receive(path_id, data, segment_size, ecn, trio.current_time())
        except Exception as error:
            stopped = self.stop_for(error)
            raise stopped from stopped.__cause__

    def flush(self) -> None:
        """Send what can be sent, tell what happened, set the timer."""
        core = self.core
        self.timer.on_flush()
        try:
            self.notice_sleep()
            now = trio.current_time()
            blocked = False
            for link in self._links():
                if not self.held:
                    link.pump(now)
                blocked |= link.blocked
            self.tell()
            deadline = core.next_deadline(now)
            if blocked:
                # More data may be due at once, but the socket has to take the last first; that
                # flushes again, and this keeps the timer from turning idly until then.
                deadline = max(deadline, now + _BLOCKED_PAUSE)
            # What is due already is late from now on only: see `notice_sleep`.
            self.timer.set(max(deadline, now))
        except Exception as error:
            stopped = self.stop_for(error)
            raise stopped from stopped.__cause__
        if core.state is CoreState.CLOSED:
            self.life.stopped.set()

    async def run(self) -> None:
        """Flush when nobody else does, until cancelled."""
        await self.timer.run(self._on_deadline, self.flush)

    def flush_if_pending(self) -> None:
        """After a read: there is something to send only now and then."""
        if self.core.streams.has_pending():
            self.timer.soon()

    def _on_deadline(self) -> None:
        try:
            self.notice_sleep()
            self.core.handle_deadline(trio.current_time())
        except Exception as error:
            stopped = self.stop_for(error)
            raise stopped from stopped.__cause__
        self.flush()

    # -- after sleep -----------------------------------------------------------------------------

    def notice_sleep(self) -> bool:
        """If the machine slept or the program stood still: end what has expired meanwhile, without
        a word to the server, which has forgotten it; else take in what has come, and let nothing
        out before the networks were looked at. Whether that was so; then `flush` must follow."""
        now = trio.current_time()
        slept = self._asleep.take()
        if (slept == 0.0 and self.timer.lateness(now) < LONG) or self.life.ended:
            return False
        core = self.core
        self.timer.forget()
        core.on_slept(slept)
        if now >= core.idle_deadline:
            core.handle_deadline(now)
            return True
        for link in self._links():
            link.read_waiting()
        if not core.handshake_confirmed:
            return True
        core.resume(now)
        self.held = self.listener is not None and self.listener.on_woken()
        return True

    def release(self) -> None:
        """The networks were looked at: what waits may go out with the next flush."""
        self.held = False

    # -- the end ---------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Wait until all data of finished streams is acknowledged and a ticket has had its time to
        come, there is no hope for it, or the time has come."""
        until = trio.current_time() + self._drain_timeout
        if self.timer.wanted and not self.life.ended:
            # what was written to other streams is at least sent
            self.flush()
        if not self._drained:
            with trio.move_on_at(until):
                while not self._drained:
                    await self.waiters.wait(Reason.ARRIVED)

    @property
    def _drained(self) -> bool:
        return self.life.ended or (self.core.streams.drained and not self._ticket_to_come)

    @property
    def _ticket_to_come(self) -> bool:
        """The answer to early data is here a round trip before the ticket for the next connection:
        a server gives that when it has our part of the handshake, and then confirms it."""
        completed = self.life.completed
        return (
            self._keep is not None
            and completed is not None
            and completed.early_data is EarlyData.ACCEPTED
            and not self.life.is_confirmed
        )

    def begin_close(self) -> None:
        """This side wants no more: every call from now on is refused, whoever waits is woken."""
        self.held = False
        self.life.on_closing()
        self._wake_everyone()

    def close(self, code: int, reason: str) -> None:
        """Tell the core to close, as far as it still can; `flush` or `send_last` sends it."""
        self.life.on_closing()
        now = trio.current_time()
        if not self.life.broken:
            self.core.close(code, reason, True, now)
            # Whoever waits may be in no scope that is cancelled: nobody else wakes them.
            self.tell()
            return
        try:
            self.core.close(INTERNAL_ERROR, "", False, now)
        except Exception:
            # The core is broken already, and the bug that broke it is what gets reported.
            return

    def give_up(self, reason: str, *, timed_out: bool = False) -> None:
        """No path was found in time, or the handshake came to nothing, perhaps because it has
        `timed_out`: the connection is lost, and nobody can be told."""
        if timed_out:
            self.life.on_timed_out()
        self.core.give_up(reason)
        self.flush()

    def stop_for(self, error: Exception) -> Exception:
        """A task of the connection cannot go on, nor can the connection; returns what to raise."""
        stopped = self.life.on_bug(error)
        self._wake_everyone()
        return stopped

    def _wake_everyone(self) -> None:
        self.readers.wake_all()
        self.writers.wake_all()
        self.waiters.wake_all()
        for link in self._links():
            link.wake()
        self.life.release()

    # -- events ----------------------------------------------------------------------------------

    def tell(self) -> None:
        """Tell what happened in the core."""
        event = self.core.next_event()
        while event is not None:
            self._on_event(event)
            event = self.core.next_event()

    def _on_event(self, event: Event) -> None:
        match event:
            case StreamReadable(stream_id=number):
                self.readers.wake(number)
            case StreamWritable(stream_id=number):
                self.writers.wake(number)
                self.waiters.wake(Reason.ARRIVED)
            case StreamOpened(stream_id=number):
                self.incoming.append(number)
                self.waiters.wake_one(Reason.INCOMING)
            case StreamsAvailable(bidirectional=kind):
                self.waiters.wake(Reason.BIDIRECTIONAL if kind else Reason.UNIDIRECTIONAL)
            case _:
                if self.trace is not None:
                    self.trace.on_event(event, self.core.peer_parameters)
                self._on_rare_event(event)

    def _on_rare_event(self, event: Event) -> None:
        match event:
            case events.PathEvent() | events.Migrated() | events.PreferredAddressSettled():
                if self.listener is not None:
                    self.listener.on_path_event(event)
            case events.ConnectionIdsAvailable():
                self.waiters.wake(Reason.SPARE_ID)
                if self.listener is not None:
                    self.listener.on_path_event(event)
            case events.DatagramReadable():
                self.waiters.wake_one(Reason.DATAGRAM)
            case events.DatagramSettled():
                self.waiters.wake(Reason.SETTLED)
            case events.TicketReceived() | events.TokenReceived():
                if self._keep is not None:
                    self._keep(event)
            case events.ServerSilent() | events.ServerHeard():
                self.waiters.wake(Reason.HEALTH)
            case events.HandshakeCompleted():
                self.life.on_completed(event)
            case events.HandshakeConfirmed():
                self.life.on_confirmed()
                self.waiters.wake(Reason.ARRIVED)
            case events.Terminated():
                self.life.on_terminated(event, self.core.active_path < 0)
                self._wake_everyone()
