"""Packets that came before their keys (RFC 9001 section 5.7): a bounded number of them is kept.

The network may deliver a packet of the server's before the one that brings its keys. Keeping it
spares a round trip; the bound spares memory, as anybody can send what looks like one.
"""

from typing import Final

from ..components import Components
from .arrival import Arrival, ReceiveCounters

_MOST_KEPT: Final = 32


class KeptPackets:
    """Waits for the next keys; `take` gives everything back when they have come."""

    def __init__(self, parts: Components, counters: ReceiveCounters) -> None:
        self._facts = parts.facts
        self._loss = parts.loss
        self._counters = counters
        self._kept: list[tuple[Arrival, bytes]] = []
        self._at_stage = 0

    def _stage(self) -> int:
        return int(self._facts.has_handshake_keys) + int(self._facts.complete)

    def keep(self, arrival: Arrival, packet: bytes) -> None:
        """There are no keys for this packet yet."""
        self._loss.hurry_initial(arrival.now)
        if len(self._kept) >= _MOST_KEPT:
            self._counters.dropped_no_keys += 1
            return
        self._kept.append((arrival, packet))
        self._at_stage = self._stage()

    def take(self) -> list[tuple[Arrival, bytes]]:
        """What was kept, if keys have come since; it may be kept again for the next ones."""
        if not self._kept or self._stage() <= self._at_stage:
            return []
        kept, self._kept = self._kept, []
        return kept
