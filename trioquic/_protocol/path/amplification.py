"""Whether the server can answer on a path that the connection has moved to (RFC 9000 section 9.3).

Before it has validated a client's new address a server sends three times what came from there
(section 8.1), and acknowledgements are small. One that cannot even send its challenge, as nginx
cannot while its window is full of what got lost on the old path, would use up what it may send for
data, and at last go back to where the client came from. So what goes out is padded for a while.

After a move from a path that answers there is room, and ngtcp2 0.12 does not come out of a later
outage when so many full datagrams have come in its first moments on a path. So there it is padded
only when the server has left itself no room for a challenge of full size (section 8.2.1), as nginx
1.30 does: it gives all of it to data, goes on with three bytes for each of our acknowledgements',
and at last ends the connection, as it could not validate the path.
"""

from math import inf
from typing import Final

# What a server may have on its way at first, and at most while it begins slowly; and how long it
# may take its time to validate a path, seconds.
_ROOM: Final = 36_000
_CHALLENGE: Final = 1200
_MOST_ROOM: Final = 256_000
_UNASKED: Final = 8.0


class AmplificationLimit:
    def __init__(self) -> None:
        # the server has validated this address or begun to: it has challenged it, or the handshake
        # was made here
        self.validated = False
        self._moved_at = -inf
        # whether the server was seen to have no room for its challenge, or must be taken to
        self._in_need = False

    def on_validated(self) -> None:
        """The server has validated this address, or begun to."""
        self.validated = True

    def on_moved(self, left_well: bool, now: float) -> None:
        """The connection moved here; if not from a path that answers, what was under way elsewhere
        is lost."""
        self._moved_at = now
        self._in_need = not left_well

    def holds_up(self, sent: int, received: int, now: float) -> bool:
        """Whether what goes out is to be padded; with the bytes sent on the path that are not known
        to be lost, and those received."""
        if now >= self._moved_at + _UNASKED:
            return False
        if received + _CHALLENGE > 3 * sent:
            self._in_need = True
        if not self._in_need:
            return False
        # in slow start no more than that is on its way: what it has sent already, and a window
        room = min(_ROOM + received, _MOST_ROOM)
        return 3 * sent < received + room
