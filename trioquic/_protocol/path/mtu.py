"""How large a datagram one path carries: the search of DPLPMTUD (RFC 8899, RFC 9000 section 14.3).

A probe is a datagram that carries nothing which matters: acknowledged, it raises the size; lost
three times, it refuses the size. The largest size that the interface can send goes first, for that
is usually right; then Ethernet's, then those between what works and what does not, halving a list
of sizes that networks really have: six sizes and eighteen losses at most. A size that is more than
a quarter of the congestion window must wait for a larger one.

Nothing here has a timer. A probe follows full datagrams of data only, with more data behind it,
which makes its loss known soon: an idle connection stays idle. The congestion controller hears
nothing of that loss (section 14.4).

A path may also carry large datagrams no more, without a word: a black hole (RFC 8899 section 4.3,
`recovery/large_losses.py`). It falls back to 1200 bytes, and the search begins again after a
patience that doubles each time, until the path was well for twenty minutes.
"""

from math import inf
from typing import Final

from ..machine import Label, advance
from ..recovery.large_losses import SMALLEST

BASE: Final = SMALLEST  # what the search begins with (BASE_PLPMTU)
# So that four datagrams still fit into one send of the kernel's.
LARGEST: Final = 16_250
# What is assumed of an interface that tells nothing.
ETHERNET: Final = 1500

_IPV4_OVERHEAD: Final = 28
_IPV6_OVERHEAD: Final = 48
# IP packets as large as interfaces, tunnels and clouds have them, beside the path's own interface.
_USUAL: Final = (1280, 1320, *range(1360, 1500, 20), 1492, ETHERNET, 2304, 4352, 8500, 8896, 9000)
_MOST_PROBES: Final = 3  # RFC 8899 section 5.1.2, MAX_PROBES
_RAISE_AFTER: Final = 600.0  # section 5.1.1, PMTU_RAISE_TIMER
_FIRST_PATIENCE: Final = 1.0
_FORGIVEN_AFTER: Final = 2 * _RAISE_AFTER
_SHARE_OF_WINDOW: Final = 4


class MtuState(Label):
    """Where the search is. RFC 8899's DISABLED is a path that has no size to try; its ERROR, a path
    that does not carry the base, is one on which QUIC does not work (section 14.2)."""

    BASE = "base"
    SEARCHING = "searching"
    COMPLETE = "complete"


class MtuInput(Label):
    START = "there is data for larger datagrams"
    FINISH = "no size is left to try"
    RAISE = "600 s have passed"
    FALL = "large datagrams arrive no more"
    RESTART = "the connection comes back to the path"


TRANSITIONS: Final[dict[tuple[MtuState, MtuInput], MtuState]] = {
    (MtuState.BASE, MtuInput.START): MtuState.SEARCHING,
    (MtuState.BASE, MtuInput.RESTART): MtuState.BASE,
    (MtuState.SEARCHING, MtuInput.FINISH): MtuState.COMPLETE,
    (MtuState.SEARCHING, MtuInput.FALL): MtuState.BASE,
    (MtuState.SEARCHING, MtuInput.RESTART): MtuState.BASE,
    (MtuState.COMPLETE, MtuInput.RAISE): MtuState.SEARCHING,
    (MtuState.COMPLETE, MtuInput.FALL): MtuState.BASE,
    (MtuState.COMPLETE, MtuInput.RESTART): MtuState.BASE,
}


