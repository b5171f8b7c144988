"""Packets that cannot be opened: not yet, or not at all.

Of those that came before their keys (RFC 9001 section 5.7) a bounded number is kept. The others
are counted. Anybody can send such a datagram; it ends something only if its last 16 bytes are a
token that the server gave with a connection ID that is in use to where it came from: a stateless
reset (RFC 9000 section 10.3).
"""

from typing import Final

from ..components import Components
from ..errors import AEAD_LIMIT_REACHED, BadPacketError
from .arrival import Arrival, ReceiveCounters

# RFC 9000 section 10.3: at least 5 bytes that look random, then the token
_SHORTEST_RESET: Final = 21
_MOST_KEPT: Final = 32


class Undecryptable:
    """Keeps, counts and judges them; `counters` has all that came in."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self.counters = ReceiveCounters()
        self._kept: list[tuple[Arrival, bytes]] = []
        self._kept_at_stage = 0

    def _stage(self) -> int:
        """How many levels of keys have come after Initial's."""
        return int(self._parts.facts.has_handshake_keys) + int(self._parts.facts.complete)

    def keep(self, arrival: Arrival, packet: bytes) -> None:
        """There are no keys for this packet yet."""
        self._parts.loss.hurry_initial(arrival.now)
        if len(self._kept) >= _MOST_KEPT:
            self.counters.dropped_no_keys += 1
            return
        self._kept.append((arrival, packet))
        self._kept_at_stage = self._stage()

    def take_kept(self) -> list[tuple[Arrival, bytes]]:
        """What was kept, if keys have come since; it may be kept again for the next ones."""
        if not self._kept or self._stage() <= self._kept_at_stage:
            return []
        kept, self._kept = self._kept, []
        return kept

    def on_forged_untrusted(self) -> None:
        """A packet did not authenticate. RFC 9001 section 6.6: all keys of the connection together
        may fail so often."""
        counters = self.counters
        counters.dropped_unauthentic += 1
        keys = self._parts.handshake.one_rtt
        if keys is not None and counters.dropped_unauthentic > keys.failure_limit:
            raise BadPacketError(AEAD_LIMIT_REACHED, "too many packets failed authentication")

    def on_datagram(self, arrival: Arrival, datagram: bytes) -> None:
        """It may be a stateless reset: then the last 16 bytes are a token we know (10.3.1)."""
        if len(datagram) < _SHORTEST_RESET or not self._parts.facts.complete:
            return
        path_ids = self._parts.paths.ids_with_remote(arrival.path.remote)
        reset = self._parts.ids.peer.paths_reset_by(datagram[-16:], path_ids)
        if not reset:
            self._parts.paths.on_undecryptable(arrival.path)
        elif not self._parts.paths.on_reset(reset, arrival.now):
            self._parts.lifetime.on_stateless_reset(arrival.now, arrival.pto)
