"""How far one connection has come, and what calls on it raise from its end on.

A connection's end (`Terminated`), or the exception that has stopped it, is remembered and turns
into a new exception for everyone who waits or comes later (`endings.py`).
"""

import trio

from .._protocol.events import HandshakeCompleted, Terminated
from ..errors import NoPathReason
from .endings import Wait, broken_error, handshake_error, loss_error


class Lifecycle:
    """Of one connection. Whoever waits for more than the events here is woken by the driver."""

    def __init__(self, assumed: HandshakeCompleted | None) -> None:
        # what holds until the handshake is complete: that of the session of the early data
        self._assumed = assumed
        # what the handshake has found out
        self.completed: HandshakeCompleted | None = None
        self.handshake_over = trio.Event()
        # HANDSHAKE_DONE has come, with the first tickets and connection IDs; or it never will
        self.confirmed = trio.Event()
        self.is_confirmed = False
        # nothing is left to do but to close the sockets
        self.stopped = trio.Event()
        # every socket is closed
        self.gone = trio.Event()
        # this side has begun to close, before anything else had ended the connection
        self.closing = False
        self.end: Terminated | None = None
        # there is no path now, so that is why the connection ends if it does
        self.wait: Wait | None = None
        self._bug: Exception | None = None
        # it was given up because the time for the handshake was over
        self._timed_out = False

    # -- what happens ----------------------------------------------------------------------------

    def on_completed(self, event: HandshakeCompleted) -> None:
        """The server is authenticated."""
        self.completed = event
        self.handshake_over.set()

    def on_confirmed(self) -> None:
        """The server has the handshake's last message (RFC 9001 section 4.1.2)."""
        self.is_confirmed = True
        self.confirmed.set()

    def on_timed_out(self) -> None:
        """The handshake is about to be given up, because its time is over."""
        self._timed_out = True

    def on_waiting(self, wait: Wait | None) -> bool:
        """There is no path; or there is one, with None. Whether that is news."""
        before, self.wait = self.wait, wait
        return (before is None) != (wait is None)

    def on_closing(self) -> None:
        """This side wants no more. What ended the connection before that remains the cause."""
        if not self.ended:
            self.closing = True

    def on_terminated(self, event: Terminated, pathless: bool) -> None:
        """The core has ended the connection, which had no path then if it was `pathless`."""
        if pathless and self.wait is None:
            # its paths were closed, and nobody keeps it on a network
            since, reason = trio.current_time(), "all paths were closed"
            self.wait = Wait(since=since, blame=NoPathReason.TIMEOUT, reason=reason)
        self.end = event

    def on_bug(self, error: Exception) -> Exception:
        """An exception has stopped the connection; returns what to raise."""
        if self._bug is None:
            self._bug = error
        self.stopped.set()
        return broken_error(error)

    def release(self) -> None:
        """The connection is over: whoever waits for the handshake need not."""
        self.handshake_over.set()
        self.confirmed.set()

    # -- what that means -------------------------------------------------------------------------

    @property
    def broken(self) -> bool:
        """Whether an exception has stopped the connection."""
        return self._bug is not None

    @property
    def over(self) -> bool:
        """Whether the connection cannot be used any more."""
        return self.closing or self._bug is not None or self.end is not None

    @property
    def ended(self) -> bool:
        """Whether the core does nothing any more; while this side drains it still does."""
        return self._bug is not None or self.end is not None

    @property
    def refusal(self) -> Exception | None:
        """What a call on a connection that is over has to raise, new each time; None: it is not."""
        if self._bug is not None:
            return broken_error(self._bug)
        if self.closing:
            return trio.ClosedResourceError("the connection was closed by this side")
        if self.end is None:
            return None
        if self.completed is None:
            return handshake_error(self.end, self._timed_out)
        return loss_error(self.end, self.wait)

    @property
    def facts(self) -> HandshakeCompleted:
        """What the handshake has found out; until then, what holds for early data."""
        facts = self.completed or self._assumed
        assert facts is not None
        return facts

    async def wait_complete(self) -> None:
        """Wait until the server is authenticated; raises why it is not."""
        await trio.lowlevel.checkpoint()
        self.check_open()
        await self.handshake_over.wait()
        if self.completed is None:
            self.check_open()

    async def wait_confirmed(self) -> None:
        """Wait until the handshake is confirmed; raises what comes before."""
        self.check_open()
        await self.confirmed.wait()
        if not self.is_confirmed:
            self.check_open()

    def check_readable(self) -> None:
        """Raise the refusal if not even what has arrived may be read: closed here, or broken."""
        if self.closing or self._bug is not None:
            self.check_open()

    def check_open(self) -> None:
        """Raise the refusal, if there is one."""
        refusal = self.refusal
        if refusal is not None:
            raise refusal