class MtuSearch:
    def __init__(self, ipv6: bool, interface_mtu: int, limit: int) -> None:
        self.state = MtuState.BASE
        # the largest datagram that is known to arrive
        self.size: int = BASE
        # each search has another number: a probe of an earlier one means nothing
        self.number = 0
        self._overhead: int = _IPV6_OVERHEAD if ipv6 else _IPV4_OVERHEAD
        self._largest: int = min(interface_mtu - self._overhead, LARGEST)
        # The sizes to try, smallest first, and the lost probes of each. They are listed when a
        # search begins: most connections never fill a datagram.
        self._sizes: list[int] = []
        self._losses: list[int] = []
        # places in the list: the largest that works, -1 for the base, and the smallest refused
        self._works = -1
        self._refused = 0
        # no probe goes out before this time, nor while one is on its way: its size, or 0
        self._not_before = -inf
        self._on_its_way = 0
        # a full datagram went out since the last probe
        self._filled = False
        self._patience = _FIRST_PATIENCE
        self._fell_at = -inf
        self.restrict(limit)

    def restrict(self, limit: int) -> None:
        """No datagram may be larger than this, says the peer (RFC 9000 section 18.2)."""
        self._largest = min(self._largest, limit)
        if self._largest <= BASE:
            self._not_before = inf

    def on_full_datagram(self) -> None:
        """Data has filled a datagram."""
        self._filled = True

    def next_size(self, now: float, window: int) -> int:
        """The size to probe now, given a congestion window; 0 if there is none."""
        if not self._filled or self._on_its_way or now < self._not_before:
            return 0
        if self.state is not MtuState.SEARCHING:
            self._begin()
        if self._works + 1 == self._refused:
            self._finish(now)
            return 0
        place = self._choose()
        while place > self._works and self._sizes[place] * _SHARE_OF_WINDOW > window:
            place -= 1
        return self._sizes[place] if place > self._works else 0

    def _begin(self) -> None:
        again = self.state is MtuState.COMPLETE
        self.state = advance(TRANSITIONS, self.state, MtuInput.RAISE if again else MtuInput.START)
        largest = self._largest
        sizes = {min(mtu - self._overhead, largest) for mtu in _USUAL}
        sizes.add(largest)
        self._sizes = sorted([size for size in sizes if size > BASE])
        self._losses = [0 for _ in self._sizes]
        self._refused = len(self._sizes)

    def _finish(self, now: float) -> None:
        self.state = advance(TRANSITIONS, self.state, MtuInput.FINISH)
        nothing_larger = self._refused == len(self._sizes)
        self._not_before = inf if nothing_larger else now + _RAISE_AFTER

    def _choose(self) -> int:
        """The place of the size to try next, between what works and what is refused."""
        sizes = self._sizes
        if self._refused == len(sizes):
            return self._refused - 1
        ethernet = ETHERNET - self._overhead
        if self.size < ethernet < sizes[self._refused] and ethernet in sizes:
            return sizes.index(ethernet)
        return (self._works + self._refused) // 2

    def on_probe_sent(self, size: int) -> None:
        """A probe is on its way. The next one has to follow data again."""
        self._on_its_way = size
        self._filled = False

    def on_probe_acked(self, number: int, size: int) -> None:
        """A probe of the search `number` arrived, perhaps after it was counted as lost."""
        if number != self.number:
            return
        if size == self._on_its_way:
            self._on_its_way = 0
        if size > self.size:
            self.size = size
            self._works = self._sizes.index(size)
            self._refused = max(self._refused, self._works + 1)

    def on_probe_lost(self, number: int, size: int) -> None:
        """A probe of the search `number` was lost."""
        if number != self.number:
            return
        self._on_its_way = 0
        place = self._sizes.index(size)
        self._losses[place] += 1
        if self._losses[place] == _MOST_PROBES:
            self._refused = min(self._refused, place)

    def fall(self, now: float) -> None:
        """Datagrams larger than the base arrive no more."""
        self._reset(MtuInput.FALL)
        if now > self._fell_at + _FORGIVEN_AFTER:
            self._patience = _FIRST_PATIENCE
        self._fell_at = now
        self._not_before = now + self._patience
        self._patience = min(2.0 * self._patience, _RAISE_AFTER)

    def restart(self) -> None:
        """The connection comes back here; the network behind the addresses may be another."""
        self._reset(MtuInput.RESTART)
        self._not_before = -inf if self._largest > BASE else inf
        self._patience = _FIRST_PATIENCE

    def _reset(self, why: MtuInput) -> None:
        self.state = advance(TRANSITIONS, self.state, why)
        self.size = BASE
        self.number += 1
        self._works = -1
        self._on_its_way = 0
        self._filled = False
