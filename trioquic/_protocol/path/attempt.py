"""Path validation (RFC 9000 section 8.2): one attempt at a time, as one small object.

Each PATH_CHALLENGE carries new unpredictable data and all of them are remembered, because on a path
with a long round trip the answer to the first comes after the second was sent. Validation is given
up after three times the largest of the PTO in use, the path's own and the PTO of the initial RTT
(section 8.2.4).

A challenge is repeated after the path's own PTO, then after twice as long each time (sections 8.2.1
and 9.4). Of a path that nothing was measured on the PTO is 999 ms by RFC 9002, and there the PTO of
the active path counts if that is shorter: faster than the RFC asks for. It is what a connection
that has lost its network waits for when a challenge is lost, and a second of silence is what this
library is there to prevent. The load stays below what a new connection may put on the path: at
most six challenges in an attempt, 7200 bytes in three seconds, where ten datagrams may go at once.
"""

import hmac
from collections.abc import Callable
from math import inf
from typing import Final

# The PTO of a path of which nothing is known: 333 ms + 4 * 166.5 ms (RFC 9002 section 6.2.2).
INITIAL_PTO: Final = 0.999
# the fastest pace
_SHORTEST_INTERVAL: Final = 0.05
_MOST_OUTSTANDING: Final = 16


class Attempt:
    def __init__(self, rng: Callable[[int], bytes]) -> None:
        self._rng = rng
        self._outstanding: list[tuple[bytes, float]] = []
        self._interval = INITIAL_PTO
        # how long the challenge that is sent next has waited for an answer to the one before
        self.waited = 0.0
        self._next_challenge = inf
        self.give_up_at = inf
        self.challenges_sent = 0

    @property
    def running(self) -> bool:
        """Whether an answer is waited for."""
        return self.give_up_at < inf

    @property
    def outstanding(self) -> int:
        """How many challenges may still be answered."""
        return len(self._outstanding)

    def start(self, now: float, pto: float, own: float) -> None:
        """Begin, or begin again: challenges go out from now on. `pto` is that of the active path,
        `own` that of this path, 0 if nothing was measured here."""
        self._interval = max(_SHORTEST_INTERVAL, own or min(pto, INITIAL_PTO))
        self.waited = 0.0
        self._next_challenge = now
        self.give_up_at = now + 3 * max(pto, own, INITIAL_PTO)

    def stop(self) -> None:
        """End the attempt; answers that are still under way will not be recognised."""
        self._outstanding.clear()
        self._next_challenge = inf
        self.give_up_at = inf

    @property
    def last_sent(self) -> float:
        """When the newest of those went out. There must be one."""
        return self._outstanding[-1][1]

    def wants_challenge(self, now: float) -> bool:
        """Whether it is time for a PATH_CHALLENGE."""
        return now >= self._next_challenge and self.running

    def new_challenge(self, now: float) -> bytes:
        """The data of the PATH_CHALLENGE that is being sent now."""
        data = self._rng(8)
        self.challenges_sent += 1
        self._outstanding.append((data, now))
        del self._outstanding[:-_MOST_OUTSTANDING]
        self._next_challenge = now + self._interval
        self.waited = self._interval
        self._interval *= 2
        return data

    def match(self, data: bytes) -> float:
        """When the challenge with this data was sent, -1 for data that is not ours."""
        sent_at = -1.0
        for challenge, at in self._outstanding:
            if hmac.compare_digest(challenge, data):
                sent_at = at
        return sent_at

    def deadline(self) -> float:
        """When the next challenge or the end of the attempt is due."""
        return min(self._next_challenge, self.give_up_at)
