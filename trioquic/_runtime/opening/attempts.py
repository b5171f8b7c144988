"""The attempts of a race: those that wait for their turn, and those that are under way."""

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

import trio

from .connection_task import ConnectionTask
from .ways import WayToServer

# A tunnel that comes and goes does not bring the same ways back for ever.
_MOST_BEGINNINGS: Final = 4


class HandshakeAttempt(NamedTuple):
    """A way that is to be tried, or tried again."""

    way: WayToServer
    version: int = 0
    """The version that a Version Negotiation packet offered; 0: there was none."""
    fresh: bool = False
    """Without what earlier connections have left, as that may be why TLS has failed."""
    beside: bool = False
    """Over another network than the system's choice: one of no use tells nothing of the server."""


class RunningAttempt:
    """One that is under way."""

    def __init__(self, attempt: HandshakeAttempt) -> None:
        self.attempt = attempt
        self.scope = trio.CancelScope()
        # the interface that its socket is on, once that is known, and whether that is a tunnel
        self.interface = attempt.way.interface
        self.in_tunnel = False
        # from its first datagram on
        self.task: ConnectionTask | None = None
        # as it leads beside a tunnel
        self.left = False

    @property
    def heard_inside(self) -> bool:
        """Whether the server has answered through a tunnel."""
        return self.in_tunnel and self.task is not None and self.task.heard

    def leave(self) -> None:
        """End it, without a word to the server."""
        if self.task is not None:
            self.left = True
            self.task.leave()


class Attempts:
    """What there is still to try, and what is being tried."""

    def __init__(self, ways: Sequence[WayToServer]) -> None:
        self.waiting = [HandshakeAttempt(way) for way in ways]
        self.running: list[RunningAttempt] = []
        # before that the next one does not have its turn
        self._due = -inf
        self._beginnings: Counter[WayToServer] = Counter()

    @property
    def due(self) -> float:
        """When the next one has its turn, if there is one: those under way have theirs before."""
        return self._due

    def hurry(self) -> None:
        """Those under way are no reason to wait any more."""
        self._due = -inf

    def begin(self, patience: float) -> RunningAttempt:
        """The next attempt has its turn, alone for so long."""
        self._due = trio.current_time() + patience
        running = RunningAttempt(self.waiting.pop(0))
        self.running.append(running)
        return running

    def note_begun(self, way: WayToServer) -> None:
        """Something is sent there from now on."""
        self._beginnings[way] += 1

    def note_failed(self, way: WayToServer) -> None:
        """The way came to nothing, and not because it was left: it need not be tried again."""
        self._beginnings[way] = _MOST_BEGINNINGS

    def put_first(self, attempt: HandshakeAttempt) -> None:
        """This one is the next."""
        self.waiting.insert(0, attempt)

    def replace(self, ways: Sequence[WayToServer]) -> bool:
        """These are the ways now. What waits on another has lost its turn; what is under way goes
        on. Whether there is one that did not wait before, and that is worth a try."""
        there = {attempt.way: attempt for attempt in self.waiting}
        going = [running for running in self.running if not running.left]
        # a way that the system chose may lead over the same interface
        busy = {running.attempt.way for running in going}
        busy |= {r.attempt.way._replace(interface=r.interface) for r in going}
        self.waiting = [
            there.get(way) or HandshakeAttempt(way)
            for way in ways
            if way not in busy and self._beginnings[way] < _MOST_BEGINNINGS
        ]
        return any(attempt.way not in there for attempt in self.waiting)
