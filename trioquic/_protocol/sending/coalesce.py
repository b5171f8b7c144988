"""Datagrams of the handshake (RFC 9000 sections 12.2 and 14.1), and the last one of a connection.

Packets of several spaces share a datagram, each with the frames that its space has to say, and what
has an Initial packet in it is filled up to 1200 bytes. 0-RTT packets are made here as well.
"""

from dataclasses import dataclass

from ..builder import PacketBuilder
from ..components import Components
from ..config import ACK_DELAY_EXPONENT
from ..crypto.keys import PacketKeys, protect
from ..errors import APPLICATION_ERROR
from ..establishment import Establishment
from ..lifetime import CloseFrame
from ..number_space import NumberSpace
from ..path.path import MINIMUM_DATAGRAM, NetworkPath
from ..space import APPLICATION, HANDSHAKE, INITIAL, ZERO_RTT
from ..wire import frames
from ..wire.packets import (
    HANDSHAKE_PACKET,
    INITIAL_PACKET,
    ZERO_RTT_PACKET,
    encode_long_header,
)
from .outgoing import LEAST_DATAGRAM, NUMBER_LENGTH, PING_FRAME, TAG, Batch, Outgoing


@dataclass(slots=True)
class _Planned:
    """A packet of the handshake whose frames are chosen and that is not sealed yet."""

    space: int
    number: int
    overhead: int
    builder: PacketBuilder

    @property
    def size(self) -> int:
        return self.overhead + self.builder.size


