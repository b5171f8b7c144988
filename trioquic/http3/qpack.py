"""Field compression of one connection (RFC 9204), done by pylsqpack, with limits around it.

Both directions have a dynamic table. Its updates go over streams of their own, so a response may
come before the updates that it needs: its request then waits here, and the encoder stream wakes it.
"""

from typing import Final

import pylsqpack
import trio

from .errors import ErrorCode, FieldSectionTooLargeError, PeerError
from .fields import FIELD_OVERHEAD, section_size
from .outbox import Outbox
from .section import count_lines, most_repeats
from .settings import HTTP3Config, PeerSettings

_Fields = list[tuple[bytes, bytes]]
# the prefix alone (RFC 9204 section 4.5.1), which pylsqpack does not take: trailers may be empty
_NO_FIELDS: Final = bytes(2)
# bytes of compressed sections that all responses together may keep waiting for their end, or for
# the table
_MOST_UNFINISHED: Final = 1 << 19


class Decoder:
    """Decompresses the server's field sections."""

    def __init__(self, config: HTTP3Config, outbox: Outbox) -> None:
        self._decoder = pylsqpack.Decoder(config.qpack_table_capacity, config.qpack_blocked_streams)
        self._most_size = config.max_field_section_size
        self._table_capacity = config.qpack_table_capacity
        self._outbox = outbox
        self._blocked: dict[int, trio.Event] = {}
        self._unfinished: dict[int, int] = {}  # bytes of sections that are not decompressed yet
        self._resumed: dict[int, _Fields] = {}
        self._over = False

    def begin(self, stream_id: int, length: int) -> None:
        """A compressed section of this length is about to be read. Saying it again changes nothing.

        Raises FieldSectionTooLargeError if that is not worth it, as its fields count as more than
        they take on the wire; `PeerError` if far too many sections were begun and not completed."""
        if length > self._most_size:
            raise _too_large(f"{length} bytes of compressed header fields")
        self._unfinished[stream_id] = length
        if sum(self._unfinished.values()) > max(_MOST_UNFINISHED, 4 * self._most_size):
            text = "the server completes none of its header sections"
            raise PeerError(ErrorCode.H3_EXCESSIVE_LOAD, text)

    def feed(self, stream_id: int, section: bytes) -> _Fields | None:
        """The section's fields; None if it has to wait for the dynamic table: see `blocked`.

        Raises FieldSectionTooLargeError, which concerns the request only, and `PeerError`.
        """
        length = self._unfinished.pop(stream_id, 0)
        if section == _NO_FIELDS:
            return []
        most_lines = self._most_size // FIELD_OVERHEAD
        lines, most_named = count_lines(section, self._table_capacity, most_lines)
        if most_named > most_repeats(self._table_capacity):
            raise _too_large("header fields that refer to the dynamic table over and over")
        if lines > most_lines:
            raise _too_large(f"more than {most_lines} header fields")
        try:
            acknowledgement, fields = self._decoder.feed_header(stream_id, section)
        except pylsqpack.StreamBlocked:
            event = self._blocked[stream_id] = trio.Event()
            if self._over:
                event.set()
            self._unfinished[stream_id] = length
            return None
        except pylsqpack.DecompressionFailed as error:
            raise _failed(error) from error
        self._outbox.put(acknowledgement)
        return self._checked(fields)

    async def blocked(self, stream_id: int) -> _Fields:
        """Wait for the fields of a section that had to wait. Cancelled, call it again.

        Raises trio.ClosedResourceError when they will not come any more, each time."""
        await self._blocked[stream_id].wait()
        fields = self._resumed.pop(stream_id, None)
        if fields is None:
            raise trio.ClosedResourceError("nobody reads this response any more")
        del self._blocked[stream_id]
        self._unfinished.pop(stream_id, None)
        return self._checked(fields)

    def on_encoder_stream(self, data: bytes) -> None:
        """Updates of the dynamic table came in. Raises `PeerError`."""
        try:
            unblocked = self._decoder.feed_encoder(data)
        except pylsqpack.EncoderStreamError as error:
            raise PeerError(ErrorCode.QPACK_ENCODER_STREAM_ERROR, str(error)) from error
        for stream_id in unblocked:
            try:
                acknowledgement, fields = self._decoder.resume_header(stream_id)
            except pylsqpack.DecompressionFailed as error:
                raise _failed(error) from error
            self._outbox.put(acknowledgement)
            event = self._blocked.get(stream_id)
            if event is not None:
                self._resumed[stream_id] = fields
                event.set()

    def cancel(self, stream_id: int) -> None:
        """The rest of this stream will not be read (section 2.2.2.2)."""
        self._unfinished.pop(stream_id, None)
        event = self._blocked.pop(stream_id, None)
        if event is not None:
            event.set()
        self._resumed.pop(stream_id, None)
        self._outbox.put(self._decoder.cancel_stream(stream_id))

    def wake_all(self) -> None:
        """The connection is over: no update will come any more."""
        self._over = True
        for event in self._blocked.values():
            event.set()

    def _checked(self, fields: _Fields) -> _Fields:
        size = section_size(fields)
        if size > self._most_size:
            raise _too_large(f"header fields of {size} bytes")
        # One byte may stand for a field of a hundred: equal ones are kept once.
        known: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
        return [known.setdefault(field, field) for field in fields]


class Encoder:
    """Compresses our field sections; without a dynamic table until the server allows one.

    That is the rule for early data, too: nothing is kept of the settings of the connection that the
    ticket came from, so the defaults count until SETTINGS come, and with them the table has no room
    (RFC 9114 section 7.2.4.2, RFC 9204 section 3.2.3).
    """

    def __init__(self, config: HTTP3Config, outbox: Outbox) -> None:
        self._encoder = pylsqpack.Encoder()
        self._most_capacity = config.qpack_table_capacity
        self._outbox = outbox
        self._most_size: int | None = None

    def on_settings(self, settings: PeerSettings) -> None:
        """The server's limits are known."""
        self._most_size = settings.max_field_section_size
        capacity = min(self._most_capacity, settings.qpack_max_table_capacity)
        self._outbox.put(self._encoder.apply_settings(capacity, settings.qpack_blocked_streams))

    def encode(self, stream_id: int, fields: _Fields) -> bytes:
        """A compressed section. Raises FieldSectionTooLargeError if the server would refuse it."""
        size = section_size(fields)
        if self._most_size is not None and size > self._most_size:
            text = f"header fields of {size} bytes; the server takes {self._most_size}"
            raise FieldSectionTooLargeError(text, code=ErrorCode.H3_REQUEST_CANCELLED)
        updates, section = self._encoder.encode(stream_id, fields)
        self._outbox.put(updates)
        return section

    def on_decoder_stream(self, data: bytes) -> None:
        """Acknowledgements of sections and updates came in. Raises `PeerError`."""
        try:
            self._encoder.feed_decoder(data)
        except pylsqpack.DecoderStreamError as error:
            raise PeerError(ErrorCode.QPACK_DECODER_STREAM_ERROR, str(error)) from error


def _failed(error: Exception) -> PeerError:
    return PeerError(ErrorCode.QPACK_DECOMPRESSION_FAILED, str(error))


def _too_large(what: str) -> FieldSectionTooLargeError:
    text = f"the server sent {what}, more than is accepted"
    return FieldSectionTooLargeError(text, code=ErrorCode.H3_EXCESSIVE_LOAD)
