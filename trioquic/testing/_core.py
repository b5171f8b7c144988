"""The ideal core of the simulated internet: who has which address, and the datagrams in flight.

Datagrams in flight lie in a heap by the time of their next event; one task sleeps until the
earliest. Links, NATs, interfaces and hosts stand on the core and are not known to it.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable
from typing import Protocol, TypeAlias

import trio

from ._flight import DatagramInFlight
from ._record import Fate, Record, RecordEntry, Recorder

MAX_IN_FLIGHT = 100_000
Arrive: TypeAlias = Callable[[DatagramInFlight], None]
"""Where a datagram is at its time."""


class AddressOwner(Protocol):
    """An interface, or a NAT in front of some."""

    def _take_in(self, flight: DatagramInFlight) -> bool:
        """Carry a datagram from the core to its host; False if it is not expected."""
        ...


class Core:
    """What all parts of one simulated network have in common."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.recorders: tuple[Recorder, ...] = ()
        self.undeliverable: Counter[Fate] = Counter()
        self._owners: dict[str, AddressOwner] = {}
        self._heap: list[tuple[float, int, DatagramInFlight, Arrive]] = []
        self._counter = 0
        self._sleep: trio.CancelScope | None = None
        self._nursery: trio.Nursery | None = None

    # Time and tasks

    def start(self, nursery: trio.Nursery) -> None:
        """Deliver datagrams from now on, and let hosts have tasks in the nursery."""
        self._nursery = nursery
        nursery.start_soon(self._run)

    def stop(self) -> None:
        """The nursery is over: drop what is in flight."""
        self._nursery = None
        self._heap.clear()

    def background(self) -> trio.Nursery:
        """The nursery of the hosts' tasks; RuntimeError if there is none."""
        if self._nursery is None:
            raise RuntimeError("the network is not running")
        return self._nursery

    async def _run(self) -> None:
        """Deliver what is due, and sleep until the next datagram."""
        while True:
            deadline = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=deadline) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None
            now = trio.current_time()
            while self._heap and self._heap[0][0] <= now:
                _, _, flight, arrive = heapq.heappop(self._heap)
                arrive(flight)

    def schedule(self, flight: DatagramInFlight, arrive: Arrive) -> bool:
        """Call `arrive` at the flight's time; False if there is no room for one more."""
        earliest = self._heap[0][0] if self._heap else math.inf
        if flight.time <= trio.current_time() and flight.time < earliest:
            arrive(flight)
            return True
        if len(self._heap) >= MAX_IN_FLIGHT or self._nursery is None:
            return False
        self._counter += 1
        heapq.heappush(self._heap, (flight.time, self._counter, flight, arrive))
        if self._sleep is not None and flight.time < self._sleep.deadline:
            self._sleep.deadline = flight.time
        return True

    # Addresses

    def claim(self, address: str, owner: AddressOwner) -> None:
        """Give an address to its owner; ValueError if another one has it."""
        if self._owners.setdefault(address, owner) is not owner:
            raise ValueError(f"{address} belongs to {self._owners[address]!r}")

    def release(self, address: str) -> None:
        """Nobody has the address any more."""
        self._owners.pop(address, None)

    def route(self, flight: DatagramInFlight) -> None:
        """From the end of one access link to the beginning of another."""
        owner = self._owners.get(flight.destination[0])
        if owner is None or not owner._take_in(flight):
            fate = Fate.NO_ROUTE if owner is None else Fate.NO_MAPPING
            self.undeliverable[fate] += 1
            flight.end(fate)

    def record(self, flight: DatagramInFlight, host: str, interface: str) -> None:
        """A host sends this datagram."""
        if self.recorders:
            record = Record(
                time=flight.time,
                host=host,
                interface=interface,
                source=flight.source,
                destination=flight.destination,
                size=len(flight.payload),
                payload=flight.payload,
            )
            flight.entry = RecordEntry(record, self.recorders)
