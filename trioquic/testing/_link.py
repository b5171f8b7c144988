"""Access links: what a datagram suffers between an interface and the internet's core.

Every interface hangs on one `Link` with two independent directions. The core itself is ideal, so
the round-trip time between two hosts is the sum of the four delays on the way. A direction is a
FIFO with a rate and a bounded queue, then a wire with delay, loss, corruption, duplication and
reordering. A direction never reorders unless it was told to: with a changing delay or jitter a
datagram arrives at the earliest together with the one before it.

Chance comes from one generator per direction, seeded by the network's seed and the direction's
name, and every datagram draws the same number of values. The n-th datagram of a direction
therefore meets the same fate in every run with that seed, whatever happens on other links.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal, TypedDict, Unpack

from .. import _checks
from .._construction import NoPublicConstructor
from ._addresses import overhead
from ._core import Arrive, Core
from ._flight import DatagramInFlight
from ._record import Datagram, Fate, Filter


class LinkOptions(TypedDict, total=False):
    """The keyword arguments that describe a link; see `LinkProfile` for their meaning."""

    delay: float
    jitter: float
    rate: float | None
    queue: float
    queue_bytes: int | None
    loss: float
    corrupt: float
    duplicate: float
    reorder: float
    reorder_delay: float
    max_burst: int | None
    mtu: int


_RATE: Final = _checks.number(above=True, infinite=True, unit="of bits per second")
_PROBABILITY: Final = _checks.number(0, 1, unit="")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkProfile:
    """How one direction of a link behaves. Probabilities are between 0 and 1, per datagram.

    Raises TypeError and ValueError for values that make no sense.
    """

    delay: float = _checks.checked(0.0, _checks.number())
    """Seconds on the wire."""
    jitter: float = _checks.checked(0.0, _checks.number())
    """Up to that many seconds more, uniformly distributed; keeps the order."""
    rate: float | None = _checks.checked(None, _RATE)
    """Bits per second, IP and UDP headers included; None is without limit."""
    queue: float = _checks.checked(math.inf, _checks.number(infinite=True))
    """The longest time in seconds that a datagram may wait for its turn, given a rate."""
    queue_bytes: int | None = _checks.checked(None, _checks.whole(0))
    """The most bytes that may wait, given a rate; None is without limit."""
    loss: float = _checks.checked(0.0, _PROBABILITY)
    corrupt: float = _checks.checked(0.0, _PROBABILITY)
    """Probability that one byte arrives changed."""
    duplicate: float = _checks.checked(0.0, _PROBABILITY)
    reorder: float = _checks.checked(0.0, _PROBABILITY)
    """Probability that a datagram is held back, so that others may overtake it."""
    reorder_delay: float = _checks.checked(0.01, _checks.number())
    """Seconds for which such a datagram is held back."""
    max_burst: int | None = _checks.checked(None, _checks.whole(1))
    """After that many losses and corruptions in a row the next datagram is spared."""
    mtu: int = _checks.checked(1500, _checks.whole(0))
    """Bytes of the largest IP packet that gets through."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)


