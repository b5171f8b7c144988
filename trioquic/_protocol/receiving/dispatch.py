"""Frames to the components that own them (RFC 9000 sections 12.4 and 19).

The two frames that make up nearly all traffic, STREAM and ACK, come first; the others go through a
short chain. Which frames a packet may contain depends on its packet-number space.

A peer may fill packets with frames of two or three bytes that say nothing (section 21.9). So that
these cost us little more than other bytes do, frames that are nothing but a few integers are read
in a run, with no object made for them.
"""

from typing import Final

from ..components import Components
from ..errors import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION, BadPacketError
from ..establishment import Establishment
from ..path.path import NetworkPath
from ..space import APPLICATION
from ..wire import frames
from ..wire.frames import INTEGERS
from ..wire.varint import Reader, decode_varint_untrusted

_PADDING_RUN: Final = bytes(64)
_SHORT_RUN: Final = 8
# A piece of a stream or of TLS that is shorter, and not a stream's end, makes as much work as two
# frames: nobody who means well has many of them for one packet.
_SMALL_PIECE: Final = 4


class Dispatcher:
    def __init__(self, parts: Components, establishment: Establishment) -> None:
        self._establishment = establishment
        self._facts = parts.facts
        self._handshake = parts.handshake
        self._loss = parts.loss
        self._streams = parts.streams
        self._datagrams = parts.datagrams
        self._paths = parts.paths
        self._prober = parts.prober
        self._own_ids = parts.ids.own
        self._lifetime = parts.lifetime
        self._future = parts.future
        # how many frames the last packet had, or as much work as that: the beginning of a run of
        # frames of one kind is as much as one frame more
        self.frames = 0

    def frames_untrusted(
        self, payload: bytes, space: int, path: NetworkPath, own_sequence: int, now: float
    ) -> bool:
        """Process all frames; returns whether the packet asks for an acknowledgement."""
        pos = 0
        end = len(payload)
        if end == 0:
            raise BadPacketError(PROTOCOL_VIOLATION, "a packet without frames")
        eliciting = False
        kind = count = self.frames = 0
        try:
            while pos < end:
                count += 1
                kind = payload[pos]
                if kind & 0xF8 == frames.STREAM and space == APPLICATION:
                    stream_id, offset, start, pos = frames.parse_stream_untrusted(
                        payload, kind, pos + 1, end
                    )
                    if pos < start + _SMALL_PIECE and not kind & frames.STREAM_FIN_BIT:
                        count += 1
                    self._streams.on_stream_untrusted(
                        stream_id, offset, payload[start:pos], kind & frames.STREAM_FIN_BIT != 0
                    )
                    eliciting = True
                elif kind == frames.PADDING:
                    pos = _skip_padding(payload, pos, end)
                elif kind == frames.ACK or kind == frames.ACK_ECN:
                    pos = self._ack_untrusted(payload, kind, pos + 1, end, space, now)
                elif kind == frames.PING:
                    pos += 1
                    eliciting = True
                elif INTEGERS[kind] and space == APPLICATION:
                    pos = self._integers_untrusted(payload, pos, end, own_sequence)
                    eliciting = True
                elif kind == frames.CRYPTO:
                    pos = self._crypto_untrusted(payload, pos, end, space, now)
                    eliciting = True
                elif kind == frames.NEW_TOKEN and space == APPLICATION:
                    start, pos = frames.parse_new_token_untrusted(payload, pos + 1, end)
                    self._future.on_new_token_untrusted(payload[start:pos])
                    eliciting = True
                elif kind & 0xFE == frames.DATAGRAM and space == APPLICATION:
                    pos = self._datagrams_untrusted(payload, pos, end)
                    eliciting = True
                elif kind == frames.HANDSHAKE_DONE and space == APPLICATION:
                    pos = self._done_untrusted(payload, pos, end, now)
                    eliciting = True
                else:
                    reader = Reader(payload, FRAME_ENCODING_ERROR, pos, end)
                    eliciting |= self._other_untrusted(reader, space, path, now)
                    pos = reader.pos
                    if not self._lifetime.open:
                        return eliciting
        except BadPacketError as error:
            # Decoders do not know which frame they are in; CONNECTION_CLOSE names it (19.19).
            if error.frame_type == 0:
                error.frame_type = kind
            raise
        self.frames += count
        return eliciting

    def _done_untrusted(self, payload: bytes, pos: int, end: int, now: float) -> int:
        """All HANDSHAKE_DONE frames that follow each other; returns where they end."""
        self._establishment.on_handshake_done_untrusted(now)
        while pos < end and payload[pos] == frames.HANDSHAKE_DONE:
            pos += 1
            self.frames += 1
        return pos

    def _crypto_untrusted(self, payload: bytes, pos: int, end: int, space: int, now: float) -> int:
        """All CRYPTO frames that follow each other, from `pos` on; returns where they end. TLS gets
        what they bring together."""
        handshake = self._handshake
        while pos < end and payload[pos] == frames.CRYPTO:
            offset, start, pos = frames.parse_crypto_untrusted(payload, pos + 1, end)
            handshake.add_crypto_untrusted(space, offset, payload[start:pos])
            self.frames += 1 if pos >= start + _SMALL_PIECE else 2
        self._establishment.read_crypto_untrusted(space, now)
        return pos

    def _datagrams_untrusted(self, payload: bytes, pos: int, end: int) -> int:
        """All DATAGRAM frames that follow each other, from `pos` on; returns where they end."""
        datagrams = self._datagrams
        while pos < end and payload[pos] & 0xFE == frames.DATAGRAM:
            start, pos = frames.parse_datagram_untrusted(payload, payload[pos], pos + 1, end)
            datagrams.on_datagram_untrusted(payload[start:pos])
            self.frames += 1
        return pos

    def _ack_untrusted(
        self, payload: bytes, kind: int, pos: int, end: int, space: int, now: float
    ) -> int:
        self.frames += 1
        ack, pos = frames.parse_ack_untrusted(payload, pos, end, kind == frames.ACK_ECN)
        delay = 0.0
        if ack.delay and space == APPLICATION:
            peer = self._facts.peer
            if peer is not None:
                delay = (ack.delay << peer.ack_delay_exponent) / 1_000_000
        news = self._loss.on_ack_untrusted(space, ack, now, delay)
        if news and space == APPLICATION and self._handshake.one_rtt is not None:
            sealed = self._handshake.one_rtt.on_acked(self._loss.largest_acked(space))
            if sealed and not self._facts.confirmed:
                self._establishment.on_one_rtt_acked(now)
        return pos

    def _other_untrusted(self, reader: Reader, space: int, path: NetworkPath, now: float) -> bool:
        kind = reader.frame_type_untrusted()
        if kind > frames.HANDSHAKE_DONE:
            if kind & ~1 == frames.DATAGRAM:
                raise BadPacketError(PROTOCOL_VIOLATION, "DATAGRAM in an early packet", kind)
            raise BadPacketError(FRAME_ENCODING_ERROR, f"unknown frame type {kind:#x}", kind)
        # section 12.4; the others that an early packet may carry never come here
        if space != APPLICATION and kind != frames.CONNECTION_CLOSE:
            raise BadPacketError(
                PROTOCOL_VIOLATION, f"frame type {kind:#x} in an early packet", kind
            )
        if kind == frames.CONNECTION_CLOSE or kind == frames.CONNECTION_CLOSE_APP:
            self._close_untrusted(reader, kind, path, now)
            return False
        elif kind == frames.NEW_CONNECTION_ID:
            self._paths.on_new_connection_id_untrusted(
                frames.read_new_connection_id_untrusted(reader)
            )
        elif kind == frames.PATH_CHALLENGE:
            path.on_challenge_untrusted(frames.read_path_data_untrusted(reader))
        else:
            # PATH_RESPONSE is all that is left
            self._prober.on_response_untrusted(frames.read_path_data_untrusted(reader), now)
        return True

    def _close_untrusted(self, reader: Reader, kind: int, path: NetworkPath, now: float) -> None:
        code, frame_type, reason = frames.read_connection_close_untrusted(
            reader, kind == frames.CONNECTION_CLOSE_APP
        )
        self._lifetime.on_peer_close(code, frame_type, reason, now, path.pto())

    def _integers_untrusted(self, payload: bytes, pos: int, end: int, own_sequence: int) -> int:
        """All frames of integers that follow each other, from `pos` on; returns where they end."""
        streams = self._streams
        kind = 0
        try:
            while pos < end:
                kind = payload[pos]
                count = INTEGERS[kind]
                if not count:
                    break
                self.frames += 1
                pos += 1
                if pos < end and payload[pos] < 0x40:
                    value = payload[pos]
                    pos += 1
                else:
                    value, pos = decode_varint_untrusted(payload, pos, end)
                if count == 1:
                    if kind == frames.MAX_DATA:
                        streams.on_max_data_untrusted(value)
                    elif kind != frames.DATA_BLOCKED:
                        self._count_untrusted(kind, value, own_sequence)
                    continue
                if pos < end and payload[pos] < 0x40:
                    second = payload[pos]
                    pos += 1
                else:
                    second, pos = decode_varint_untrusted(payload, pos, end)
                if kind == frames.MAX_STREAM_DATA:
                    streams.on_max_stream_data_untrusted(value, second)
                elif kind == frames.STOP_SENDING:
                    streams.on_stop_sending_untrusted(value, second)
                elif kind == frames.STREAM_DATA_BLOCKED:
                    streams.on_stream_data_blocked_untrusted(value, second)
                else:
                    third, pos = decode_varint_untrusted(payload, pos, end)
                    streams.on_reset_stream_untrusted(value, second, third)
        except BadPacketError as error:
            # The caller knows only the first frame of the run.
            if error.frame_type == 0:
                error.frame_type = kind
            raise
        return pos

    def _count_untrusted(self, kind: int, value: int, own_sequence: int) -> None:
        """MAX_STREAMS, STREAMS_BLOCKED and RETIRE_CONNECTION_ID. That the peer is blocked is only
        news: our limits move with the reader, and as streams are reclaimed (sections 19.12 to
        19.14)."""
        if kind == frames.RETIRE_CONNECTION_ID:
            self._own_ids.on_retire_untrusted(value, own_sequence)
        elif value > frames.MAX_STREAM_COUNT:
            raise BadPacketError(FRAME_ENCODING_ERROR, "a number of streams beyond 2^60", kind)
        elif kind <= frames.MAX_STREAMS_UNI:
            self._streams.on_max_streams_untrusted(kind == frames.MAX_STREAMS_BIDI, value)


def _skip_padding(payload: bytes, pos: int, end: int) -> int:
    # Looking for a long run costs as much as a few bytes do, so a short one is walked through.
    stride_at = pos + _SHORT_RUN
    while pos < end and payload[pos] == 0:
        pos += 1
        if pos == stride_at:
            while payload.startswith(_PADDING_RUN, pos):
                pos += len(_PADDING_RUN)
    return pos
