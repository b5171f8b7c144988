"""The connection IDs we give to the server (RFC 9000 section 5.1.1).

All are of one length, so that a short header can be read without asking. The server always has a
few unused ones: it needs one to answer us on each new path. Who retires them is the server. Some
keep the ID of a path that we gave up for as long as the connection lives, and at last have nothing
left to answer a probe with. So when the unused ones run out while others belong to no path any
more, Retire Prior To asks for all of the old ones back (section 5.1.2), once at a time.
"""

from collections.abc import Callable
from typing import Final

from ..builder import PacketBuilder
from ..errors import PROTOCOL_VIOLATION, BadPacketError
from ..token import Token
from ..wire import frames

OWN_ID_LENGTH: Final = 8
# More than this many IDs serve no purpose for one client, whatever the peer would hold. Staying
# below the limit of most peers also leaves room for their errors: ngtcp2 0.12 goes on counting the
# ID of a path whose validation was overtaken by another move, after it has retired it itself.
_MOST_ISSUED: Final = 5
# One for the next path, and one for the path after it.
_ENOUGH_UNUSED: Final = 2


class _IssueToken(Token):
    __slots__ = ("ids", "sequence")

    def __init__(self, ids: "OwnIds", sequence: int) -> None:
        self.ids = ids
        self.sequence = sequence

    def lost(self) -> None:
        self.ids.issue_lost(self.sequence)


class OwnIds:
    def __init__(self, rng: Callable[[int], bytes]) -> None:
        self._rng = rng
        first = rng(OWN_ID_LENGTH)
        self.first = first
        self._by_id: dict[bytes, int] = {first: 0}
        # with the token of a stateless reset, which the first one has none of, and the Retire Prior
        # To that it was made for
        self._by_sequence: dict[int, tuple[bytes, bytes, int]] = {0: (first, b"", 0)}
        # Retired by the peer, but packets that it sent before may still come, on a slower path for
        # instance: dropping them would look like loss. Only the newest are kept.
        self._late: dict[bytes, int] = {}
        self._next_sequence = 1
        # this one and those above have not been in a frame yet: they go out in order
        self._never_sent = 1
        self._limit = 1
        self._used: set[int] = {0}
        # the newest ID that came in on each path
        self._on_path: dict[int, int] = {}
        self._retire_prior_to = 0
        self._to_send: list[int] = []

    @property
    def active(self) -> int:
        """How many IDs the peer may use."""
        return sum(1 for sequence in self._by_sequence if sequence >= self._retire_prior_to)

    @property
    def unused(self) -> int:
        """How many of them the peer has not used yet (section 5.1.1 asks for one to migrate)."""
        fresh = self._by_sequence.keys() - self._used
        return sum(1 for sequence in fresh if sequence >= self._retire_prior_to)

    def sequence_of(self, connection_id: bytes) -> int:
        """The number of one of our IDs, -1 for a stranger. The first sight of an ID uses it up."""
        sequence = self._by_id.get(connection_id, -1)
        return sequence if sequence >= 0 else self._late.get(connection_id, -1)

    def in_header(self, datagram: bytes) -> bool:
        """Whether it names one of our IDs, in either form of its header (section 5.2)."""
        at = 1
        if datagram[0] & 0x80:
            if len(datagram) < 6 or datagram[5] != OWN_ID_LENGTH:
                return False
            at = 6
        return self.sequence_of(datagram[at : at + OWN_ID_LENGTH]) >= 0

    def mark_used(self, sequence: int, path_id: int) -> None:
        """An authentic packet with this ID came in on a path."""
        if sequence in self._by_sequence:
            self._used.add(sequence)
            if sequence > self._on_path.get(path_id, -1):
                self._on_path[path_id] = sequence

    def retired_on(self, path_id: int) -> bool:
        """Whether the peer has retired the ID that it used on a path: it has no use for the path
        any more, and may have forgotten it."""
        sequence = self._on_path.get(path_id)
        return sequence is not None and sequence not in self._by_sequence

    def on_path_gone(self, path_id: int) -> None:
        """A path was given up: the peer has no use for the ID it sent to there."""
        self._on_path.pop(path_id, None)
        if self.unused >= _ENOUGH_UNUSED or self._is_retirement_due():
            return
        in_use = set(self._on_path.values())
        stale = [sequence for sequence in self._used if sequence not in in_use]
        if stale:
            self._retire_prior_to = max(stale) + 1
            self._replenish()

    def _is_retirement_due(self) -> bool:
        # What was asked for is waited for, so that a peer that never retires costs two sets of
        # IDs and no more.
        return any(sequence < self._retire_prior_to for sequence in self._by_sequence)

    def issue_up_to(self, peer_limit: int) -> None:
        """The peer's active_connection_id_limit is known: give it what it can use."""
        self._limit = min(peer_limit, _MOST_ISSUED)
        self._replenish()

    def on_retire_untrusted(self, sequence: int, arrived_on: int) -> None:
        """RETIRE_CONNECTION_ID (section 19.16)."""
        if sequence >= self._never_sent:
            raise BadPacketError(PROTOCOL_VIOLATION, "retired an ID that was never sent", 0x19)
        if sequence == arrived_on:
            raise BadPacketError(PROTOCOL_VIOLATION, "retired the ID it was sent to", 0x19)
        retired = self._by_sequence.pop(sequence, None)
        if retired is None:
            return
        connection_id = retired[0]
        del self._by_id[connection_id]
        self._late[connection_id] = sequence
        if len(self._late) > _MOST_ISSUED:
            del self._late[next(iter(self._late))]
        self._used.discard(sequence)
        self._replenish()

    def _replenish(self) -> None:
        # Section 5.1.1: those that the same frame withdraws do not count.
        while self.active < self._limit:
            connection_id = self._rng(OWN_ID_LENGTH)
            sequence = self._next_sequence
            self._next_sequence += 1
            self._by_id[connection_id] = sequence
            self._by_sequence[sequence] = connection_id, self._rng(16), self._retire_prior_to
            self._to_send.append(sequence)

    def has_pending(self) -> bool:
        """Whether a NEW_CONNECTION_ID frame waits to be sent."""
        return bool(self._to_send)

    def write_frames(self, builder: PacketBuilder) -> None:
        """NEW_CONNECTION_ID frames; probing frames, they may travel with a PATH_CHALLENGE."""
        while self._to_send:
            sequence = self._to_send[0]
            issued = self._by_sequence.get(sequence)
            if issued is None:
                self._to_send.pop(0)
                continue
            # Offered again, an ID carries the Retire Prior To that it was made for (section 13.3):
            # the server may have used it up, as only the acknowledgement was lost, and one that
            # gives old ones back must hold another to go on with.
            connection_id, reset_token, prior = issued
            frame = frames.encode_new_connection_id(sequence, prior, connection_id, reset_token)
            if len(frame) > builder.room:
                return
            self._to_send.pop(0)
            self._never_sent = max(self._never_sent, sequence + 1)
            builder.add_probing(frame, _IssueToken(self, sequence))

    def issue_lost(self, sequence: int) -> None:
        """Offer the ID again, unless the peer has retired it meanwhile."""
        if sequence in self._by_sequence and sequence not in self._to_send:
            self._to_send.append(sequence)
