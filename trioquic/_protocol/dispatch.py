"""Frames to the components that own them (RFC 9000 sections 12.4 and 19).

The two frames that make up nearly all traffic, STREAM and ACK, come first; the others go through a
short chain. Which frames a packet may contain depends on its packet-number space.
"""

from typing import Final

from .cid.own import OwnIds
from .datagrams import Datagrams
from .errors import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION, BadPacketError
from .handshake import Handshake
from .lifetime import Lifetime
from .path.path import Path
from .path.table import PathTable
from .recovery.loss import LossDetector
from .space import APPLICATION
from .streams.table import StreamTable
from .wire import frames
from .wire.varint import MAX_VARINT, Reader, decode_varint_untrusted

_PADDING_RUN: Final = bytes(64)
_SHORT_RUN: Final = 8
# RFC 9000 section 12.4: what Initial and Handshake packets may carry
_EARLY_FRAMES: Final = frozenset(
    (
        frames.PADDING,
        frames.PING,
        frames.ACK,
        frames.ACK_ECN,
        frames.CRYPTO,
        frames.CONNECTION_CLOSE,
    )
)
_DATAGRAM_FRAMES: Final = (frames.DATAGRAM, frames.DATAGRAM_WITH_LENGTH)


class Dispatcher:
    """Reads the frames of a decrypted packet and calls their owners."""

    def __init__(
        self,
        loss: LossDetector,
        streams: StreamTable,
        datagrams: Datagrams,
        handshake: Handshake,
        paths: PathTable,
        own_ids: OwnIds,
        lifetime: Lifetime,
    ) -> None:
        self._loss = loss
        self._streams = streams
        self._datagrams = datagrams
        self._handshake = handshake
        self._paths = paths
        self._own_ids = own_ids
        self._lifetime = lifetime

    def frames_untrusted(
        self, payload: bytes, space: int, path: Path, own_sequence: int, now: float
    ) -> bool:
        """Process all frames; returns whether the packet asks for an acknowledgement."""
        pos = 0
        end = len(payload)
        if end == 0:
            raise BadPacketError(PROTOCOL_VIOLATION, "a packet without frames")
        eliciting = False
        kind = 0
        try:
            while pos < end:
                kind = payload[pos]
                if kind & 0xF8 == frames.STREAM and space == APPLICATION:
                    pos = self._stream_untrusted(payload, kind, pos + 1, end)
                    eliciting = True
                elif kind == frames.PADDING:
                    pos = _skip_padding(payload, pos, end)
                elif kind == frames.ACK or kind == frames.ACK_ECN:
                    reader = Reader(payload, FRAME_ENCODING_ERROR, pos + 1, end)
                    self._ack_untrusted(reader, kind, space, now)
                    pos = reader.pos
                else:
                    reader = Reader(payload, FRAME_ENCODING_ERROR, pos, end)
                    eliciting |= self._other_untrusted(reader, space, path, own_sequence, now)
                    pos = reader.pos
                    if not self._lifetime.open:
                        return eliciting
        except BadPacketError as error:
            # Decoders do not know which frame they are in; CONNECTION_CLOSE names it (19.19).
            if error.frame_type == 0:
                error.frame_type = kind
            raise
        return eliciting

    def _stream_untrusted(self, payload: bytes, kind: int, pos: int, end: int) -> int:
        if pos < end and payload[pos] < 0x40:
            stream_id = payload[pos]
            pos += 1
        else:
            stream_id, pos = decode_varint_untrusted(payload, pos, end)
        offset = 0
        if kind & 0x04:
            offset, pos = decode_varint_untrusted(payload, pos, end)
        stop = end
        if kind & 0x02:
            length, pos = decode_varint_untrusted(payload, pos, end)
            stop = pos + length
            if stop > end:
                raise BadPacketError(FRAME_ENCODING_ERROR, "STREAM frame is cut short", kind)
        if offset + (stop - pos) > MAX_VARINT:
            raise BadPacketError(FRAME_ENCODING_ERROR, "STREAM frame ends beyond 2^62-1", kind)
        self._streams.on_stream_untrusted(stream_id, offset, payload[pos:stop], kind & 0x01 != 0)
        return stop

    def _ack_untrusted(self, reader: Reader, kind: int, space: int, now: float) -> None:
        ack = frames.read_ack_untrusted(reader, kind == frames.ACK_ECN)
        delay = 0.0
        parameters = self._handshake.parameters
        if space == APPLICATION and parameters is not None:
            delay = (ack.delay << parameters.ack_delay_exponent) / 1_000_000
        self._loss.on_ack_untrusted(space, ack, now, delay)
        if space == APPLICATION and self._handshake.one_rtt is not None:
            self._handshake.one_rtt.on_acked(self._loss.largest_acked(space))

    def _other_untrusted(
        self, reader: Reader, space: int, path: Path, own_sequence: int, now: float
    ) -> bool:
        kind = reader.frame_type_untrusted()
        if kind > frames.HANDSHAKE_DONE:
            if kind in _DATAGRAM_FRAMES:
                if space != APPLICATION:
                    raise BadPacketError(PROTOCOL_VIOLATION, "DATAGRAM in an early packet", kind)
                data = frames.read_datagram_untrusted(reader, kind == frames.DATAGRAM_WITH_LENGTH)
                self._datagrams.on_datagram_untrusted(data)
                return True
            raise BadPacketError(FRAME_ENCODING_ERROR, f"unknown frame type {kind:#x}", kind)
        if space != APPLICATION and kind not in _EARLY_FRAMES:
            raise BadPacketError(
                PROTOCOL_VIOLATION, f"frame type {kind:#x} in an early packet", kind
            )
        if kind == frames.PING:
            return True
        if kind == frames.CRYPTO:
            offset, data = frames.read_crypto_untrusted(reader)
            self._handshake.on_crypto_untrusted(space, offset, data, now)
        elif kind == frames.CONNECTION_CLOSE or kind == frames.CONNECTION_CLOSE_APP:
            self._close_untrusted(reader, kind, path, now)
            return False
        elif kind <= frames.STREAMS_BLOCKED_UNI:
            self._stream_control_untrusted(reader, kind)
        else:
            self._connection_control_untrusted(reader, kind, path, own_sequence, now)
        return True

    def _close_untrusted(self, reader: Reader, kind: int, path: Path, now: float) -> None:
        code, frame_type, reason = frames.read_connection_close_untrusted(
            reader, kind == frames.CONNECTION_CLOSE_APP
        )
        pto = path.recovery.rtt.pto(self._loss.max_ack_delay)
        self._lifetime.on_peer_close(code, frame_type, reason, now, pto)

    def _stream_control_untrusted(self, reader: Reader, kind: int) -> None:
        streams = self._streams
        if kind == frames.MAX_STREAM_DATA:
            stream_id, limit = frames.read_max_stream_data_untrusted(reader)
            streams.on_max_stream_data_untrusted(stream_id, limit)
        elif kind == frames.MAX_DATA:
            streams.on_max_data_untrusted(frames.read_max_data_untrusted(reader))
        elif kind == frames.MAX_STREAMS_BIDI or kind == frames.MAX_STREAMS_UNI:
            count = frames.read_max_streams_untrusted(reader)
            streams.on_max_streams_untrusted(kind == frames.MAX_STREAMS_BIDI, count)
        elif kind == frames.RESET_STREAM:
            stream_id, code, final_size = frames.read_reset_stream_untrusted(reader)
            streams.on_reset_stream_untrusted(stream_id, code, final_size)
        elif kind == frames.STOP_SENDING:
            stream_id, code = frames.read_stop_sending_untrusted(reader)
            streams.on_stop_sending_untrusted(stream_id, code)
        elif kind == frames.DATA_BLOCKED:
            streams.on_data_blocked_untrusted(frames.read_data_blocked_untrusted(reader))
        elif kind == frames.STREAM_DATA_BLOCKED:
            stream_id, limit = frames.read_stream_data_blocked_untrusted(reader)
            streams.on_stream_data_blocked_untrusted(stream_id, limit)
        elif kind == frames.STREAMS_BLOCKED_BIDI or kind == frames.STREAMS_BLOCKED_UNI:
            count = frames.read_streams_blocked_untrusted(reader)
            streams.on_streams_blocked_untrusted(kind == frames.STREAMS_BLOCKED_BIDI, count)
        else:
            # NEW_TOKEN is all that is left
            self._handshake.on_new_token_untrusted(frames.read_new_token_untrusted(reader))

    def _connection_control_untrusted(
        self, reader: Reader, kind: int, path: Path, own_sequence: int, now: float
    ) -> None:
        if kind == frames.NEW_CONNECTION_ID:
            self._paths.on_new_connection_id_untrusted(
                frames.read_new_connection_id_untrusted(reader)
            )
        elif kind == frames.RETIRE_CONNECTION_ID:
            sequence = frames.read_retire_connection_id_untrusted(reader)
            self._own_ids.on_retire_untrusted(sequence, own_sequence)
        elif kind == frames.PATH_CHALLENGE:
            path.on_challenge_untrusted(frames.read_path_challenge_untrusted(reader))
        elif kind == frames.PATH_RESPONSE:
            self._paths.on_response_untrusted(frames.read_path_response_untrusted(reader), now)
        else:
            self._handshake.on_handshake_done_untrusted()


def _skip_padding(payload: bytes, pos: int, end: int) -> int:
    # Looking for a long run costs as much as a few bytes do, so a short one is walked through.
    stride_at = pos + _SHORT_RUN
    while pos < end and payload[pos] == 0:
        pos += 1
        if pos == stride_at:
            while payload.startswith(_PADDING_RUN, pos):
                pos += len(_PADDING_RUN)
    return pos
