"""Datagrams to decrypted frames (RFC 9000 sections 5.2, 12.2 and 12.3; RFC 9001 section 5).

A batch of datagrams from one read of the socket is unmasked with one call: the header protection
samples of all short-header packets are put together (crypto/short_headers.py). The cipher keeps its
state from call to call, so nothing reaches it that has no whole sample. Nothing is believed before
it is authenticated; what fails is dropped and counted, and may only turn out to be a stateless
reset. Every packet goes all the way, also one that came before: how long it takes tells nobody what
is under its header protection (RFC 9001 section 9.5).

Packets that come before their keys are kept, a bounded number of them, if they are for us.
"""

from typing import Final

from .cid.own import OWN_ID_LENGTH, OwnIds
from .cid.peer import PeerIds
from .crypto.key_update import OneRttKeys
from .crypto.keys import SAMPLE_LENGTH, unprotect_long_untrusted
from .crypto.short_headers import BLOCK, MOST_HEADERS, PN_OFFSET, unmask
from .dispatch import Dispatcher
from .errors import AEAD_LIMIT_REACHED, PROTOCOL_VIOLATION, BadPacketError
from .handshake import Handshake
from .lifetime import CoreState, Lifetime
from .number_space import NumberSpace
from .observer import Observer
from .path.path import Path
from .path.table import PathTable
from .recovery.loss import LossDetector
from .space import APPLICATION, HANDSHAKE, INITIAL
from .wire import frames
from .wire.packets import (
    AEAD_TAG_LENGTH,
    HANDSHAKE_PACKET,
    INITIAL_PACKET,
    RETRY_PACKET,
    VERSION_NEGOTIATION_PACKET,
    LongHeader,
    decode_packet_number,
    parse_long_header_untrusted,
)

# What a packet begins with that probes a path (section 9.1); see `_only_probes`.
_PROBING: Final = (
    frames.PADDING,
    frames.NEW_CONNECTION_ID,
    frames.PATH_CHALLENGE,
    frames.PATH_RESPONSE,
)
_MOST_KEPT: Final = 32
# first byte, connection ID, then the sample that starts 4 bytes after the packet number's start
_SAMPLE_OFFSET: Final = PN_OFFSET + 4
_SHORTEST_SHORT: Final = _SAMPLE_OFFSET + 16
# RFC 9000 section 10.3: at least 5 bytes that look random, then the token
_SHORTEST_RESET: Final = 21


class ReceiveCounters:
    """What came in and was not used."""

    def __init__(self) -> None:
        self.packets = 0
        self.eliciting = 0
        self.dropped_malformed = 0
        self.dropped_unknown_id = 0
        self.dropped_unauthentic = 0
        self.dropped_duplicate = 0
        self.dropped_no_keys = 0
        self.dropped_unexpected = 0


class _Arrival:
    """What all datagrams of one read have in common."""

    __slots__ = ("ecn", "now", "path", "pto")

    def __init__(self, path: Path, ecn: int, now: float, pto: float) -> None:
        self.path = path
        self.ecn = ecn
        self.now = now
        self.pto = pto


