"""How a connection ends: idle timeout, closing and draining (RFC 9000 section 10), keep-alive.

The state is a table. The idle timeout is never shorter than three PTOs, so that a lost packet does
not end a connection (section 10.1). Closing keeps nothing but the CONNECTION_CLOSE frame, which is
repeated for packets that still arrive, at a falling rate (section 10.2.1).
"""

from math import inf
from typing import Final

from .errors import error_name
from .events import Ending, Event, Terminated
from .machine import Label, advance


class CoreState(Label):
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    CLOSING = "closing"
    DRAINING = "draining"
    CLOSED = "closed"


class LifeInput(Label):
    COMPLETE = "the handshake is complete"
    CLOSE = "this side closes"
    PEER_CLOSE = "CONNECTION_CLOSE or a stateless reset came in"
    EXPIRE = "a timer ran out"


TRANSITIONS: Final[dict[tuple[CoreState, LifeInput], CoreState]] = {
    (CoreState.HANDSHAKING, LifeInput.COMPLETE): CoreState.CONNECTED,
    (CoreState.HANDSHAKING, LifeInput.CLOSE): CoreState.CLOSING,
    (CoreState.HANDSHAKING, LifeInput.PEER_CLOSE): CoreState.DRAINING,
    (CoreState.HANDSHAKING, LifeInput.EXPIRE): CoreState.CLOSED,
    (CoreState.CONNECTED, LifeInput.CLOSE): CoreState.CLOSING,
    (CoreState.CONNECTED, LifeInput.PEER_CLOSE): CoreState.DRAINING,
    (CoreState.CONNECTED, LifeInput.EXPIRE): CoreState.CLOSED,
    (CoreState.CLOSING, LifeInput.PEER_CLOSE): CoreState.DRAINING,
    (CoreState.CLOSING, LifeInput.EXPIRE): CoreState.CLOSED,
    (CoreState.DRAINING, LifeInput.EXPIRE): CoreState.CLOSED,
}

_LONGEST_REASON: Final = 256
# Who is held up by the peer says so again as often in an idle timeout: one may get lost
_REMINDERS: Final = 3


class CloseFrame:
    """What the CONNECTION_CLOSE frame says; `frame_type` None means an application close."""

    __slots__ = ("code", "frame_type", "reason")

    def __init__(self, code: int, frame_type: int | None, reason: str) -> None:
        self.code = code
        self.frame_type = frame_type
        # cut between characters: section 19.19 asks for UTF-8, which has no lone surrogates
        text = reason.encode("utf-8", "backslashreplace")
        cut = text[:_LONGEST_REASON].decode("utf-8", "ignore")
        self.reason = cut.encode()