class LinkDirection(metaclass=NoPublicConstructor, made_by="Host.add_interface"):
    """One direction of an access link; made by `Host.add_interface`."""

    def __init__(
        self,
        core: Core,
        where: tuple[str, str, Literal["outbound", "inbound"]],
        profile: LinkProfile,
        sink: Arrive,
    ) -> None:
        self._core = core
        self._where = where
        self._rng = random.Random(f"{core.seed}/{'/'.join(where)}")
        self._sink = sink
        self._profile = profile
        self._filters: list[Filter] = []
        self._blackholed = False
        self._cut_at: int | None = None
        self._busy_until = -math.inf
        self._last_arrival = -math.inf
        self._burst = 0
        self.offered: int = 0
        """Datagrams that were handed to this direction; the next one has this index."""
        self.dropped: Counter[Fate] = Counter()
        """How many datagrams ended here, by their fate."""

    @property
    def profile(self) -> LinkProfile:
        return self._profile

    def change(self, **options: Unpack[LinkOptions]) -> None:
        """Give some parameters a new value, for the datagrams from now on."""
        self._profile = replace(self._profile, **options)

    def blackhole(self) -> None:
        """Swallow everything from now on without a word, and what is on the wire."""
        self._blackholed = True

    def cut_at(self, index: int) -> None:
        """Swallow the datagram with this index and all that follow; earlier ones still arrive.

        An index that has passed cuts at once.
        """
        self._cut_at = index

    def restore(self) -> None:
        """End a blackhole or a cut."""
        self._blackholed = False
        self._cut_at = None

    @contextmanager
    def filtered(self, function: Filter) -> Iterator[None]:
        """Let `function` see, change or drop every datagram offered while the block runs."""
        self._filters.append(function)
        try:
            yield
        finally:
            self._filters.remove(function)

    def _drop(self, flight: DatagramInFlight, fate: Fate) -> None:
        self.dropped[fate] += 1
        flight.end(fate)

    def _carry(self, flight: DatagramInFlight) -> None:
        """Take a datagram in, and let it arrive later, or never."""
        index = self.offered
        self.offered = index + 1
        draw = self._rng.random
        chances = (draw(), draw(), draw(), draw(), draw(), draw())
        if self._blackholed or (self._cut_at is not None and index >= self._cut_at):
            self._drop(flight, Fate.BLACKHOLED)
        elif self._filters and not self._pass_filters(flight, index):
            self._drop(flight, Fate.FILTERED)
        elif (size := len(flight.payload) + overhead(flight.destination[0])) > self._profile.mtu:
            self._drop(flight, Fate.TOO_BIG)
        elif not self._queue(flight, size):
            self._drop(flight, Fate.QUEUE_FULL)
        else:
            self._transmit(flight, chances)

    def _pass_filters(self, flight: DatagramInFlight, index: int) -> bool:
        host, interface, direction = self._where
        for function in tuple(self._filters):
            payload = function(
                Datagram(
                    time=flight.time,
                    host=host,
                    interface=interface,
                    direction=direction,
                    index=index,
                    source=flight.source,
                    destination=flight.destination,
                    payload=flight.payload,
                )
            )
            if payload is None:
                return False
            flight.payload = bytes(payload)
        return True

    def _queue(self, flight: DatagramInFlight, size: int) -> bool:
        """Wait for the datagrams before this one, then take the time that its own bits need."""
        profile = self._profile
        if profile.rate is None:
            return True
        start = max(flight.time, self._busy_until)
        waiting = start - flight.time
        if waiting > profile.queue:
            return False
        if profile.queue_bytes is not None:
            if waiting and waiting * profile.rate / 8 + size > profile.queue_bytes:
                return False
        self._busy_until = flight.time = start + size * 8 / profile.rate
        return True

    def _transmit(self, flight: DatagramInFlight, chances: tuple[float, ...]) -> None:
        """The wire: every accident is decided here, at the moment of sending."""
        profile = self._profile
        loss, corrupt, duplicate, reorder, jitter, position = chances
        spared = profile.max_burst is not None and self._burst >= profile.max_burst
        lost = loss < profile.loss and not spared
        corrupted = corrupt < profile.corrupt and not spared and not lost
        self._burst = self._burst + 1 if lost or corrupted else 0
        if lost:
            self._drop(flight, Fate.LOST)
            return
        if corrupted:
            flight.corrupt(position)
        twin = flight.duplicate() if duplicate < profile.duplicate else None
        arrival = flight.time + profile.delay + profile.jitter * jitter
        if reorder < profile.reorder:
            arrival += profile.reorder_delay
        else:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        self._launch(flight, arrival)
        if twin is not None:
            self._launch(twin, arrival)

    def _launch(self, flight: DatagramInFlight, arrival: float) -> None:
        flight.time = arrival
        if not self._core.schedule(flight, self._arrive):
            self._drop(flight, Fate.OVERFLOW)

    def _arrive(self, flight: DatagramInFlight) -> None:
        if self._blackholed:
            self._drop(flight, Fate.BLACKHOLED)
        else:
            self._sink(flight)


class Link(metaclass=NoPublicConstructor, made_by="Host.add_interface"):
    """The access link of one interface, in both directions; made by `Host.add_interface`.

    Its methods act on both directions; `outbound` (host to internet) and `inbound` have the same
    methods for one of them.
    """

    def __init__(self, outbound: LinkDirection, inbound: LinkDirection) -> None:
        self.outbound = outbound
        self.inbound = inbound

    def change(self, **options: Unpack[LinkOptions]) -> None:
        """Give some parameters a new value, for the datagrams from now on."""
        self.outbound.change(**options)
        self.inbound.change(**options)

    def blackhole(self) -> None:
        """Swallow everything from now on without a word, and what is on the wire."""
        self.outbound.blackhole()
        self.inbound.blackhole()

    def restore(self) -> None:
        """End a blackhole or a cut."""
        self.outbound.restore()
        self.inbound.restore()

    @contextmanager
    def filtered(self, function: Filter) -> Iterator[None]:
        """Let `function` see, change or drop every datagram offered while the block runs."""
        with self.outbound.filtered(function), self.inbound.filtered(function):
            yield
