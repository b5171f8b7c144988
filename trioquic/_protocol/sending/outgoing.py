"""What is sent, however its packets are made: the components that are asked for frames, and the
books that every sealed packet is entered into.
"""

from typing import Final

from ..builder import PacketBuilder
from ..cid.own import OWN_ID_LENGTH
from ..components import Components
from ..crypto.key_update import OneRttKeys
from ..number_space import NumberSpace
from ..path.path import NetworkPath
from ..recovery.sent import SentPacket
from ..space import APPLICATION, INITIAL
from ..wire.frames import PING
from ..wire.packets import encode_short_header
from .quic_bit import QuicBit

PING_FRAME: Final = bytes((PING,))
TAG: Final = 16
# Packet numbers of the handshake and of probes are not shortened: the size of a packet must be
# known before its frames are chosen, so that a frame that fills it leaves no room for PADDING.
NUMBER_LENGTH: Final = 4
# A stateless reset is shorter than what it answers, and must look like a packet to us all the same:
# 22 bytes more than the connection ID that we get (section 10.3).
LEAST_DATAGRAM: Final = OWN_ID_LENGTH + 22


class Batch:
    """Datagrams for one send: each of `segment_size` bytes but the last, which may be shorter."""

    __slots__ = ("data", "ecn", "segment_size")

    def __init__(self, data: bytes, segment_size: int, ecn: int) -> None:
        self.data = data
        self.segment_size = segment_size
        self.ecn = ecn


class Outgoing:
    def __init__(self, parts: Components) -> None:
        self._facts = parts.facts
        self._handshake = parts.handshake
        self._crypto = parts.spaces[APPLICATION]
        self._streams = parts.streams
        self._datagrams = parts.datagrams
        self._silence = parts.watch.silence
        self._ids = parts.ids
        self._loss = parts.loss
        self._lifetime = parts.lifetime
        self._liveness = parts.liveness
        self.packets = 0
        # how the datagrams in hand are marked: one codepoint for a whole batch
        self._codepoint = 0
        self._quic_bit = QuicBit(parts.facts, parts.rng)

    @property
    def may_send_data(self) -> bool:
        """Whether there are keys for it."""
        return self._facts.complete or self._handshake.zero_rtt is not None

    def has_data(self) -> bool:
        """Whether anything but acknowledgements waits for the congestion window or the pacer."""
        if self._handshake.zero_rtt is not None:
            return self._streams.has_pending()
        return (
            self._streams.has_pending()
            or self._datagrams.has_pending()
            or self._ids.has_pending()
            or self._crypto.crypto.has_pending()
        )

    def may_acknowledge(self, space: NumberSpace, path: NetworkPath) -> bool:
        """Whether an ACK may travel alone. What has an Initial packet in it is padded, and so it
        counts against the window like anything else (RFC 9002 section 2)."""
        return not space.discarded and (space.index != INITIAL or path.admits_probe())

    def datagram_room(self, path: NetworkPath) -> int:
        """What a full 1-RTT packet of the path takes; 0 without a connection ID."""
        connection_id = self._ids.peer.for_path(path.path_id)
        if connection_id is None:
            return 0
        return path.mtu - 1 - len(connection_id) - NUMBER_LENGTH - TAG

    def write_data(self, builder: PacketBuilder, path: NetworkPath, now: float) -> None:
        """Fill a 1-RTT packet with what is most urgent."""
        if self._crypto.crypto.has_pending():
            self._crypto.crypto.write_frames(builder)
        self._ids.write_frames(builder)
        if self._datagrams.has_pending():
            self._datagrams.write_frames(builder, self.datagram_room(path))
        self.write_streams(builder, now)

    def write_streams(self, builder: PacketBuilder, now: float) -> None:
        """What the streams have to say, and nothing else."""
        size = builder.size
        self._streams.write_frames(builder)
        if builder.size != size:
            self._liveness.on_request(now)

    def short_header(
        self, path: NetworkPath, connection_id: bytes, number: int, length: int, keys: OneRttKeys
    ) -> bytes:
        """The header of a 1-RTT packet, whose number takes `length` bytes."""
        spin = path.spin.next()
        quic_bit = self._quic_bit.draw()
        return encode_short_header(connection_id, number, length, keys.write_phase, spin, quic_bit)

    def begin(self, path: NetworkPath, now: float) -> None:
        """Datagrams for this path are about to be made, all marked alike."""
        path.doubt_marks(now)
        self._codepoint = path.recovery.ecn.codepoint

    def enter(
        self,
        path: NetworkPath,
        space: int,
        number: int,
        size: int,
        builder: PacketBuilder,
        padded: bool,
        now: float,
    ) -> None:
        """A packet is sealed and will go out."""
        eliciting = builder.ack_eliciting
        self.packets += 1
        packet = SentPacket(
            number,
            space,
            path.path_id,
            now,
            size,
            eliciting,
            builder.tokens,
            padded,
            self._codepoint,
        )
        self._loss.on_sent(packet)
        if path.responses.written and space == APPLICATION:
            path.responses.on_sent(packet)
        if eliciting:
            self._lifetime.on_eliciting_sent(now)
            if path.path_id == self._facts.active_path:
                self._silence.on_asked(now)

    def batch(self, path: NetworkPath, data: bytes, segment_size: int, count: int) -> Batch:
        """So many datagrams leave on the path."""
        path.traffic.on_sent(len(data), count)
        return Batch(data, segment_size, self._codepoint)
