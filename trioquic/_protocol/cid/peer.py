"""The connection IDs the server gave us (RFC 9000 sections 5.1.1 and 5.1.2).

Each ID is unused, bound to one path, or retired. An ID is bound to a path once and never moves to
another, so that no observer can link two networks by it (section 9.5). A retired ID leaves a
RETIRE_CONNECTION_ID frame behind that is repeated until it is acknowledged; how many of those may
be on their way is bounded, because the peer can force retirements by raising Retire Prior To.
"""

import hmac
from collections.abc import Iterable
from typing import Final

from ..builder import PacketBuilder
from ..errors import CONNECTION_ID_LIMIT_ERROR, PROTOCOL_VIOLATION, BadPacketError
from ..range_set import RangeSet
from ..token import Token
from ..wire import frames
from ..wire.frames import NewConnectionId

MOST_PEER_IDS: Final = 8  # our active_connection_id_limit (section 18.2)
# Sequence numbers come from the peer; with gaps between them each costs us one range to remember.
_MAX_RETIRED_RANGES: Final = 64


class _RetireToken(Token):
    __slots__ = ("ids", "sequence")

    def __init__(self, ids: "PeerIds", sequence: int) -> None:
        self.ids = ids
        self.sequence = sequence

    def acked(self) -> None:
        self.ids.retirement_acked(self.sequence)

    def lost(self) -> None:
        self.ids.retirement_lost(self.sequence)


