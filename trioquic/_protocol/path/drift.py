"""Notices a server that sends to a path which is not the active one, by its own choice.

A server sends to where the newest packet that is no probe came from (RFC 9000 section 9.3). One
that follows the last path that answered its challenge instead takes a whole download to a standby
path, which may be slow or cost money, and nothing fails by that.

What was under way when the connection moved comes in on the old path for a while: before anything
came in on the new one it is given three PTOs. Packets with higher numbers that carry more than
probing frames, and keep coming for longer than a PTO, are the server's choice.
"""

from math import inf
from typing import Final

_LEAST: Final = 4
_PATIENCE: Final = 3.0


class Drift:
    def __init__(self) -> None:
        # all packets of that sort, and how often they were the server's choice
        self.packets = 0
        self.moves = 0
        self._path = -1
        self._since = inf
        self._count = 0
        self._number = -1
        self._moved_at = -inf

    def on_moved(self, now: float) -> None:
        """The connection moved."""
        self._moved_at = now
        self._path = -1

    def on_active(self, largest: int) -> None:
        """Packets up to this number came in on the active path."""
        if self._path >= 0 and largest > self._number:
            self._path = -1

    def on_stray(
        self, path_id: int, number: int, largest: int, heard: bool, now: float, pto: float
    ) -> bool:
        """A packet that is no probe came in on another path. `largest`: the newest on the active
        one; `heard`: something came in there since the move. True if that is to be told."""
        if number < largest or (not heard and now < self._moved_at + _PATIENCE * pto):
            return False
        self.packets += 1
        if path_id != self._path:
            self._path = path_id
            self._since = now
            self._count = 0
        self._count += 1
        self._number = max(self._number, number)
        if self._count < _LEAST or now < self._since + pto:
            return False
        self.moves += 1
        self._path = -1
        return True
