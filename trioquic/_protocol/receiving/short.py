"""1-RTT packets: the hot path (RFC 9000 section 17.3; RFC 9001 section 5).

A batch of datagrams from one read of the socket is unmasked with one call: the header protection
samples of all short-header packets are put together (crypto/short_headers.py). The cipher keeps its
state from call to call, so nothing reaches it that has no whole sample. What came before goes all
the way, too: how long a packet takes tells nobody what is under its header protection (RFC 9001
section 9.5).

A server that fills packets with frames that say nothing has most of them dropped unread, whatever
they are: RFC 9000 section 21.9 allows it. Each packet earns credit by its size, and each frame
costs some; in debt no packet is opened. Nobody else can bring about a debt, and no slow traffic
can, whatever it consists of, as time earns credit, too.
"""

from typing import Final

from ..components import Components
from ..crypto.key_update import OneRttKeys
from ..crypto.short_headers import BLOCK, MOST_HEADERS, PN_OFFSET, unmask
from ..errors import PROTOCOL_VIOLATION, BadPacketError
from ..space import APPLICATION
from ..wire import frames
from ..wire.packets import AEAD_TAG_LENGTH, decode_packet_number
from .arrival import Arrival
from .dispatch import Dispatcher
from .undecryptable import Undecryptable

# What a packet begins with that probes a path (section 9.1); see `_only_probes`.
_PROBING: Final = (
    frames.PADDING,
    frames.NEW_CONNECTION_ID,
    frames.PATH_CHALLENGE,
    frames.PATH_RESPONSE,
)
# first byte, connection ID, then the sample that starts 4 bytes after the packet number's start
_SAMPLE_OFFSET: Final = PN_OFFSET + 4
_SHORTEST_SHORT: Final = _SAMPLE_OFFSET + 16
# Bytes that are worth one frame; what each packet takes beside its payload; frames a second that
# are free; and how many frames may have been earned beforehand, or be owed: a datagram full of them
_WORTH_A_FRAME: Final = 8
_BESIDE_PAYLOAD: Final = 40
_ALWAYS_EARNED: Final = _BESIDE_PAYLOAD // _WORTH_A_FRAME
_FREE: Final = 20_000
_MOST_CREDIT: Final = 4096
_MOST_DEBT: Final = 16_384


