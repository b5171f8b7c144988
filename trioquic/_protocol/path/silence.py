"""Notices that the server answers nothing that it was asked, on whichever path.

A path falls silent alone, and the connection leaves it (`watch.py`, RFC 9000 section 9). This is
about the connection: something was sent on the active path that asks for an acknowledgement, and
since then no authentic packet has come in on any path. After `PTOS` probe timeouts (RFC 9002
section 6.2) of that, counted without their backoff, it is told once; the next packet ends it,
whatever it says. A move ends it not: where nothing was heard before nothing is proven after.
"""

from math import inf
from typing import Final

from ..events import Event, ServerHeard, ServerSilent

PTOS: Final = 3


class Silence:
    def __init__(self, events: list[Event]) -> None:
        self._events = events
        # the oldest question since the last packet; infinity if there is none
        self.since = inf
        self.told = False

    def on_asked(self, now: float) -> None:
        """Something that elicits an acknowledgement goes out on the active path."""
        if self.since == inf:
            self.since = now

    def on_heard(self, now: float, owed: bool) -> None:
        """Authentic packets came in. `owed`: something is still under way on the active path that
        they do not acknowledge."""
        self.since = now if owed else inf
        if self.told:
            self.told = False
            self._events.append(ServerHeard())

    def on_first_path(self, now: float) -> None:
        """There was no path at all, so nobody could be asked: count from now on."""
        if not self.told and self.since < inf:
            self.since = now

    def lasts(self, now: float) -> bool:
        """Whether the server owes an answer by now that has not been missed yet. Asked with every
        batch of datagrams, when it mostly owes none."""
        return self.since < now and not self.told

    def deadline(self, pto: float) -> float:
        """When it is to be told."""
        return inf if self.told else self.since + PTOS * pto

    def judge(self, now: float, pto: float) -> None:
        """Tell it when it is time."""
        if now >= self.deadline(pto):
            self.told = True
            self._events.append(ServerSilent(since=self.since))