class PeerIds:
    def __init__(self) -> None:
        self.zero_length = False
        self._unused: dict[int, NewConnectionId] = {}
        self._bound: dict[int, NewConnectionId] = {}
        # paths whose ID the peer withdrew while there was no other, in the order they wait
        self._homeless: dict[int, None] = {}
        # how many there were at the same time, so far
        self._most = 1
        self._retired = RangeSet()
        self._retire_prior_to = 0
        # sequence numbers whose retirement the peer has not acknowledged, and those to send now
        self._retiring: set[int] = set()
        self._to_send: list[int] = []

    @property
    def spare(self) -> int:
        """How many IDs are left for new paths."""
        return len(self._unused)

    @property
    def more_expected(self) -> bool:
        """Whether there were more already: most peers replace what is retired."""
        return len(self._unused) + len(self._bound) < self._most

    @property
    def had_spare(self) -> bool:
        """Whether there was ever an ID beside the one in use."""
        return self._most > 1

    @property
    def retiring(self) -> int:
        """How many retirements the peer has not acknowledged yet."""
        return len(self._retiring)

    def for_path(self, path_id: int) -> bytes | None:
        """The ID to send to on this path; None while the path has none and must not send."""
        bound = self._bound.get(path_id)
        return None if bound is None else bound.connection_id

    def paths_reset_by(self, candidate: bytes, path_ids: Iterable[int]) -> list[int]:
        """Those of these paths whose ID has `candidate` as its reset token.

        Every token is compared, in constant time (section 10.3.1)."""
        found: list[int] = []
        for path_id in path_ids:
            bound = self._bound.get(path_id)
            if bound is not None and bound.reset_token:
                if hmac.compare_digest(bound.reset_token, candidate):
                    found.append(path_id)
        return found

    def set_handshake_id(self, path_id: int, connection_id: bytes) -> None:
        """Send to this ID from now on: our own invention, then Retry's, then the server's choice
        (section 7.2). It gets sequence number 0 and may still change."""
        self._bound[path_id] = NewConnectionId(0, 0, connection_id, b"")
        self.zero_length = len(connection_id) == 0

    def set_handshake_reset_token(self, path_id: int, reset_token: bytes) -> None:
        """The stateless_reset_token parameter belongs to the ID of the handshake."""
        bound = self._bound.get(path_id)
        if bound is not None:
            self._bound[path_id] = NewConnectionId(0, 0, bound.connection_id, reset_token)

    def add_preferred(self, connection_id: bytes, reset_token: bytes) -> None:
        """The ID of the preferred_address parameter has sequence number 1 (section 5.1.1)."""
        self._unused[1] = NewConnectionId(1, 0, connection_id, reset_token)
        self._note_most()

    def on_new_connection_id_untrusted(self, frame: NewConnectionId, active_path: int = -1) -> None:
        """NEW_CONNECTION_ID (section 19.15): retire first, then add, then count. If too few IDs
        are left for all paths, the active path is served first."""
        if self.zero_length:
            raise _refused(PROTOCOL_VIOLATION, "NEW_CONNECTION_ID from a peer with zero-length IDs")
        known = self._is_known_untrusted(frame)
        if frame.retire_prior_to > self._retire_prior_to:
            self._retire_prior_to = frame.retire_prior_to
            for sequence in [s for s in self._unused if s < frame.retire_prior_to]:
                del self._unused[sequence]
                self._retire(sequence)
        if frame.sequence < self._retire_prior_to:
            self._retire(frame.sequence)
        elif not known:
            self._unused[frame.sequence] = frame
        self._replace_outdated(active_path)
        self._check_limits_untrusted()
        self._note_most()

    def _note_most(self) -> None:
        self._most = max(self._most, len(self._unused) + len(self._bound))

    def _is_known_untrusted(self, frame: NewConnectionId) -> bool:
        for known in (*self._unused.values(), *self._bound.values()):
            same_id = known.connection_id == frame.connection_id
            if known.sequence == frame.sequence:
                token = known.reset_token
                if not same_id or (token and token != frame.reset_token):
                    raise _refused(PROTOCOL_VIOLATION, "sequence number reused with another ID")
                return True
            if same_id:
                raise _refused(PROTOCOL_VIOLATION, "connection ID reused with another number")
        return self._retired.contains(frame.sequence)

    def _replace_outdated(self, active_path: int) -> None:
        # A path keeps its place with a new ID; without one it falls silent until one arrives.
        for path_id, bound in list(self._bound.items()):
            if bound.sequence < self._retire_prior_to:
                del self._bound[path_id]
                self._retire(bound.sequence)
                self._homeless[path_id] = None
        waiting = list(self._homeless)
        if active_path in self._homeless:
            waiting.remove(active_path)
            waiting.insert(0, active_path)
        for path_id in waiting:
            if self.bind(path_id):
                del self._homeless[path_id]

    def _check_limits_untrusted(self) -> None:
        if len(self._unused) + len(self._bound) > MOST_PEER_IDS:
            raise _refused(CONNECTION_ID_LIMIT_ERROR, "more connection IDs than allowed")
        if len(self._retiring) > 2 * MOST_PEER_IDS or len(self._retired) > _MAX_RETIRED_RANGES:
            raise _refused(CONNECTION_ID_LIMIT_ERROR, "too many retirements outstanding")

    def bind(self, path_id: int) -> bool:
        """Give the path an ID that was never used; False when there is none (section 9.5)."""
        if not self._unused:
            return False
        sequence = min(self._unused)
        self._bound[path_id] = self._unused.pop(sequence)
        return True

    def release(self, path_id: int) -> None:
        """The path is gone: its ID is retired, never given to another (section 5.1.2)."""
        self._homeless.pop(path_id, None)
        bound = self._bound.pop(path_id, None)
        if bound is not None and not self.zero_length:
            self._retire(bound.sequence)

    def _retire(self, sequence: int) -> None:
        if not self._retired.contains(sequence):
            self._retired.add(sequence, sequence + 1)
            self._retiring.add(sequence)
            self._to_send.append(sequence)

    def has_pending(self) -> bool:
        """Whether a RETIRE_CONNECTION_ID frame waits to be sent."""
        return bool(self._to_send)

    def write_frames(self, builder: PacketBuilder) -> None:
        """RETIRE_CONNECTION_ID for every retirement not yet sent, as far as there is room."""
        while self._to_send:
            frame = frames.encode_integers(frames.RETIRE_CONNECTION_ID, self._to_send[0])
            if len(frame) > builder.room:
                return
            builder.add(frame, _RetireToken(self, self._to_send.pop(0)))

    def retirement_acked(self, sequence: int) -> None:
        """The peer knows."""
        self._retiring.discard(sequence)
        if sequence in self._to_send:
            self._to_send.remove(sequence)

    def retirement_lost(self, sequence: int) -> None:
        """A retirement is never forgotten."""
        if sequence in self._retiring and sequence not in self._to_send:
            self._to_send.append(sequence)


def _refused(code: int, reason: str) -> BadPacketError:
    return BadPacketError(code, reason, frames.NEW_CONNECTION_ID)