class ShortHeaders:
    def __init__(
        self, parts: Components, dispatcher: Dispatcher, undecryptable: Undecryptable
    ) -> None:
        self._facts = parts.facts
        self._acks = parts.spaces[APPLICATION].acks
        self._handshake = parts.handshake
        self._paths = parts.paths
        self._watch = parts.watch
        self._own_ids = parts.ids.own
        self._lifetime = parts.lifetime
        self._dispatcher = dispatcher
        self._undecryptable = undecryptable
        self._counters = undecryptable.counters
        # the ID that came in last, and where: mostly it is the next one as well
        self._known_id = parts.ids.own.first
        self._known_sequence = 0
        self._known_used_on = -1
        # how many frames may come, beside those that the next packets earn; and since when time
        # has not been counted
        self._credit = _MOST_CREDIT
        self._credited_at = 0.0

    def receive_untrusted(
        self, arrival: Arrival, data: bytes, starts: list[int], size: int
    ) -> None:
        """Packets that begin at `starts`, each of `size` bytes, or to the end of `data`."""
        total = len(data)
        keys = self._handshake.one_rtt if self._facts.complete else None
        if size < _SHORTEST_SHORT or total - starts[-1] < _SHORTEST_SHORT or keys is None:
            starts = self._with_keys_and_sample(arrival, data, starts, size, keys is not None)
            if not starts or keys is None:
                return
        before = self._counters.packets
        for low in range(0, len(starts), MOST_HEADERS):
            self._batch_untrusted(arrival, keys, data, starts[low : low + MOST_HEADERS], size)
        if self._counters.packets != before:
            self._lifetime.on_packet_received(arrival.now)

    def _with_keys_and_sample(
        self, arrival: Arrival, data: bytes, starts: list[int], size: int, keys: bool
    ) -> list[int]:
        """Which of these may be unmasked now; the others are kept or dropped."""
        found: list[int] = []
        for start in starts:
            packet = data[start : start + size]
            if len(packet) < _SHORTEST_SHORT:
                # RFC 9001 section 5.4.2
                self._counters.dropped_malformed += 1
                self._undecryptable.on_datagram(arrival, packet)
            elif keys:
                found.append(start)
            elif self._own_ids.in_header(packet):
                self._undecryptable.keep(arrival, packet)
            else:
                self._counters.dropped_unknown_id += 1
        return found if self._lifetime.open else []

    def _batch_untrusted(
        self, arrival: Arrival, keys: OneRttKeys, data: bytes, starts: list[int], size: int
    ) -> None:
        """Packets that are unmasked together, one behind the other."""
        masks = keys.masks(
            b"".join([data[at + _SAMPLE_OFFSET : at + _SHORTEST_SHORT] for at in starts])
        )
        headers = b"".join([data[at : at + BLOCK] for at in starts])
        plain, known = unmask(headers, masks, self._known_id)
        total = len(data)
        block = 0
        earned = int(_FREE * (arrival.now - self._credited_at))
        if earned:
            self._earn(earned)
            self._credited_at = arrival.now
        for start in starts:
            if not self._lifetime.open:
                return
            end = start + size
            if end > total:
                end = total
            if known or self._recognise(plain[block + 1 : block + PN_OFFSET]):
                if self._credit >= 0:
                    self._short_packet_untrusted(arrival, keys, plain, block, data, start, end)
                else:
                    self._earn((end - start + _BESIDE_PAYLOAD) // _WORTH_A_FRAME)
                    self._counters.dropped_excessive += 1
            else:
                self._counters.dropped_unknown_id += 1
                self._undecryptable.on_datagram(arrival, data[start:end])
            block += BLOCK

    def _short_packet_untrusted(
        self,
        arrival: Arrival,
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
            self._undecryptable.on_forged_untrusted()
            self._undecryptable.on_datagram(arrival, data[start:end])
        elif number <= largest and self._acks.is_duplicate(number):
            self._counters.dropped_duplicate += 1
        else:
            self._opened_untrusted(arrival, number, first, payload)

    def _opened_untrusted(self, arrival: Arrival, number: int, first: int, payload: bytes) -> None:
        """An authentic 1-RTT packet: its frames, and the note that it came."""
        if first & 0x18:
            raise BadPacketError(PROTOCOL_VIOLATION, "reserved bits of a short header are set")
        acks = self._acks
        path = arrival.path
        path.on_packet(number, first)
        self._counters.packets += 1
        if self._known_used_on != path.path_id:
            self._known_used_on = path.path_id
            self._own_ids.mark_used(self._known_sequence, path.path_id)
        if self._facts.observer is not None:
            size = PN_OFFSET + 1 + (first & 3) + len(payload) + AEAD_TAG_LENGTH
            self._facts.observer.packet_received(
                arrival.now, path.path_id, APPLICATION, number, size, payload
            )
        eliciting = self._dispatcher.frames_untrusted(
            payload, APPLICATION, path, self._known_sequence, arrival.now
        )
        seen = self._dispatcher.frames
        if seen > _ALWAYS_EARNED or self._credit < _MOST_CREDIT:
            self._earn((len(payload) + _BESIDE_PAYLOAD) // _WORTH_A_FRAME - seen)
        if path.path_id != self._facts.active_path and not _only_probes(payload):
            self._watch.on_stray(path, number, arrival.now)
        if eliciting:
            self._counters.eliciting += 1
        acks.on_received(number, arrival.now, eliciting, arrival.ecn)

    def _earn(self, credit: int) -> None:
        """Credit in frames, or a debt."""
        credit += self._credit
        if credit > _MOST_CREDIT:
            credit = _MOST_CREDIT
        elif credit < -_MOST_DEBT:
            credit = -_MOST_DEBT
        self._credit = credit

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