class Receiver:
    """Turns what the sockets deliver into frames for the dispatcher."""

    def __init__(
        self,
        spaces: list[NumberSpace],
        handshake: Handshake,
        dispatcher: Dispatcher,
        paths: PathTable,
        own_ids: OwnIds,
        peer_ids: PeerIds,
        lifetime: Lifetime,
        loss: LossDetector,
    ) -> None:
        self._loss = loss
        self._spaces = spaces
        self._acks = spaces[APPLICATION].acks
        self._handshake = handshake
        self._dispatcher = dispatcher
        self._paths = paths
        self._own_ids = own_ids
        self._peer_ids = peer_ids
        self._lifetime = lifetime
        # packets that came before their keys
        self._kept: list[tuple[_Arrival, bytes]] = []
        self._kept_at_stage = 0
        self._known_id = own_ids.first
        self._known_sequence = 0
        self._known_used_on = -1
        self.counters = ReceiveCounters()
        self.observer: Observer | None = None

    @property
    def kept(self) -> int:
        """How many packets wait for their keys."""
        return len(self._kept)

    def receive_untrusted(
        self, path: Path, data: bytes, segment_size: int, ecn: int, now: float
    ) -> None:
        """One datagram, or several of `segment_size` bytes put together by the kernel.

        BadPacketError: an authentic packet that the connection must be closed for."""
        total = len(data)
        if segment_size <= 0:
            segment_size = max(total, 1)
        path.bytes_received += total
        path.datagrams_received += -(-total // segment_size) or 1
        if not self._lifetime.open:
            if self._lifetime.state is CoreState.CLOSING and self._is_for_us(data):
                self._lifetime.on_packet_in_closing()
            return
        pto = path.recovery.rtt.pto(self._loss.max_ack_delay)
        arrival = _Arrival(path, ecn, now, pto)
        short: list[int] = []
        start = 0
        while start < total:
            if data[start] & 0x80:
                self._long_untrusted(arrival, data[start : min(start + segment_size, total)])
            else:
                short.append(start)
            start += segment_size
        if short and self._lifetime.open:
            self._short_untrusted(arrival, data, short, segment_size)

    # -- 1-RTT packets -----------------------------------------------------------------------------

    def _short_untrusted(
        self, arrival: _Arrival, data: bytes, starts: list[int], size: int
    ) -> None:
        """Packets that begin at `starts`, each of `size` bytes, or to the end of `data`."""
        total = len(data)
        keys = self._handshake.one_rtt if self._handshake.complete else None
        if size < _SHORTEST_SHORT or total - starts[-1] < _SHORTEST_SHORT or keys is None:
            starts = self._with_keys_and_sample(arrival, data, starts, size, keys is not None)
            if not starts or keys is None:
                return
        before = self.counters.packets
        for low in range(0, len(starts), MOST_HEADERS):
            self._batch_untrusted(arrival, keys, data, starts[low : low + MOST_HEADERS], size)
        if self.counters.packets != before:
            self._lifetime.on_packet_received(arrival.now)

    def _with_keys_and_sample(
        self, arrival: _Arrival, data: bytes, starts: list[int], size: int, keys: bool
    ) -> list[int]:
        """Which of these may be unmasked now; the others are kept or dropped."""
        found: list[int] = []
        for start in starts:
            packet = data[start : start + size]
            if len(packet) < _SHORTEST_SHORT:
                # RFC 9001 section 5.4.2
                self.counters.dropped_malformed += 1
                self._on_undecryptable(arrival, packet)
            elif keys:
                found.append(start)
            elif self._is_for_us(packet):
                self._keep(arrival, packet)
            else:
                self.counters.dropped_unknown_id += 1
        return found if self._lifetime.open else []

    def _batch_untrusted(
        self, arrival: _Arrival, keys: OneRttKeys, data: bytes, starts: list[int], size: int
    ) -> None:
        """Packets that are unmasked together, one behind the other."""
        masks = keys.masks(
            b"".join([data[at + _SAMPLE_OFFSET : at + _SHORTEST_SHORT] for at in starts])
        )
        headers = b"".join([data[at : at + BLOCK] for at in starts])
        plain, known = unmask(headers, masks, self._known_id)
        total = len(data)
        block = 0
        for start in starts:
            if not self._lifetime.open:
                return
            end = start + size
            if end > total:
                end = total
            if known or self._recognise(plain[block + 1 : block + PN_OFFSET]):
                self._short_packet_untrusted(arrival, keys, plain, block, data, start, end)
            else:
                self.counters.dropped_unknown_id += 1
                self._on_undecryptable(arrival, data[start:end])
            block += BLOCK

    def _short_packet_untrusted(
        self,
        arrival: _Arrival,
        keys: OneRttKeys,
        plain: bytes,
        block: int,
        data: bytes,
        start: int,
        end: int,
    ) -> None:
        """The packet `data[start:end]`, whose header begins at `block` of the unmasked ones."""
        first = plain[block]
        pn_end = block + PN_OFFSET + 1 + (first & 3)
        truncated = plain[block + PN_OFFSET]
        for at in range(block + PN_OFFSET + 1, pn_end):
            truncated = truncated << 8 | plain[at]
        bits = 8 + 8 * (first & 3)
        largest = self._acks.largest
        number = decode_packet_number(truncated, bits, largest)
        header = plain[block:pn_end]
        sealed = data[start + pn_end - block : end]
        phase = first >> 2 & 1
        payload = keys.open(number, phase, header, sealed, arrival.now, arrival.pto)
        if payload is None and self._paths.several:
            # Packets of another path may have overtaken it by more than its number can express.
            number = _overtaken(truncated, bits, number, arrival.path.largest_received)
            if number >= 0:
                payload = keys.open(number, phase, header, sealed, arrival.now, arrival.pto)
        if payload is None:
            self._count_forgery_untrusted()
            self._on_undecryptable(arrival, data[start:end])
        elif number <= largest and self._acks.is_duplicate(number):
            self.counters.dropped_duplicate += 1
        else:
            self._opened_untrusted(arrival, number, first, payload)

    def _opened_untrusted(self, arrival: _Arrival, number: int, first: int, payload: bytes) -> None:
        """An authentic 1-RTT packet: its frames, and the note that it came."""
        if first & 0x18:
            raise BadPacketError(PROTOCOL_VIOLATION, "reserved bits of a short header are set")
        acks = self._acks
        path = arrival.path
        if number > acks.largest:
            path.spin = ~(first >> 5) & 1
        if number > path.largest_received:
            path.largest_received = number
        self.counters.packets += 1
        if self._known_used_on != path.path_id:
            self._known_used_on = path.path_id
            self._own_ids.mark_used(self._known_sequence, path.path_id)
        if self.observer is not None:
            size = PN_OFFSET + 1 + (first & 3) + len(payload) + AEAD_TAG_LENGTH
            self.observer.packet_received(
                arrival.now, path.path_id, APPLICATION, number, size, payload
            )
        eliciting = self._dispatcher.frames_untrusted(
            payload, APPLICATION, path, self._known_sequence, arrival.now
        )
        if path.path_id != self._paths.active and not _only_probes(payload):
            self._paths.on_stray(path, number, arrival.now)
        if eliciting:
            self.counters.eliciting += 1
        acks.on_received(number, arrival.now, eliciting, arrival.ecn)

    def _count_forgery_untrusted(self) -> None:
        """RFC 9001 section 6.6: all keys of the connection together."""
        self.counters.dropped_unauthentic += 1
        keys = self._handshake.one_rtt
        if keys is not None and self.counters.dropped_unauthentic > keys.failure_limit:
            raise BadPacketError(AEAD_LIMIT_REACHED, "too many packets failed authentication")

    def _recognise(self, connection_id: bytes) -> bool:
        """Whether the ID is one of ours; it is then the one to be expected next."""
        if connection_id == self._known_id:
            return True
        sequence = self._own_ids.sequence_of(connection_id)
        if sequence < 0:
            return False
        self._known_id = connection_id
        self._known_sequence = sequence
        self._known_used_on = -1
        return True

    def _is_for_us(self, datagram: bytes) -> bool:
        """Whether it names one of our IDs, in either form of its header (section 5.2)."""
        at = 1
        if datagram[0] & 0x80:
            if len(datagram) < 6 or datagram[5] != OWN_ID_LENGTH:
                return False
            at = 6
        return self._own_ids.sequence_of(datagram[at : at + OWN_ID_LENGTH]) >= 0

    def _on_undecryptable(self, arrival: _Arrival, datagram: bytes) -> None:
        """It may be a stateless reset: then the last 16 bytes are a token we know (10.3.1)."""
        if len(datagram) < _SHORTEST_RESET or not self._handshake.complete:
            return
        path_ids = self._paths.ids_with_remote(arrival.path.remote)
        reset = self._peer_ids.paths_reset_by(datagram[-16:], path_ids)
        if not reset:
            self._paths.on_stranger(arrival.path)
        elif self._paths.may_outlive_reset(reset):
            for path_id in reset:
                self._paths.on_reset(path_id, arrival.now)
        else:
            self._lifetime.on_stateless_reset(arrival.now, arrival.pto)

    # -- long headers ------------------------------------------------------------------------------

    def _long_untrusted(self, arrival: _Arrival, datagram: bytes) -> None:
        """A datagram of coalesced packets, the first of which has a long header."""
        counters = self.counters
        authentic = counters.packets + counters.dropped_duplicate
        self._coalesced_untrusted(arrival, datagram)
        if counters.packets + counters.dropped_duplicate == authentic:
            # Section 10.3: in another version a stateless reset may have this form.
            self._on_undecryptable(arrival, datagram)
        self._replay_untrusted()

    def _coalesced_untrusted(self, arrival: _Arrival, datagram: bytes) -> None:
        start = 0
        first_id: bytes | None = None
        while start < len(datagram) and self._lifetime.open:
            if not datagram[start] & 0x80:
                if datagram[start + 1 : start + PN_OFFSET] == first_id:
                    self._short_untrusted(arrival, datagram[start:], [0], len(datagram) - start)
                else:
                    self.counters.dropped_unknown_id += 1
                return
            try:
                header = parse_long_header_untrusted(datagram, start)
            except BadPacketError:
                self.counters.dropped_malformed += 1
                return
            if first_id is None:
                first_id = header.dcid
            if header.dcid != first_id or self._own_ids.sequence_of(header.dcid) != 0:
                # Section 12.2: coalesced packets belong to one connection, and it is ours.
                self.counters.dropped_unknown_id += 1
                return
            self._long_packet_untrusted(arrival, datagram, header)
            start = header.end

    def _long_packet_untrusted(
        self, arrival: _Arrival, datagram: bytes, header: LongHeader
    ) -> None:
        if header.kind == VERSION_NEGOTIATION_PACKET:
            used = self._handshake.on_version_negotiation_untrusted(
                header, arrival.now, arrival.pto
            )
        elif header.kind == RETRY_PACKET:
            used = self._handshake.on_retry_untrusted(header, datagram, arrival.now)
        elif header.kind == INITIAL_PACKET and not header.token:
            used = self._protected_untrusted(arrival, datagram, header, INITIAL)
        elif header.kind == HANDSHAKE_PACKET:
            used = self._protected_untrusted(arrival, datagram, header, HANDSHAKE)
        else:
            used = False
        if not used:
            self.counters.dropped_unexpected += 1
        elif self.observer is not None and header.kind not in (INITIAL_PACKET, HANDSHAKE_PACKET):
            size = header.end - header.start
            self.observer.answer_received(arrival.path.path_id, header.kind, size)

    def _protected_untrusted(
        self, arrival: _Arrival, datagram: bytes, header: LongHeader, index: int
    ) -> bool:
        space = self._spaces[index]
        handshake = self._handshake
        if (
            space.discarded
            or not handshake.server_id_matches(header.scid)
            or not handshake.versions.is_possible(header.version)
        ):
            return False
        keys = handshake.read_keys(header, index)
        if keys is None:
            if header.pn_offset + 4 + SAMPLE_LENGTH > header.end:
                self.counters.dropped_malformed += 1
            else:
                self._keep(arrival, datagram[header.start : header.end])
            return True
        try:
            number, first, plain_header, sealed = unprotect_long_untrusted(
                keys, datagram, header, space.acks.largest
            )
        except BadPacketError:
            self.counters.dropped_malformed += 1
            return True
        payload = keys.open(number, plain_header, sealed)
        if payload is None:
            self._count_forgery_untrusted()
            return True
        if space.acks.is_duplicate(number):
            self.counters.dropped_duplicate += 1
            return True
        if first & 0x0C:
            raise BadPacketError(PROTOCOL_VIOLATION, "reserved bits of a long header are set")
        self.counters.packets += 1
        if self.observer is not None:
            size = header.end - header.start
            self.observer.packet_received(
                arrival.now, arrival.path.path_id, index, number, size, payload
            )
        self._handshake.on_authentic_long_packet(header)
        self._lifetime.on_packet_received(arrival.now)
        eliciting = self._dispatcher.frames_untrusted(payload, index, arrival.path, 0, arrival.now)
        if not space.discarded:
            space.acks.on_received(number, arrival.now, eliciting, arrival.ecn)
        return True

    # -- packets before their keys -----------------------------------------------------------------

    def _stage(self) -> int:
        stage = 0 if self._spaces[HANDSHAKE].read is None else 1
        return 2 if self._handshake.complete else stage

    def _keep(self, arrival: _Arrival, packet: bytes) -> None:
        self._loss.hurry_initial(arrival.now)
        if len(self._kept) >= _MOST_KEPT:
            self.counters.dropped_no_keys += 1
            return
        self._kept.append((arrival, packet))
        self._kept_at_stage = self._stage()

    def _replay_untrusted(self) -> None:
        """New keys have come: look at what was kept."""
        while self._kept and self._stage() > self._kept_at_stage and self._lifetime.open:
            kept = self._kept
            self._kept = []
            for arrival, packet in kept:
                if packet[0] & 0x80:
                    self._coalesced_untrusted(arrival, packet)
                else:
                    self._short_untrusted(arrival, packet, [0], len(packet))


def _only_probes(payload: bytes) -> bool:
    """Whether a packet of the server's may be nothing but the answer to a probe or a probe itself
    (section 9.1), by its first frame. An ACK says nothing: some servers acknowledge a challenge on
    the path that it came on, in front of the response or alone. What goes on with something else
    is missed, which does no harm: whoever moves sends others as well."""
    at = 0
    kind = payload[0]
    if kind == frames.ACK or kind == frames.ACK_ECN:
        _, at = frames.parse_ack_untrusted(payload, 1, len(payload), kind == frames.ACK_ECN)
    return at == len(payload) or payload[at] in _PROBING


def _overtaken(truncated: int, bits: int, number: int, largest_on_path: int) -> int:
    """Another reading of a packet number that could not be `number`: it follows what came on the
    same path before, or is the next lower one that ends alike."""
    if largest_on_path >= 0:
        follower = decode_packet_number(truncated, bits, largest_on_path)
        if follower < number:
            return follower
    return number - (1 << bits)