class Lifetime:
    def __init__(
        self, idle_timeout: float, keep_alive: float, now: float, events: list[Event]
    ) -> None:
        self._events = events
        self._idle_timeout = idle_timeout
        self._keep_alive = keep_alive
        self._restarted_at = now
        self._last_sent = now
        self._sent_since_receipt = False
        self._end_at = inf
        self._heard_in_closing = 0
        self._answer_at = 1
        self.state = CoreState.HANDSHAKING
        # whether frames other than CONNECTION_CLOSE may still be sent and received
        self.open = True
        self.close_frame: CloseFrame | None = None
        self.close_pending = False

    def on_packet_received(self, now: float) -> None:
        """An authentic packet was processed: the idle timer starts anew."""
        self._restarted_at = now
        self._sent_since_receipt = False

    def on_eliciting_sent(self, now: float) -> None:
        """Only the first ack-eliciting packet after a receipt restarts the timer (section 10.1)."""
        if not self._sent_since_receipt:
            self._sent_since_receipt = True
            self._restarted_at = now
        self._last_sent = now

    def on_slept(self, seconds: float) -> None:
        """Time passed that our clock does not know of (the machine was suspended)."""
        self._restarted_at -= seconds
        self._last_sent -= seconds

    def keep_alive_deadline(self) -> float:
        """When silence in both directions has lasted long enough for a PING (section 10.1.2)."""
        if self._keep_alive <= 0 or self.state is not CoreState.CONNECTED:
            return inf
        return max(self._restarted_at, self._last_sent) + self._keep_alive

    def take_keep_alive(self, now: float) -> bool:
        """Whether a PING is due; asked once, the next one is due after another silence."""
        if now < self.keep_alive_deadline():
            return False
        self._last_sent = now
        return True

    def reminder_deadline(self, pto: float) -> float:
        """When whoever is held up by the peer's limits has to say so again, so that the connection
        does not end for being idle (section 4.1)."""
        if self._idle_timeout == 0 or self.state is not CoreState.CONNECTED:
            return inf
        return max(self._restarted_at, self._last_sent) + self._longest_silence(pto) / _REMINDERS

    def take_reminder(self, now: float, pto: float) -> bool:
        """Whether that is due; asked once, the next one is due after another silence."""
        if now < self.reminder_deadline(pto):
            return False
        self._last_sent = now
        return True

    def deadline(self, pto: float) -> float:
        """When the connection ends by itself."""
        if not self.open:
            return self._end_at
        if self._idle_timeout == 0:
            return inf
        return self._restarted_at + self._longest_silence(pto)

    def _longest_silence(self, pto: float) -> float:
        return max(self._idle_timeout, 3 * pto)

    def on_deadline(self, now: float, pto: float) -> None:
        """End an idle connection, or a closing period."""
        if now < self.deadline(pto):
            return
        if self.open:
            self._advance(LifeInput.EXPIRE)
            seconds = self._idle_timeout
            reason = f"nothing was heard from the server for the idle timeout of {seconds:g} s"
            self._terminate(Ending.IDLE_TIMEOUT, reason)
        elif self.state is not CoreState.CLOSED:
            self._advance(LifeInput.EXPIRE)
        self._end_at = inf

    def give_up(self, reason: str) -> None:
        """End the connection in silence: there is no way to tell the peer."""
        if self.open:
            self._advance(LifeInput.EXPIRE)
            self._terminate(Ending.GIVEN_UP, reason)

    def on_complete(self, peer_timeout: float) -> None:
        """The handshake is complete. The smaller of both sides' idle timeouts counts; 0 means none
        (section 10.1)."""
        if peer_timeout > 0 and (self._idle_timeout == 0 or peer_timeout < self._idle_timeout):
            self._idle_timeout = peer_timeout
        self._advance(LifeInput.COMPLETE)

    def close(
        self, ending: Ending, frame: CloseFrame | None, text: str, now: float, pto: float
    ) -> None:
        """This side ends the connection; without a frame it ends silently."""
        if not self.open:
            return
        self._advance(LifeInput.CLOSE)
        self.close_frame = frame
        self.close_pending = frame is not None
        self._end_at = now + 3 * pto if frame is not None else now
        code = 0 if frame is None else frame.code
        frame_type = None if frame is None else frame.frame_type
        self._terminate(ending, text, code, frame_type, frame_type is None)

    def on_peer_close(
        self, code: int, frame_type: int | None, reason: bytes, now: float, pto: float
    ) -> None:
        """CONNECTION_CLOSE: say nothing more (section 10.2.2)."""
        if self.state is CoreState.DRAINING or self.state is CoreState.CLOSED:
            return
        was_open = self.open
        self._drain(now, pto)
        if was_open:
            text = _printable(reason)
            if not text and frame_type is not None:
                text = error_name(code)
            self._terminate(Ending.PEER_CLOSE, text, code, frame_type, frame_type is None)

    def on_stateless_reset(self, now: float, pto: float) -> None:
        """The server has lost the connection (section 10.3)."""
        if not self.open:
            return
        self._drain(now, pto)
        self._terminate(Ending.STATELESS_RESET, "the server no longer knows this connection")

    def take_close_frame(self) -> CloseFrame | None:
        """The CONNECTION_CLOSE frame that is to go out now."""
        self.close_pending = False
        return self.close_frame

    def on_packet_in_closing(self) -> None:
        """Answer the 1st, 2nd, 4th, 8th … packet with CONNECTION_CLOSE again (section 10.2.1)."""
        if self.state is not CoreState.CLOSING or self.close_frame is None:
            return
        self._heard_in_closing += 1
        if self._heard_in_closing >= self._answer_at:
            self._answer_at *= 2
            self.close_pending = True

    def _drain(self, now: float, pto: float) -> None:
        self._advance(LifeInput.PEER_CLOSE)
        self.close_pending = False
        self._end_at = now + 3 * pto

    def _advance(self, event: LifeInput) -> None:
        self.state = advance(TRANSITIONS, self.state, event)
        self.open = self.state is CoreState.HANDSHAKING or self.state is CoreState.CONNECTED

    def _terminate(
        self,
        ending: Ending,
        reason: str,
        code: int = 0,
        frame_type: int | None = None,
        application: bool = False,
    ) -> None:
        event = Terminated(
            ending=ending, code=code, frame_type=frame_type, reason=reason, application=application
        )
        self._events.append(event)


def _printable(reason: bytes) -> str:
    """The peer's words, bounded, for terminals and logs: nothing that could steer them."""
    text = reason[:_LONGEST_REASON].decode("utf-8", "backslashreplace")
    return "".join(
        [c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text]
    )
