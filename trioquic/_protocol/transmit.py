"""Frames to datagrams (RFC 9000 sections 12.2, 13.2, 14.1 and 9.1).

On the active path the components are asked for frames until the congestion window, the pacer or
the batch is full, and the packets leave as one batch of equal size. A path that is not active gets
probing frames only, since anything else would move the connection. During the handshake packets of
several spaces share a datagram, which is filled up to 1200 bytes.
"""

from typing import Final

from .builder import PacketBuilder
from .cid.own import OwnIds
from .cid.peer import PeerIds
from .config import ACK_DELAY_EXPONENT
from .crypto.keys import PacketKeys, protect, protect_batch
from .datagrams import Datagrams
from .errors import APPLICATION_ERROR
from .handshake import Handshake
from .lifetime import CloseFrame, Lifetime
from .number_space import NumberSpace
from .observer import Observer
from .path.path import MINIMUM_DATAGRAM, MtuProbe, Path
from .path.table import PathTable
from .recovery.loss import LossDetector
from .recovery.sent import SentPacket
from .space import APPLICATION, HANDSHAKE, INITIAL, ZERO_RTT
from .streams.table import StreamTable
from .wire import frames
from .wire.packets import (
    HANDSHAKE_PACKET,
    INITIAL_PACKET,
    ZERO_RTT_PACKET,
    encode_long_header,
    encode_short_header,
    packet_number_length,
)

_TAG: Final = 16
_MOST_SEGMENTS: Final = 54
_MOST_BYTES: Final = 65_000
# Packet numbers of the handshake and of probes are not shortened: the size of a packet must be
# known before its frames are chosen, so that a frame that fills it leaves no room for PADDING.
_NUMBER_LENGTH: Final = 4
_PING_FRAME: Final = bytes((frames.PING,))


class Batch:
    """Datagrams for one send: each of `segment_size` bytes but the last, which may be shorter."""

    __slots__ = ("data", "ecn", "segment_size")

    def __init__(self, data: bytes, segment_size: int, ecn: int) -> None:
        self.data = data
        self.segment_size = segment_size
        self.ecn = ecn


class _Planned:
    """A packet of the handshake whose frames are chosen and that is not sealed yet."""

    __slots__ = ("builder", "number", "overhead", "space")

    def __init__(self, space: int, number: int, overhead: int, builder: PacketBuilder) -> None:
        self.space = space
        self.number = number
        self.overhead = overhead
        self.builder = builder

    @property
    def size(self) -> int:
        return self.overhead + self.builder.size