class Coalescer:
    def __init__(self, parts: Components, outgoing: Outgoing, establishment: Establishment) -> None:
        self._out = outgoing
        self._establishment = establishment
        self._parts = parts

    def handshake_datagram(
        self, path: NetworkPath, connection_id: bytes, now: float
    ) -> Batch | None:
        """One datagram with a packet of every space that has something to say (section 12.2)."""
        budget = path.recovery.send_budget(now)
        room = path.mtu
        expand = False
        planned: list[_Planned] = []
        for space in self._parts.spaces:
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
        self,
        space: NumberSpace,
        path: NetworkPath,
        builder: PacketBuilder,
        allowed: bool,
        now: float,
    ) -> bool:
        """Choose a packet's frames; returns whether its datagram must be expanded."""
        probe = self._parts.loss.take_probe(space.index)
        allowed |= probe
        application = space.index == APPLICATION
        validating = application and path.has_probe(now, probe) and path.write_probe(builder, now)
        data = allowed and (space.crypto.has_pending() or (application and self._out.has_data()))
        if application and self._parts.handshake.zero_rtt is not None:
            return self._fill_early(builder, data, probe, now)
        # A probe says it again: the last ACK may be what was lost.
        due = space.acks.ack_due(now) and self._out.may_acknowledge(space, path)
        if probe or due or (space.acks.has_unacked and data):
            least = LEAST_DATAGRAM - (path.mtu - builder.room)
            space.acks.write_ack(builder, now, ACK_DELAY_EXPONENT, least)
        if data and application:
            self._out.write_data(builder, path, now)
        elif data:
            space.crypto.write_frames(builder)
        if (probe and not builder.ack_eliciting) or (validating and builder.only_probing):
            builder.add(PING_FRAME)
        return (space.index == INITIAL and builder.size > 0) or validating

    def _fill_early(self, builder: PacketBuilder, data: bool, probe: bool, now: float) -> bool:
        """A 0-RTT packet: nothing but what streams have to say, and no ACK (section 12.5)."""
        if data:
            self._out.write_streams(builder, now)
        if probe and not builder.ack_eliciting:
            builder.add(PING_FRAME)
        return False

    def _overhead(self, space: int, connection_id: bytes) -> int:
        """Bytes around the frames of one packet; 0 when there are no keys to send with."""
        if space == APPLICATION:
            if self._parts.facts.complete:
                return 1 + len(connection_id) + NUMBER_LENGTH + TAG
            if self._parts.handshake.zero_rtt is None:
                return 0
        elif self._parts.spaces[space].write is None:
            return 0
        header = 9 + NUMBER_LENGTH + len(connection_id) + len(self._parts.ids.own.first) + TAG
        if space == INITIAL:
            token = len(self._parts.handshake.token)
            header += token + (1 if token < 64 else 2)
        return header

    def _plan(self, space: int, overhead: int, builder: PacketBuilder) -> _Planned:
        return _Planned(space, self._parts.loss.next_packet_number(space), overhead, builder)

    def _seal_planned(
        self,
        path: NetworkPath,
        connection_id: bytes,
        planned: list[_Planned],
        expand: bool,
        now: float,
    ) -> Batch:
        least = MINIMUM_DATAGRAM if expand else LEAST_DATAGRAM
        missing = least - sum([packet.size for packet in planned])
        last = planned[-1]
        if missing > 0:
            # Never behind a STREAM frame without a length: that one has filled the datagram.
            last.builder.add_quiet(bytes(missing))
        parts: list[bytes] = []
        for packet in planned:
            sealed = self._seal_one(path, connection_id, packet, now)
            parts.append(sealed)
            padded = packet is last and missing > 0
            self._out.enter(
                path, packet.space, packet.number, len(sealed), packet.builder, padded, now
            )
            if packet.space == HANDSHAKE:
                self._establishment.on_handshake_packet_sent()
        datagram = b"".join(parts)
        return self._out.batch(path, datagram, len(datagram), 1)

    def _seal_one(
        self, path: NetworkPath, connection_id: bytes, packet: _Planned, now: float
    ) -> bytes:
        payload = b"".join(packet.builder.parts)
        keys = self._parts.handshake.one_rtt
        told = packet.space
        if packet.space == APPLICATION and keys is not None:
            header = self._out.short_header(path, connection_id, packet.number, NUMBER_LENGTH, keys)
            sealed = keys.seal(packet.number, header, payload)
            writer: PacketKeys = keys.writer
        else:
            kind, writer, version = self._long_form(packet.space)
            header = encode_long_header(
                kind,
                connection_id,
                self._parts.ids.own.first,
                self._parts.handshake.token if kind == INITIAL_PACKET else b"",
                packet.number,
                NUMBER_LENGTH,
                len(payload),
                version,
            )
            sealed = writer.seal(packet.number, header, payload)
            if kind == ZERO_RTT_PACKET:
                told = ZERO_RTT
        observer = self._parts.facts.observer
        if observer is not None:
            size = len(header) + len(sealed)
            observer.packet_sent(now, path.path_id, told, packet.number, size, payload)
        return protect(writer, header, NUMBER_LENGTH, sealed)

    def _long_form(self, space: int) -> tuple[int, PacketKeys, int]:
        """Packet type, keys and version of a packet with a long header."""
        early = self._parts.handshake.zero_rtt
        if space == APPLICATION:
            assert early is not None
            return ZERO_RTT_PACKET, early.keys, early.version
        write = self._parts.spaces[space].write
        assert write is not None
        kind = INITIAL_PACKET if space == INITIAL else HANDSHAKE_PACKET
        return kind, write, self._parts.handshake.versions.current

    def closing_datagram(self, path: NetworkPath, connection_id: bytes, now: float) -> Batch | None:
        """CONNECTION_CLOSE in every space the peer may be able to read (section 10.2.3)."""
        frame = self._parts.lifetime.take_close_frame()
        if frame is None:
            return None
        planned: list[_Planned] = []
        room = path.mtu
        for space in self._parts.spaces:
            overhead = self._overhead(space.index, connection_id)
            if overhead == 0 or (self._parts.facts.confirmed and space.index != APPLICATION):
                continue
            builder = PacketBuilder(room - overhead)
            builder.add_quiet(_encode_close(frame, space.index))
            if builder.room >= 0:
                planned.append(self._plan(space.index, overhead, builder))
                room -= planned[-1].size
        if not planned:
            return None
        expand = planned[0].space == INITIAL
        if self._parts.handshake.one_rtt is not None:
            self._parts.handshake.one_rtt.on_closing()
        return self._seal_planned(path, connection_id, planned, expand, now)


def _encode_close(frame: CloseFrame, space: int) -> bytes:
    if frame.frame_type is None and space != APPLICATION:
        # Section 10.2.3: an application's words must not travel before the handshake is done.
        return frames.encode_connection_close(APPLICATION_ERROR, 0, b"")
    return frames.encode_connection_close(frame.code, frame.frame_type, frame.reason)
