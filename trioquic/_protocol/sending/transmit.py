"""Frames to datagrams once the handshake is confirmed (RFC 9000 sections 13.2 and 9.1).

On the active path the components are asked for frames until the congestion window, the pacer or
the batch is full, and the packets leave as one batch of equal size. A path that is not active gets
probing frames only, since anything else would move the connection. Before that, and at the end,
datagrams are made in coalesce.py.
"""

from typing import Final

from ..builder import PacketBuilder
from ..components import Components
from ..config import ACK_DELAY_EXPONENT
from ..crypto.key_update import OneRttKeys
from ..crypto.keys import protect_batch
from ..establishment import Establishment
from ..path.path import MINIMUM_DATAGRAM, MtuProbe, NetworkPath
from ..space import APPLICATION
from ..wire.packets import packet_number_length
from .coalesce import Coalescer
from .outgoing import LEAST_DATAGRAM, NUMBER_LENGTH, PING_FRAME, TAG, Batch, Outgoing

_MOST_SEGMENTS: Final = 54
_MOST_BYTES: Final = 65_000


class Transmitter:
    def __init__(self, parts: Components, outgoing: Outgoing, establishment: Establishment) -> None:
        self._out = outgoing
        self._coalescer = Coalescer(parts, outgoing, establishment)
        self._facts = parts.facts
        self._handshake = parts.handshake
        self._acks = parts.spaces[APPLICATION].acks
        self._announcements = parts.watch.announcements
        self._ids = parts.ids
        self._paths = parts.paths
        self._loss = parts.loss
        self._lifetime = parts.lifetime

    def transmit(self, path: NetworkPath, now: float) -> Batch | None:
        """The next datagrams for this path, or None when there is nothing to send there now."""
        connection_id = self._ids.peer.for_path(path.path_id)
        if connection_id is None:
            return None
        self._out.begin(path, now)
        active = path.path_id == self._facts.active_path
        if not self._lifetime.open:
            if active and self._lifetime.close_pending:
                return self._coalescer.closing_datagram(path, connection_id, now)
            return None
        if self._facts.confirmed:
            if self._paths.several and now < self._paths.precedence.held_until(path):
                return None
            if active:
                return self._batch(path, connection_id, now)
            return self._probe(path, connection_id, now)
        return self._coalescer.handshake_datagram(path, connection_id, now) if active else None

    def initiate_key_update(self) -> bool:
        """Start a key update if it is allowed now (RFC 9001 section 6.1)."""
        keys = self._handshake.one_rtt
        return keys is not None and keys.initiate_update(self._loss.next_number_hint(APPLICATION))

    def _keys(self) -> OneRttKeys:
        keys = self._handshake.one_rtt
        assert keys is not None
        return keys

    def _batch(self, path: NetworkPath, connection_id: bytes, now: float) -> Batch | None:
        out = self._out
        keys = self._keys()
        if keys.update_due:
            self.initiate_key_update()
        # One length for the whole batch, so that full packets are of one size; numbers may be
        # skipped, hence the margin.
        number_length = packet_number_length(
            self._loss.next_number_hint(APPLICATION) + 2 * _MOST_SEGMENTS,
            self._loss.largest_acked(APPLICATION),
        )
        probe_size = path.probe_size(now)
        budget = path.recovery.send_budget(now)
        if probe_size and budget and out.has_data():
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
        if total + NUMBER_LENGTH > path.mtu:
            # also a packet with the largest datagram, which counts with the longest number
            path.search.on_full_datagram()
        header, _, body = sealed[0]
        datagrams = protect_batch(keys.writer, sealed)
        return out.batch(path, datagrams, len(header) + len(body), len(sealed))

    def _data_packet(
        self, path: NetworkPath, connection_id: bytes, number_length: int, budget: int, now: float
    ) -> tuple[bytes, int, bytes] | None:
        """One 1-RTT packet with whatever is most urgent, or None."""
        out = self._out
        acks = self._acks
        due = self._announcements
        probe = self._loss.take_probe(APPLICATION)
        allowed = probe or budget >= path.mtu
        validating = path.has_probe(now, probe)
        ping = probe or (due.ping_needed and path.admits_probe())
        # Probes ask whether the path works at all, not whether it carries large datagrams.
        size = MINIMUM_DATAGRAM if probe or validating else path.mtu
        builder = PacketBuilder(size - 1 - number_length - len(connection_id) - TAG)
        padded = validating and path.write_probe(builder, now)
        data = allowed and out.has_data()
        if (
            probe  # the last ACK may be what was lost: the peer then waits, ever longer, for news
            or acks.ack_due(now)
            or due.ack_needed
            or (acks.has_unacked and (data or ping))
        ):
            overhead = 1 + len(connection_id) + number_length + TAG
            acks.write_ack(builder, now, ACK_DELAY_EXPONENT, LEAST_DATAGRAM - overhead)
            if due.ack_needed:
                due.on_ack_sent()
        if data:
            out.write_data(builder, path, now)
        if ping and (not builder.ack_eliciting or builder.only_probing):
            builder.add(PING_FRAME)
        elif padded and builder.only_probing:
            # Section 9.3.3: a challenge on the active path is also answered with a packet that
            # is not a probe.
            builder.add(PING_FRAME)
        if builder.size == 0:
            return None
        if not padded and path.limits_server(now) and path.admits_probe():
            padded = True
            if not builder.ack_eliciting:
                # with padding it is in flight, and only an acknowledgement takes it out again
                builder.add(PING_FRAME)
        if due.ping_needed and builder.ack_eliciting:
            due.on_ping_sent()
        return self._seal_short(path, connection_id, number_length, builder, padded, now)

    def _seal_short(
        self,
        path: NetworkPath,
        connection_id: bytes,
        number_length: int,
        builder: PacketBuilder,
        padded: bool,
        now: float,
    ) -> tuple[bytes, int, bytes]:
        """Number, pad, seal and enter into the ledger; header protection comes later."""
        out = self._out
        keys = self._keys()
        number = self._loss.next_packet_number(APPLICATION)
        header = out.short_header(path, connection_id, number, number_length, keys)
        # RFC 9001 section 5.4.2: the sample must lie within the packet. An ACK that is alone is
        # long enough without PADDING.
        size = MINIMUM_DATAGRAM if padded else LEAST_DATAGRAM
        least = max(4 - number_length, size - len(header) - TAG)
        payload = b"".join(builder.parts)
        if len(payload) < least:
            payload += bytes(least - len(payload))
        sealed = keys.seal(number, header, payload)
        size = len(header) + len(sealed)
        observer = self._facts.observer
        if observer is not None:
            observer.packet_sent(now, path.path_id, APPLICATION, number, size, payload)
        out.enter(path, APPLICATION, number, size, builder, padded, now)
        return header, 1 + len(connection_id), sealed

    def _mtu_probe(self, path: NetworkPath, connection_id: bytes, size: int, now: float) -> Batch:
        """A datagram of this size that carries nothing which matters (section 14.4)."""
        builder = PacketBuilder(size - 1 - len(connection_id) - NUMBER_LENGTH - TAG)
        # The PING is quiet for the ledger: it must arm no PTO, for its loss says nothing about
        # whether the path works. As PADDING it is in flight nevertheless.
        builder.add_quiet(PING_FRAME, MtuProbe(path, size))
        builder.add_quiet(bytes(builder.room))
        path.search.on_probe_sent(size)
        return self._alone(path, connection_id, builder, now)

    def _probe(self, path: NetworkPath, connection_id: bytes, now: float) -> Batch | None:
        """A datagram of probing frames for a path that does not carry the connection."""
        if not path.has_probe(now):
            return None
        builder = PacketBuilder(path.mtu - 1 - len(connection_id) - NUMBER_LENGTH - TAG)
        path.write_probe(builder, now)
        self._ids.own.write_frames(builder)
        self._paths.precedence.on_probe_sent(path, self._acks.promised, now)
        return self._alone(path, connection_id, builder, now)

    def _alone(
        self, path: NetworkPath, connection_id: bytes, builder: PacketBuilder, now: float
    ) -> Batch:
        packet = self._seal_short(path, connection_id, NUMBER_LENGTH, builder, True, now)
        datagram = protect_batch(self._keys().writer, [packet])
        return self._out.batch(path, datagram, len(datagram), 1)
