"""Lets the challenges of a new path arrive before what is sent after them on others.

Some servers (nginx 1.30) take a new path only from a packet with the highest number so far. What
goes out on a faster path behind a challenge, be it an ACK, makes them drop it. Nobody knows how
much longer the new way is before it has answered. So when the first challenge is not answered, the
others wait behind the next ones: as long as an ACK may be held back at first, then for a PTO, then
for two, and no more, as the path may as well be dead. What the server knows already needs nothing.

Nothing is kept: it follows from the attempts, and is over with the answer.
"""

from math import inf
from typing import Final

from ..facts import ConnectionFacts
from .path import NetworkPath

# behind which challenges of an attempt the others wait
_FIRST: Final = 2
_LAST: Final = 4


class Precedence:
    """`paths`: all that are live; `ack_delay`: how long our ACKs may be held back, seconds."""

    def __init__(
        self, facts: ConnectionFacts, paths: dict[int, NetworkPath], ack_delay: float
    ) -> None:
        self._facts = facts
        self._paths = paths
        self._ack_delay = ack_delay

    def held_until(self, path: NetworkPath) -> float:
        """Before this time nothing goes out on the path; minus infinity if nobody is in its way.
        A response (section 8.2.2) and a first challenge never wait."""
        until = -inf
        if path.responses.due or (path.attempt.running and not path.attempt.outstanding):
            return until
        for other in self._paths.values():
            attempt = other.attempt
            if _FIRST <= attempt.outstanding <= _LAST and other is not path and other.life.doubtful:
                until = max(until, attempt.last_sent + self._lead(attempt.outstanding))
        return until

    def _lead(self, sent: int) -> float:
        active = self._paths.get(self._facts.active_path)
        if sent == _FIRST or active is None:
            return self._ack_delay
        return active.pto() * (2.0 if sent == _LAST else 1.0)
