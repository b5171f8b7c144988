"""The 1-RTT keys of both directions and their updates (RFC 9001 section 6).

Two generations are counted, one for reading and one for writing; at rest they are equal. When this
side starts an update, the write generation goes one ahead, and the read generation follows with the
peer's first packet in the new phase. When the peer does, both move with a packet of the other phase
bit, and a number above all of the current phase, that the next keys open.

Nothing moves before such a packet has authenticated. The keys before the current ones are kept for
three PTOs to open packets that were overtaken, and to recognise a peer that goes back to them
(section 6.4). Every received packet costs one trial, whatever its phase bit and number say, so that
timing does not tell which keys there are (section 9.5); during those three PTOs a forgery may cost
two. Header protection does not change in an update.
"""

from typing import Final

from ..errors import AEAD_LIMIT_REACHED, KEY_UPDATE_ERROR, BadPacketError
from ..facts import ConnectionFacts
from ..wire.versions import VERSION_1
from .keys import PacketKeys, packet_limits

# Section 6.6 asks for CONNECTION_CLOSE before the limit. It is repeated for the 1st, 2nd, 4th, 8th
# ... packet that still arrives, so these are never used up.
_FOR_CLOSING: Final = 64
_NONE_YET: Final = 1 << 62


class OneRttKeys:
    def __init__(
        self,
        cipher_suite: int,
        read_secret: bytes,
        write_secret: bytes,
        facts: ConnectionFacts,
        version: int = VERSION_1,
    ) -> None:
        self._facts = facts
        self.read_phase = 0
        self.write_phase = 0
        self._closing = False
        # how often the write keys were replaced
        self.updates = 0
        self._read: PacketKeys = PacketKeys.derive(cipher_suite, read_secret, version)
        self._read_next: PacketKeys = self._read.next_secret_keys()
        self._previous: PacketKeys | None = None
        self._previous_until = 0.0
        self._write: PacketKeys = PacketKeys.derive(cipher_suite, write_secret, version)
        # the packet numbers that were opened in the current read phase
        self._lowest = 0
        self._highest = -1
        # the packets sealed in the current write phase; those of early data had other keys
        self._sealed = 0
        self._first_written = _NONE_YET
        self._last_written = -1
        self._phase_acked = False
        # section 6.6: for one key, and for all keys together, whose failures the receiver counts
        self.seal_limit, self.failure_limit = packet_limits(cipher_suite)

    def masks(self, samples: bytes) -> bytes:
        """Header protection masks of received packets; see PacketKeys.masks."""
        return self._read.masks(samples)

    @property
    def writer(self) -> PacketKeys:
        """The current write keys, whose header protection serves all phases."""
        return self._write

    def seal(self, pn: int, header: bytes, payload: bytes) -> bytes:
        """Seal in the current write phase, whose bit the header must carry.

        BadPacketError: the key is used up, because the peer never let an update come through. Only
        what says so can still be sealed, if `on_closing` was called, and a little later nothing.
        """
        sealed = self._sealed
        if sealed >= self.seal_limit - (0 if self._closing else _FOR_CLOSING):
            raise BadPacketError(AEAD_LIMIT_REACHED, "the write key has sealed all it may")
        if not sealed and self._first_written == _NONE_YET:
            self._first_written = pn
        self._sealed = sealed + 1
        self._last_written = pn
        return self._write.seal(pn, header, payload)

    def on_closing(self) -> None:
        """What is sealed from now on says that the connection is closed."""
        self._closing = True

    @property
    def update_due(self) -> bool:
        """Half of what the write key may seal is used up: time to ask for an update."""
        return self._sealed >= self.seal_limit >> 1

    def open(
        self, pn: int, key_phase: int, header: bytes, ciphertext: bytes, now: float, pto: float
    ) -> bytes | None:
        """The payload, or None when the packet does not authenticate.

        BadPacketError: the peer broke the rules of key updates.
        """
        if key_phase != self.read_phase:
            return self._open_other_phase(pn, header, ciphertext, now, pto)
        payload = self._read.open(pn, header, ciphertext)
        if payload is None:
            return None
        if pn > self._highest:
            self._highest = pn
        if self._previous is not None:
            if pn < self._lowest:
                self._lowest = pn
            if now >= self._previous_until:
                self._previous = None
        return payload

    def _open_other_phase(
        self, pn: int, header: bytes, ciphertext: bytes, now: float, pto: float
    ) -> bytes | None:
        """The phase bit differs from the current read phase: newer keys, or the older ones."""
        newer = pn > self._highest
        kept = self._previous if now < self._previous_until else None
        keys = self._read_next
        if kept is not None and not newer:
            keys = kept
        payload = keys.open(pn, header, ciphertext)
        if payload is None and kept is not None and newer:
            keys = kept
            payload = keys.open(pn, header, ciphertext)
        if payload is None:
            return None
        if newer and keys is self._read_next:
            self._follow_update(pn, now, pto)
        elif newer or keys is self._read_next or pn > self._lowest:
            # Section 6.4: keys never go back while packet numbers go forward.
            raise BadPacketError(
                KEY_UPDATE_ERROR, f"packet {pn} uses keys older than those of its predecessors"
            )
        return payload

    def _follow_update(self, pn: int, now: float, pto: float) -> None:
        """A packet in the next phase was authentic: it is now the current phase."""
        if self.write_phase == self.read_phase:
            # The peer starts. It may do so again only when it has seen packets of ours in the
            # current phase, the first of which is its confirmation (sections 6.1 and 6.2).
            if self.updates and not self._sealed:
                raise BadPacketError(KEY_UPDATE_ERROR, "key update before the last was answered")
            self._advance_write(self._last_written + 1)
        self._previous = self._read
        self._previous_until = now + 3.0 * pto
        self._read = self._read_next
        self._read_next = self._read.next_secret_keys()
        self.read_phase ^= 1
        self._lowest = pn
        self._highest = pn

    def _advance_write(self, pn_next: int) -> None:
        self._write = self._write.next_secret_keys()
        self.write_phase ^= 1
        self.updates += 1
        self._sealed = 0
        self._first_written = pn_next
        self._phase_acked = False

    def initiate_update(self, pn_next: int) -> bool:
        """Start an update; `pn_next` is the number of the next packet to be sealed.

        False when it is not allowed yet: before the handshake is confirmed, before the peer has
        acknowledged a packet of the current phase (section 6.1), and while the keys before the
        current ones are still kept (section 6.5).
        """
        if not self._facts.confirmed or not self._phase_acked or self._previous is not None:
            return False
        # An acknowledgement in this phase also means that the peer has followed: see on_acked.
        self._advance_write(pn_next)
        return True

    def on_acked(self, pn: int) -> bool:
        """The peer acknowledged packet `pn` of the application space. Returns whether that packet
        was sealed with the current keys."""
        if pn < self._first_written:
            return False
        if self.write_phase != self.read_phase:
            # Section 6.2: it saw our new phase, and still answered with the old keys.
            raise BadPacketError(
                KEY_UPDATE_ERROR, f"packet {pn} was acknowledged with keys older than its own"
            )
        self._phase_acked = True
        return True
