"""The time between the answer of a new path and a planned move there.

Where the new way is longer, what the server sends on the path in use overtakes its PATH_RESPONSE.
It may take that for lost (RFC 9002 section 6.1.2), halve its congestion window, and until it has
acknowledgements for what is too much under way have no room for the PATH_CHALLENGE that it owes an
address that the connection moves to (RFC 9000 section 9.3). nginx 1.30 drops that challenge then,
asks again after one and three seconds, and ends the connection after seven.

Acknowledgements come without a break only as long as the connection stays where it is. What is too
much has arrived after a third of a round trip, and here it is given two, as a queue on the way may
have grown since that was measured. A move that is planned has that time, and the data come in
meanwhile as before. One that is not does not pass here: the supervisor moves the connection by
itself, also while this waits.
"""

from typing import Final

import trio

from ..._protocol.path.state import PathState
from ..driver import Driver
from ..waiting import Reason
from .path_link import PathLink
from .path_set import PathSet

# Bytes that come in while the other path is asked, eight datagrams: when no more is under way, the
# first acknowledgement on the new path makes room.
_LITTLE: Final = 8 * 1200
# Round trips of the path in use, but not more than a second: a queue that makes it so long is none
# that the server waits for
_ROUND_TRIPS: Final = 2.0
_LONGEST: Final = 1.0


class Settling:
    """Begins with the path in use, before another one is asked."""

    def __init__(self, driver: Driver, paths: PathSet) -> None:
        self._driver = driver
        self._paths = paths
        self._old = paths.active_link()
        self._received, self._errors = self._so_far()

    def _so_far(self) -> tuple[int, int]:
        """Bytes that came in on the path in use, and how often its socket could not send."""
        if self._old is None or self._old.closed:
            return 0, 0
        view = self._driver.core.path_view(self._old.path_id)
        return view.bytes_received, self._old.socket.errors

    async def wait(self, new: PathLink) -> None:
        """Until the server has settled: two round trips of the path in use, a second at most. Not
        at all if next to nothing came in there while the other was asked, or the new way is not
        the longer one, and no longer than that path is in use and answers; raises nothing if one of
        the two is gone. Cancelled, it leaves nothing behind."""
        await trio.lowlevel.checkpoint_if_cancelled()
        old = self._old
        if old is None or self._so_far()[0] <= self._received + _LITTLE or not _is_longer(new, old):
            return
        with trio.move_on_after(min(_ROUND_TRIPS * (old.statistics().rtt or 0.0), _LONGEST)):
            while self._answers(old) and not new.closed:
                await self._driver.waiters.wait(Reason.PATHS)

    def _answers(self, old: PathLink) -> bool:
        """Whether the connection is where it was, and nothing speaks against staying there."""
        if self._driver.life.over or self._paths.active_link() is not old:
            return False
        view = self._driver.core.path_view(old.path_id)
        return (
            view.state is PathState.ACTIVE
            and view.pto_count == 0
            and self._so_far()[1] == self._errors
        )


def _is_longer(new: PathLink, old: PathLink) -> bool:
    """Whether answers may be overtaken on the new way, as far as that is known. Another port on the
    same network is the same way."""
    if new.socket.local[0] == old.socket.local[0] and new.socket.remote == old.socket.remote:
        return False
    there, here = new.statistics().min_rtt, old.statistics().min_rtt
    return there is None or here is None or there > here
