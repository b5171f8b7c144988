"""Packets with long headers, coalesced in datagrams (RFC 9000 sections 12.2 and 17.2).

They belong to the handshake: Initial and Handshake packets are opened with the keys of their space,
Retry and Version Negotiation are for the handshake to judge.
"""

from ..components import Components
from ..crypto.keys import SAMPLE_LENGTH, unprotect_long_untrusted
from ..crypto.short_headers import PN_OFFSET
from ..errors import PROTOCOL_VIOLATION, BadPacketError
from ..establishment import Establishment
from ..space import HANDSHAKE, INITIAL
from ..wire.packets import (
    HANDSHAKE_PACKET,
    INITIAL_PACKET,
    RETRY_PACKET,
    VERSION_NEGOTIATION_PACKET,
    LongHeader,
    parse_long_header_untrusted,
)
from .arrival import Arrival
from .dispatch import Dispatcher
from .short import ShortHeaders
from .undecryptable import Undecryptable


class LongHeaders:
    def __init__(
        self,
        parts: Components,
        establishment: Establishment,
        dispatcher: Dispatcher,
        undecryptable: Undecryptable,
        short: ShortHeaders,
    ) -> None:
        self._parts = parts
        self._establishment = establishment
        self._dispatcher = dispatcher
        self._undecryptable = undecryptable
        self._short = short
        self._counters = undecryptable.counters

    def receive_untrusted(self, arrival: Arrival, datagram: bytes) -> None:
        """A datagram of coalesced packets, the first of which has a long header."""
        counters = self._counters
        authentic = counters.packets + counters.dropped_duplicate
        self._coalesced_untrusted(arrival, datagram)
        if counters.packets + counters.dropped_duplicate == authentic:
            # Section 10.3: in another version a stateless reset may have this form.
            self._undecryptable.on_datagram(arrival, datagram)
        self._replay_untrusted()

    def _coalesced_untrusted(self, arrival: Arrival, datagram: bytes) -> None:
        start = 0
        first_id: bytes | None = None
        while start < len(datagram) and self._parts.lifetime.open:
            if not datagram[start] & 0x80:
                if datagram[start + 1 : start + PN_OFFSET] == first_id:
                    self._short.receive_untrusted(
                        arrival, datagram[start:], [0], len(datagram) - start
                    )
                else:
                    self._counters.dropped_unknown_id += 1
                return
            try:
                header = parse_long_header_untrusted(datagram, start)
            except BadPacketError:
                self._counters.dropped_malformed += 1
                return
            if first_id is None:
                first_id = header.dcid
            if header.dcid != first_id or self._parts.ids.own.sequence_of(header.dcid) != 0:
                # Section 12.2: coalesced packets belong to one connection, and it is ours.
                self._counters.dropped_unknown_id += 1
                return
            self._long_packet_untrusted(arrival, datagram, header)
            start = header.end

    def _long_packet_untrusted(self, arrival: Arrival, datagram: bytes, header: LongHeader) -> None:
        if header.kind == VERSION_NEGOTIATION_PACKET:
            used = self._establishment.on_version_negotiation_untrusted(
                header, arrival.now, arrival.pto
            )
        elif header.kind == RETRY_PACKET:
            used = self._establishment.on_retry_untrusted(header, datagram, arrival.now)
        elif header.kind == INITIAL_PACKET and not header.token:
            used = self._protected_untrusted(arrival, datagram, header, INITIAL)
        elif header.kind == HANDSHAKE_PACKET:
            used = self._protected_untrusted(arrival, datagram, header, HANDSHAKE)
        else:
            used = False
        if not used:
            self._counters.dropped_unexpected += 1
        elif self._parts.facts.observer is not None and header.kind not in (
            INITIAL_PACKET,
            HANDSHAKE_PACKET,
        ):
            size = header.end - header.start
            self._parts.facts.observer.answer_received(arrival.path.path_id, header.kind, size)

    def _protected_untrusted(
        self, arrival: Arrival, datagram: bytes, header: LongHeader, index: int
    ) -> bool:
        space = self._parts.spaces[index]
        handshake = self._parts.handshake
        if (
            space.discarded
            or not handshake.server_id_matches(header.scid)
            or not handshake.versions.is_possible(header.version)
        ):
            return False
        keys = handshake.read_keys(header, index)
        if keys is None:
            if header.pn_offset + 4 + SAMPLE_LENGTH > header.end:
                self._counters.dropped_malformed += 1
            else:
                self._undecryptable.keep(arrival, datagram[header.start : header.end])
            return True
        try:
            number, first, plain_header, sealed = unprotect_long_untrusted(
                keys, datagram, header, space.acks.largest
            )
        except BadPacketError:
            self._counters.dropped_malformed += 1
            return True
        payload = keys.open(number, plain_header, sealed)
        if payload is None:
            self._undecryptable.on_forged_untrusted()
            return True
        if space.acks.is_duplicate(number):
            self._counters.dropped_duplicate += 1
            return True
        if first & 0x0C:
            raise BadPacketError(PROTOCOL_VIOLATION, "reserved bits of a long header are set")
        self._counters.packets += 1
        if self._parts.facts.observer is not None:
            size = header.end - header.start
            self._parts.facts.observer.packet_received(
                arrival.now, arrival.path.path_id, index, number, size, payload
            )
        self._establishment.on_authentic_long_packet(header)
        self._parts.lifetime.on_packet_received(arrival.now)
        eliciting = self._dispatcher.frames_untrusted(payload, index, arrival.path, 0, arrival.now)
        if not space.discarded:
            space.acks.on_received(number, arrival.now, eliciting, arrival.ecn)
        return True

    def _replay_untrusted(self) -> None:
        """New keys may have come: look at what was kept."""
        kept = self._undecryptable.take_kept()
        while kept and self._parts.lifetime.open:
            for arrival, packet in kept:
                if packet[0] & 0x80:
                    self._coalesced_untrusted(arrival, packet)
                else:
                    self._short.receive_untrusted(arrival, packet, [0], len(packet))
            kept = self._undecryptable.take_kept()