class Transmitter:
    """Chooses what goes out on which path, seals it, and enters it into the ledger."""

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
        self._spaces = spaces
        self._handshake = handshake
        self._streams = streams
        self._datagrams = datagrams
        self._paths = paths
        self._own_ids = own_ids
        self._peer_ids = peer_ids
        self._loss = loss
        self._lifetime = lifetime
        self.packets = 0
        # frames of streams went out since somebody last looked
        self.wrote_streams = False
        # how the datagrams in hand are marked: one codepoint for a whole batch
        self._codepoint = 0
        self.observer: Observer | None = None

    def transmit(self, path: Path, now: float) -> Batch | None:
        """The next datagrams for this path, or None when there is nothing to send there now."""
        connection_id = self._peer_ids.for_path(path.path_id)
        if connection_id is None:
            return None
        self._codepoint = path.recovery.ecn.codepoint
        active = path.path_id == self._paths.active
        if not self._lifetime.open:
            if active and self._lifetime.close_pending:
                return self._closing_datagram(path, connection_id, now)
            return None
        if self._handshake.confirmed:
            if active:
                return self._batch(path, connection_id, now)
            return self._probe(path, connection_id, now)
        return self._handshake_datagram(path, connection_id, now) if active else None

    @property
    def may_send_data(self) -> bool:
        """Whether there are keys for it."""
        return self._handshake.complete or self._handshake.zero_rtt is not None

    def has_data(self) -> bool:
        """Whether anything but acknowledgements waits for the congestion window or the pacer."""
        if self._handshake.zero_rtt is not None:
            return self._streams.has_pending()
        return (
            self._streams.has_pending()
            or self._datagrams.has_pending()
            or self._own_ids.has_pending()
            or self._peer_ids.has_pending()
            or self._spaces[APPLICATION].crypto.has_pending()
        )

    def initiate_key_update(self) -> bool:
        """Start a key update if it is allowed now (RFC 9001 section 6.1)."""
        keys = self._handshake.one_rtt
        return keys is not None and keys.initiate_update(self._loss.next_number_hint(APPLICATION))

    # -- the active path ---------------------------------------------------------------------------

    def _batch(self, path: Path, connection_id: bytes, now: float) -> Batch | None:
        keys = self._handshake.one_rtt
        assert keys is not None
        if keys.update_due:
            self.initiate_key_update()
        # One length for the whole batch, so that full packets are of one size; numbers may be
        # skipped, hence the margin.
        number_length = packet_number_length(
            self._loss.next_number_hint(APPLICATION) + 2 * _MOST_SEGMENTS,
            self._loss.largest_acked(APPLICATION),
        )
        probe_size = path.probe_size(now)
        budget = self._loss.send_budget(path.path_id, now)
        if probe_size and budget and self.has_data():
            return self._mtu_probe(path, connection_id, probe_size, now)
        sealed: list[tuple[bytes, int, bytes]] = []
        total = 0
        while len(sealed) < _MOST_SEGMENTS and total + path.mtu <= _MOST_BYTES:
            packet = self._data_packet(path, connection_id, number_length, budget, now)
            if packet is None:
                break
            size = len(packet[0]) + len(packet[2])
            total += size
            budget -= size
            sealed.append(packet)
            if size != path.mtu:
                break
        if not sealed:
            return None
        if total + _NUMBER_LENGTH > path.mtu:
            # also a packet with the largest datagram, which counts with the longest number
            path.search.on_full_datagram()
        self._account(path, total, len(sealed))
        header, _, body = sealed[0]
        datagrams = protect_batch(keys.writer, sealed)
        return Batch(datagrams, len(header) + len(body), self._codepoint)

    def _data_packet(
        self, path: Path, connection_id: bytes, number_length: int, budget: int, now: float
    ) -> tuple[bytes, int, bytes] | None:
        """One 1-RTT packet with whatever is most urgent, or None."""
        acks = self._spaces[APPLICATION].acks
        probe = self._loss.take_probe(APPLICATION)
        allowed = probe or budget >= path.mtu
        validating = path.has_probe(now)
        # Probes ask whether the path works at all, not whether it carries large datagrams.
        size = MINIMUM_DATAGRAM if probe or validating else path.mtu
        builder = PacketBuilder(size - 1 - number_length - len(connection_id) - _TAG)
        padded = validating and path.write_probe(builder, now)
        data = allowed and self.has_data()
        if (
            probe  # the last ACK may be what was lost: the peer then waits, ever longer, for news
            or acks.ack_due(now)
            or self._paths.ack_needed
            or (acks.has_unacked and (data or self._paths.ping_needed))
        ):
            acks.write_ack(builder, now, ACK_DELAY_EXPONENT)
            self._paths.ack_needed = False
        if data:
            self._write_data(builder, path)
        if (probe or self._paths.ping_needed) and (
            not builder.ack_eliciting or builder.only_probing
        ):
            builder.add(_PING_FRAME)
        elif padded and builder.only_probing:
            # Section 9.3.3: a challenge on the active path is also answered with a packet that
            # is not a probe.
            builder.add(_PING_FRAME)
        self._paths.ping_needed = False
        if builder.size == 0:
            return None
        return self._seal_short(path, connection_id, number_length, builder, padded, now)

    def datagram_room(self, path: Path) -> int:
        """What a full 1-RTT packet of the path takes; 0 without a connection ID."""
        connection_id = self._peer_ids.for_path(path.path_id)
        if connection_id is None:
            return 0
        return path.mtu - 1 - len(connection_id) - _NUMBER_LENGTH - _TAG

    def _write_data(self, builder: PacketBuilder, path: Path) -> None:
        if self._spaces[APPLICATION].crypto.has_pending():
            self._spaces[APPLICATION].crypto.write_frames(builder)
        if self._peer_ids.has_pending():
            self._peer_ids.write_frames(builder)
        if self._own_ids.has_pending():
            self._own_ids.write_frames(builder)
        if self._datagrams.has_pending():
            self._datagrams.write_frames(builder, self.datagram_room(path))
        if self._streams.has_pending():
            self._streams.write_frames(builder)
            self.wrote_streams = True

    def _seal_short(
        self,
        path: Path,
        connection_id: bytes,
        number_length: int,
        builder: PacketBuilder,
        padded: bool,
        now: float,
    ) -> tuple[bytes, int, bytes]:
        """Number, pad, seal and enter into the ledger; header protection comes later."""
        keys = self._handshake.one_rtt
        assert keys is not None
        number = self._loss.next_packet_number(APPLICATION)
        header = encode_short_header(
            connection_id,
            number,
            number_length,
            keys.write_phase,
            path.next_spin(),
            self._handshake.fixed_bit(),
        )
        # RFC 9001 section 5.4.2: the sample must lie within the packet
        least = 4 - number_length
        if padded:
            least = MINIMUM_DATAGRAM - len(header) - _TAG
        payload = b"".join(builder.parts)
        if len(payload) < least:
            payload += bytes(least - len(payload))
        sealed = keys.seal(number, header, payload)
        size = len(header) + len(sealed)
        if self.observer is not None:
            self.observer.packet_sent(now, path.path_id, APPLICATION, number, size, payload)
        self._enter(path, APPLICATION, number, size, builder, padded, now)
        return header, 1 + len(connection_id), sealed

    def _mtu_probe(self, path: Path, connection_id: bytes, size: int, now: float) -> Batch:
        """A datagram of this size that carries nothing which matters (section 14.4)."""
        keys = self._handshake.one_rtt
        assert keys is not None
        builder = PacketBuilder(size - 1 - len(connection_id) - _NUMBER_LENGTH - _TAG)
        # The PING is quiet for the ledger: it must arm no PTO, for its loss says nothing about
        # whether the path works. As PADDING it is in flight nevertheless.
        builder.add_quiet(_PING_FRAME, MtuProbe(path, size))
        builder.add_quiet(bytes(builder.room))
        packet = self._seal_short(path, connection_id, _NUMBER_LENGTH, builder, True, now)
        path.search.on_probe_sent(size)
        datagram = protect_batch(keys.writer, [packet])
        self._account(path, len(datagram), 1)
        return Batch(datagram, len(datagram), self._codepoint)

    def _probe(self, path: Path, connection_id: bytes, now: float) -> Batch | None:
        """A datagram of probing frames for a path that does not carry the connection."""
        keys = self._handshake.one_rtt
        if keys is None or not path.has_probe(now):
            return None
        builder = PacketBuilder(path.mtu - 1 - len(connection_id) - _NUMBER_LENGTH - _TAG)
        path.write_probe(builder, now)
        self._own_ids.write_frames(builder)
        packet = self._seal_short(path, connection_id, _NUMBER_LENGTH, builder, True, now)
        datagram = protect_batch(keys.writer, [packet])
        self._account(path, len(datagram), 1)
        return Batch(datagram, len(datagram), self._codepoint)

    # -- the handshake -----------------------------------------------------------------------------

    def _handshake_datagram(self, path: Path, connection_id: bytes, now: float) -> Batch | None:
        """One datagram with a packet of every space that has something to say (section 12.2)."""
        budget = self._loss.send_budget(path.path_id, now)
        room = path.mtu
        expand = False
        planned: list[_Planned] = []
        for space in self._spaces:
            overhead = self._overhead(space.index, connection_id)
            if overhead == 0 or room <= overhead + 16:
                continue
            builder = PacketBuilder(room - overhead)
            expand |= self._fill(space, path, builder, budget >= path.mtu, now)
            if builder.size:
                packet = self._plan(space.index, overhead, builder)
                planned.append(packet)
                room -= packet.size
        if not planned:
            return None
        return self._seal_planned(path, connection_id, planned, expand, now)

    def _fill(
        self, space: NumberSpace, path: Path, builder: PacketBuilder, allowed: bool, now: float
    ) -> bool:
        """Choose a packet's frames; returns whether its datagram must be expanded."""
        probe = self._loss.take_probe(space.index)
        allowed |= probe
        application = space.index == APPLICATION
        validating = application and path.has_probe(now) and path.write_probe(builder, now)
        data = allowed and (space.crypto.has_pending() or (application and self.has_data()))
        if application and self._handshake.zero_rtt is not None:
            return self._fill_early(builder, data, probe)
        # A probe says it again: the last ACK may be what was lost.
        if probe or space.acks.ack_due(now) or (space.acks.has_unacked and data):
            space.acks.write_ack(builder, now, ACK_DELAY_EXPONENT)
        if data and application:
            self._write_data(builder, path)
        elif data:
            space.crypto.write_frames(builder)
        if (probe and not builder.ack_eliciting) or (validating and builder.only_probing):
            builder.add(_PING_FRAME)
        return (space.index == INITIAL and builder.size > 0) or validating

    def _fill_early(self, builder: PacketBuilder, data: bool, probe: bool) -> bool:
        """A 0-RTT packet: nothing but data of streams, and no ACK (section 12.5)."""
        if data:
            self._streams.write_frames(builder)
            self.wrote_streams = True
        if probe and not builder.ack_eliciting:
            builder.add(_PING_FRAME)
        return False

    def _overhead(self, space: int, connection_id: bytes) -> int:
        """Bytes around the frames of one packet; 0 when there are no keys to send with."""
        if space == APPLICATION:
            if self._handshake.complete:
                return 1 + len(connection_id) + _NUMBER_LENGTH + _TAG
            if self._handshake.zero_rtt is None:
                return 0
        elif self._spaces[space].write is None:
            return 0
        header = 9 + _NUMBER_LENGTH + len(connection_id) + len(self._own_ids.first) + _TAG
        if space == INITIAL:
            token = len(self._handshake.token)
            header += token + (1 if token < 64 else 2)
        return header

    def _plan(self, space: int, overhead: int, builder: PacketBuilder) -> _Planned:
        return _Planned(space, self._loss.next_packet_number(space), overhead, builder)

    def _seal_planned(
        self,
        path: Path,
        connection_id: bytes,
        planned: list[_Planned],
        expand: bool,
        now: float,
    ) -> Batch:
        """Expand, seal and coalesce the packets of one datagram."""
        missing = MINIMUM_DATAGRAM - sum([packet.size for packet in planned]) if expand else 0
        last = planned[-1]
        if missing > 0:
            # Never behind a STREAM frame without a length: that one has filled the datagram.
            last.builder.parts.append(bytes(missing))
            last.builder.size += missing
        parts: list[bytes] = []
        for packet in planned:
            sealed = self._seal_one(path, connection_id, packet, now)
            parts.append(sealed)
            padded = packet is last and missing > 0
            self._enter(path, packet.space, packet.number, len(sealed), packet.builder, padded, now)
            if packet.space == HANDSHAKE:
                self._handshake.on_handshake_packet_sent()
        datagram = b"".join(parts)
        self._account(path, len(datagram), 1)
        return Batch(datagram, len(datagram), self._codepoint)

    def _seal_one(self, path: Path, connection_id: bytes, packet: _Planned, now: float) -> bytes:
        payload = b"".join(packet.builder.parts)
        keys = self._handshake.one_rtt
        told = packet.space
        if packet.space == APPLICATION and keys is not None:
            header = encode_short_header(
                connection_id,
                packet.number,
                _NUMBER_LENGTH,
                keys.write_phase,
                path.next_spin(),
                self._handshake.fixed_bit(),
            )
            sealed = keys.seal(packet.number, header, payload)
            writer: PacketKeys = keys.writer
        else:
            kind, writer, version = self._long_form(packet.space)
            header = encode_long_header(
                kind,
                connection_id,
                self._own_ids.first,
                self._handshake.token if kind == INITIAL_PACKET else b"",
                packet.number,
                _NUMBER_LENGTH,
                len(payload),
                version,
            )
            sealed = writer.seal(packet.number, header, payload)
            if kind == ZERO_RTT_PACKET:
                told = ZERO_RTT
        if self.observer is not None:
            size = len(header) + len(sealed)
            self.observer.packet_sent(now, path.path_id, told, packet.number, size, payload)
        return protect(writer, header, _NUMBER_LENGTH, sealed)

    def _long_form(self, space: int) -> tuple[int, PacketKeys, int]:
        """Packet type, keys and version of a packet with a long header."""
        early = self._handshake.zero_rtt
        if space == APPLICATION:
            assert early is not None
            return ZERO_RTT_PACKET, early.keys, early.version
        write = self._spaces[space].write
        assert write is not None
        kind = INITIAL_PACKET if space == INITIAL else HANDSHAKE_PACKET
        return kind, write, self._handshake.versions.current

    # -- the end -----------------------------------------------------------------------------------

    def _closing_datagram(self, path: Path, connection_id: bytes, now: float) -> Batch | None:
        """CONNECTION_CLOSE in every space the peer may be able to read (section 10.2.3)."""
        self._lifetime.close_pending = False
        frame = self._lifetime.close_frame
        if frame is None:
            return None
        planned: list[_Planned] = []
        room = path.mtu
        for space in self._spaces:
            overhead = self._overhead(space.index, connection_id)
            if overhead == 0 or (self._handshake.confirmed and space.index != APPLICATION):
                continue
            builder = PacketBuilder(room - overhead)
            builder.add_quiet(_encode_close(frame, space.index))
            if builder.room >= 0:
                planned.append(self._plan(space.index, overhead, builder))
                room -= planned[-1].size
        if not planned:
            return None
        expand = planned[0].space == INITIAL
        return self._seal_planned(path, connection_id, planned, expand, now)

    # -- bookkeeping -------------------------------------------------------------------------------

    def _enter(
        self,
        path: Path,
        space: int,
        number: int,
        size: int,
        builder: PacketBuilder,
        padded: bool,
        now: float,
    ) -> None:
        eliciting = builder.ack_eliciting
        self.packets += 1
        self._loss.on_sent(
            SentPacket(
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
        )
        if eliciting:
            self._lifetime.on_eliciting_sent(now)

    def _account(self, path: Path, size: int, count: int) -> None:
        path.bytes_sent += size
        path.datagrams_sent += count


def _encode_close(frame: CloseFrame, space: int) -> bytes:
    if frame.frame_type is None and space != APPLICATION:
        # Section 10.2.3: an application's words must not travel before the handshake is done.
        return frames.encode_connection_close(APPLICATION_ERROR, 0, b"")
    return frames.encode_connection_close(frame.code, frame.frame_type, frame.reason)
