"""The period in which everything on a path got lost, for persistent congestion (RFC 9002 section
7.6.2): between two lost packets none was sent that arrived, in whatever packet number space.

Losses become known bit by bit: the newest are often found by a timer, and each space has ACKs of
its own. So the period is kept from one time to the next. Where it is not certain that nothing
arrived in between, there are two periods: a collapse that is missed costs less than a false one.
"""

from typing import Final

# How many packets that arrived are remembered while there are several spaces
MOST_ARRIVED: Final = 32
_NONE: Final = -1.0


class LossPeriod:
    def __init__(self) -> None:
        # when the first and the last of the lost packets were sent
        self._start = _NONE
        self._end = _NONE
        # when packets were sent that arrived while there was more than one space
        self._arrived: list[float] = []
        # nobody remembers what arrived of those sent until then
        self._unknown_until = _NONE

    def restart(self) -> None:
        """What was lost until now is in no period with what will be."""
        self._start = self._end = _NONE

    def on_arrived_early(self, sent_at: float) -> None:
        """A packet arrived while there are other spaces, whose losses it parts."""
        if self._start <= sent_at <= self._end:
            self.restart()
        arrived = self._arrived
        arrived.append(sent_at)
        if len(arrived) > MOST_ARRIVED:
            self._unknown_until = max(self._unknown_until, arrived.pop(0))

    def on_lost(self, sent_at: float, arrived: float) -> float:
        """A packet is lost that elicits an ACK. `arrived`: when the packet of its space was sent
        that is the newest of those that arrived since the loss before; -1 if there is none.
        Returns how long the period has become, in seconds."""
        if arrived >= self._start or self._parted_from(sent_at):
            self._start = self._end = sent_at
        self._start = min(self._start, sent_at)
        self._end = max(self._end, sent_at)
        return self._end - self._start

    def _parted_from(self, sent_at: float) -> bool:
        """Whether something arrived that was sent between the period and that time."""
        if self._start <= sent_at <= self._end:
            return False
        since, until = (self._end, sent_at) if sent_at > self._end else (sent_at, self._start)
        return since < self._unknown_until or any(since < at < until for at in self._arrived)
