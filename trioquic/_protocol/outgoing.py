"""What is sent, however its packets are made: the components that are asked for frames, and the
books that every sealed packet is entered into.
"""

from typing import Final

from .builder import PacketBuilder
from .cid.own import OWN_ID_LENGTH, OwnIds
from .cid.peer import PeerIds
from .datagrams import Datagrams
from .handshake import Handshake
from .lifetime import Lifetime
from .number_space import NumberSpace
from .observer import Observer
from .path.path import Path
from .path.table import PathTable
from .recovery.loss import LossDetector
from .recovery.sent import SentPacket
from .space import APPLICATION, INITIAL
from .streams.table import StreamTable

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
    """Frames in the order of their urgency, and the ledger of what went out."""

    def __init__(
        self,
        spaces: list[NumberSpace],
        handshake: Handshake,
        streams: StreamTable,
        datagrams: Datagrams,
        paths: PathTable,
        own_ids: OwnIds,
        peer_ids: PeerIds,
        loss: LossDetector,
        lifetime: Lifetime,
    ) -> None:
        self.spaces = spaces
        self.handshake = handshake
        self.streams = streams
        self.datagrams = datagrams
        self.paths = paths
        self.own_ids = own_ids
        self.peer_ids = peer_ids
        self.loss = loss
        self.lifetime = lifetime
        self.packets = 0
        # frames of streams went out since somebody last looked
        self.wrote_streams = False
        # how the datagrams in hand are marked: one codepoint for a whole batch
        self.codepoint = 0
        self.observer: Observer | None = None

    @property
    def may_send_data(self) -> bool:
        """Whether there are keys for it."""
        return self.handshake.complete or self.handshake.zero_rtt is not None

    def has_data(self) -> bool:
        """Whether anything but acknowledgements waits for the congestion window or the pacer."""
        if self.handshake.zero_rtt is not None:
            return self.streams.has_pending()
        return (
            self.streams.has_pending()
            or self.datagrams.has_pending()
            or self.own_ids.has_pending()
            or self.peer_ids.has_pending()
            or self.spaces[APPLICATION].crypto.has_pending()
        )

    def may_acknowledge(self, space: NumberSpace, path: Path) -> bool:
        """Whether an ACK may travel alone. What has an Initial packet in it is padded, and so it
        counts against the window like anything else (RFC 9002 section 2)."""
        return not space.discarded and (space.index != INITIAL or path.admits_probe())

    def datagram_room(self, path: Path) -> int:
        """What a full 1-RTT packet of the path takes; 0 without a connection ID."""
        connection_id = self.peer_ids.for_path(path.path_id)
        if connection_id is None:
            return 0
        return path.mtu - 1 - len(connection_id) - NUMBER_LENGTH - TAG

    def write_data(self, builder: PacketBuilder, path: Path) -> None:
        """Fill a 1-RTT packet with what is most urgent."""
        if self.spaces[APPLICATION].crypto.has_pending():
            self.spaces[APPLICATION].crypto.write_frames(builder)
        if self.peer_ids.has_pending():
            self.peer_ids.write_frames(builder)
        if self.own_ids.has_pending():
            self.own_ids.write_frames(builder)
        if self.datagrams.has_pending():
            self.datagrams.write_frames(builder, self.datagram_room(path))
        if self.streams.has_pending():
            self.streams.write_frames(builder)
            self.wrote_streams = True

    def enter(
        self,
        path: Path,
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
            self.codepoint,
        )
        self.loss.on_sent(packet)
        if path.responses.written and space == APPLICATION:
            path.responses.on_sent(packet)
        if eliciting:
            self.lifetime.on_eliciting_sent(now)
            if path.path_id == self.paths.active:
                self.paths.silence.on_asked(now)

    def account(self, path: Path, size: int, count: int) -> None:
        """So much leaves on the path, in so many datagrams."""
        path.bytes_sent += size
        path.datagrams_sent += count
