"""What all parts of one HTTP/3 connection share: its settings, its requests, and how it ends.

Faults of the server are reported here from anywhere, without waiting; one task closes the QUIC
connection for them. Whoever waits on a stream is woken by that, and asks here what to raise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import trio

from .. import Connection, ConnectionLostError, HandshakeError
from .blocks import Blocks
from .errors import ErrorCode, HTTP3ConnectionError, PeerError, rejection
from .frames import encode_varint
from .outbox import Outbox
from .qpack import Decoder, Encoder
from .settings import HTTP3Config, PeerSettings, encode_settings
from .timeouts import wait_until

# types of unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2)
CONTROL_STREAM = 0x00
PUSH_STREAM = 0x01
ENCODER_STREAM = 0x02
DECODER_STREAM = 0x03

# section 5.2 speaks of two; each is cheap for the server and looks at all requests here
_MOST_GOAWAYS: Final = 64
# A response that was sent before a GOAWAY may come after it: so much later, in seconds, or in parts
# of a round trip, as packets overtake each other by about an eighth of it at most (RFC 9002 section
# 6.1.2). Not later: most servers mean it, and the request is to be made elsewhere.
_GRACE: Final = 0.05
_REORDERING: Final = 0.25

# What a call raises when the QUIC connection is over; a handshake can fail here only when HTTP/3
# began before its end, to send early data
ENDINGS = (ConnectionLostError, HandshakeError, trio.ClosedResourceError)


class OpenRequest(Protocol):
    """What is known of a request here."""

    def reject(self) -> None: ...

    def cancel(self, error_code: int = ...) -> None: ...


class ConnectionState:
    """Who does something for the connection, or waits for it, has one of these in common."""

    def __init__(self, quic: Connection, config: HTTP3Config) -> None:
        self.quic = quic
        self.config = config
        self.control: Outbox = Outbox(encode_varint(CONTROL_STREAM) + encode_settings(config))
        self.encoder_stream: Outbox = Outbox(encode_varint(ENCODER_STREAM))
        decoder_stream = Outbox(encode_varint(DECODER_STREAM))
        self.outboxes: tuple[Outbox, ...] = (self.control, self.encoder_stream, decoder_stream)
        self.encoder: Encoder = Encoder(config, self.encoder_stream)
        self.decoder: Decoder = Decoder(config, decoder_stream)
        self.settings: PeerSettings | None = None
        self.settings_known: trio.Event = trio.Event()  # or there will never be any
        self.requests: dict[int, OpenRequest] = {}
        self.requests_made: int = 0
        self._openings = Blocks()
        self._goaways = 0
        self._rejecting = False
        self.going_away: int | None = None  # streams from this ID on are not processed
        self.fault: PeerError | None = None
        self.failed: trio.Event = trio.Event()
        self.over: trio.Event = trio.Event()  # the connection is of no use any more
        self._lost = False

    # -- what the server says --------------------------------------------------------------------

    def on_settings(self, settings: PeerSettings) -> None:
        self.settings = settings
        self.encoder.on_settings(settings)
        self.settings_known.set()

    def on_goaway(self, stream_id: int) -> bool:
        """GOAWAY (RFC 9114 section 5.2): requests from this stream ID on are not processed. Whether
        `reject_unprocessed` has to be started, because it names any that is under way."""
        if stream_id & 3:
            raise PeerError(ErrorCode.H3_ID_ERROR, f"GOAWAY names stream {stream_id}")
        if self.going_away is not None and stream_id > self.going_away:
            raise PeerError(ErrorCode.H3_ID_ERROR, "GOAWAY names a higher stream than before")
        self._goaways += 1
        if self._goaways > _MOST_GOAWAYS:
            raise PeerError(ErrorCode.H3_EXCESSIVE_LOAD, "GOAWAY over and over")
        self.going_away = stream_id
        self._openings.leave()
        self._end_if_done()
        if self._rejecting or not any(number >= stream_id for number in self.requests):
            return False
        self._rejecting = True
        return True

    async def reject_unprocessed(self) -> None:
        """The requests that a GOAWAY names are over, but for those to which a response has begun,
        or begins a moment later. One task for all that come, each with its own moment."""
        first: int | None = None
        while first != self.going_away:
            first = self.going_away
            assert first is not None
            await wait_until(self.over, trio.current_time() + self._grace())
            self._reject_from(first)
        self._rejecting = False

    def _reject_from(self, stream_id: int) -> None:
        for number, request in list(self.requests.items()):
            if number >= stream_id:
                request.reject()

    def _grace(self) -> float:
        path = self.quic.active_path
        rtt = None if path is None else path.rtt
        return max(_GRACE, _REORDERING * (rtt or 0.0))

    # -- requests --------------------------------------------------------------------------------

    def enter(self, stream_id: int, request: OpenRequest) -> None:
        self.requests[stream_id] = request
        self.requests_made += 1

    def forget(self, stream_id: int) -> None:
        self.requests.pop(stream_id, None)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.going_away is not None and not self.requests:
            self.over.set()

    @property
    def available(self) -> bool:
        """Whether a new request can be made."""
        return self.going_away is None and not self.ended

    @property
    def refusal(self) -> Exception | None:
        """Why no new request can be made, new each time; None: one can. What became of the
        connection after a GOAWAY does not matter to it, unless the server is at fault."""
        if self.going_away is not None and self.fault is None:
            return rejection("the server is going away: a new connection is needed")
        return self.end_error() if self.ended else None

    def check_available(self) -> None:
        """Raise the refusal, if there is one."""
        refusal = self.refusal
        if refusal is not None:
            raise refusal

    @contextmanager
    def while_available(self) -> Iterator[None]:
        """For what a new request waits for, before it is in `requests`: raises why none can
        be made as soon as that is so."""
        self.check_available()
        with self._openings.entered() as scope:
            yield
        if scope.cancelled_caught:
            self.check_available()

    # -- the end ---------------------------------------------------------------------------------

    def fail(self, fault: PeerError) -> HTTP3ConnectionError:
        """The server did something that ends the connection; returns what to raise for it."""
        if self.fault is None:
            self.fault = fault
            self.failed.set()
            self._end()
        return HTTP3ConnectionError(self.fault.reason, code=self.fault.code)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """What the server does wrong in the block ends the connection. That the connection is over
        ends the block."""
        try:
            yield
        except PeerError as fault:
            self.fail(fault)
        except ENDINGS:
            pass

    def lose(self) -> None:
        """The QUIC connection is over, and all that the server had said before was read: what it
        has gone away from by then, it will not process."""
        self._lost = True
        if self.going_away is not None:
            self._reject_from(self.going_away)
        self._end()

    def _end(self) -> None:
        self.over.set()
        self.settings_known.set()
        self.decoder.wake_all()
        self._openings.leave()

    @property
    def ended(self) -> bool:
        """Whether the QUIC connection is over, or about to be closed for a fault."""
        return self._lost or self.fault is not None

    def end_error(self) -> Exception:
        """A new exception that says why the connection is over."""
        if self.fault is not None:
            return HTTP3ConnectionError(self.fault.reason, code=self.fault.code)
        try:
            # any call tells what became of the connection
            self.quic.ping()
        except ENDINGS as error:
            return error
        return trio.ClosedResourceError("the HTTP/3 connection was closed by this side")
