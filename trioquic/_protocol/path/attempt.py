"""Path validation (RFC 9000 section 8.2): one attempt at a time, as one small object.

Each PATH_CHALLENGE carries new unpredictable data and all of them are remembered, because on a path
with a long round trip the answer to the first comes after the second was sent. Validation is given
up after three times the larger of the PTO in use and the PTO of the initial RTT (section 8.2.4).
"""

import hmac
from collections.abc import Callable
from math import inf
from typing import Final

# The PTO of a path of which nothing is known: 333 ms + 4 * 166.5 ms (RFC 9002 section 6.2.2).
INITIAL_PTO: Final = 0.999
# Challenges start at the pace of the PTO that is known and double; this is the fastest pace.
_SHORTEST_INTERVAL: Final = 0.05
_MOST_OUTSTANDING: Final = 16


class Attempt:
    def __init__(self, rng: Callable[[int], bytes]) -> None:
        self._rng = rng
        self._outstanding: list[tuple[bytes, float]] = []
        self._interval = INITIAL_PTO
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

    def start(self, now: float, pto: float) -> None:
        """Begin, or begin again: challenges go out from now on. `pto` is that of the active path.

        Section 8.2.1 asks not to probe faster than one would send Initials; the first repetition
        comes after one PTO, each further one after twice as long.
        """
        self._interval = max(_SHORTEST_INTERVAL, min(pto, INITIAL_PTO))
        self._next_challenge = now
        self.give_up_at = now + 3 * max(pto, INITIAL_PTO)

    def stop(self) -> None:
        """End the attempt; answers that are still under way will not be recognised."""
        self._outstanding.clear()
        self._next_challenge = inf
        self.give_up_at = inf

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
