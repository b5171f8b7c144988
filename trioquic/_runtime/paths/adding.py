"""How a connection gets another path: a socket, a place in the core, a connection ID.

The core decides what is allowed (RFC 9000 section 9) and says so by refusing. Where only a
connection ID is missing, paths that linger are given up, and the server gets time to replace that.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import trio

from ..._protocol.path.refusal import PathRefusedError, Refusal
from ..._protocol.path.state import PathState
from ...causes import CloseCause
from ...errors import LocalAddressError
from ...paths import Path
from ...policy import Candidate
from ..driver import Driver
from ..endpoints import ip_version
from ..sockets.binding import bind_socket, connect_socket, interface_of, interface_on, local_error
from ..sockets.sockets import DatagramSocket, Remote
from ..waiting import Reason
from .path_set import PathSet
from .servers import remote_of

# How long `add` waits for a connection ID when the last ones were just given back, in PTOs and in
# seconds at least: some servers replace an ID only when it has rested for a PTO of theirs, which is
# more than a second where they know nothing of the path yet (RFC 9002 section 6.2.2) or a client
# that stood still for a moment was slow to acknowledge; and what they then send may be lost.
_WAIT_FOR_ID = 4
_SHORTEST_WAIT_FOR_ID = 3.0
# refused for these, a path may be had when another one is given up
_NO_ROOM: Final = (Refusal.NO_SPARE_ID, Refusal.TOO_MANY_PATHS)


class AskedMeanwhileError(Exception):
    """There is no room for a path, and another one does as well: the supervisor has opened that
    while the socket was being made."""


class PathAdder:
    """Opens paths, for the application and for the supervisor."""

    def __init__(self, driver: Driver, paths: PathSet) -> None:
        self._driver = driver
        self._paths = paths
        self._reach = paths.reach
        # what the supervisor has opened
        self._candidates: set[int] = set()
        self.claimed = 0
        """How many of the server's connection IDs are the application's when they come."""

    async def add_candidate(self, candidate: Candidate) -> Path:
        """Open a path that the supervisor wants, also to another address of the server."""
        remote = remote_of(candidate.remote, self._paths.remote)
        path = await self._add(candidate.interface, candidate.local, 0, remote)
        self._candidates = {path.id, *self._candidates.intersection(self._paths.links)}
        return path

    async def add(
        self,
        interface: str | None,
        local: str | None,
        local_port: int,
        remote: Remote,
        other_will_do: Callable[[], bool],
    ) -> Path:
        """Open a path for the application, which comes first: where there is no room, a path gives
        way that the supervisor has opened and that has not answered yet. Raises
        AskedMeanwhileError instead if one that is there `other_will_do`."""
        with ExitStack() as claim:
            return await self._add(interface, local, local_port, remote, claim, other_will_do)

    async def _add(
        self,
        interface: str | None,
        local: str | None,
        local_port: int,
        remote: Remote,
        claim: ExitStack | None = None,
        other_will_do: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Open a socket and make a candidate path of it. `claim`: others give way, and what that
        takes ends with this."""
        until = 0.0
        while True:
            socket = await self._open_socket(interface, local, local_port, remote)
            try:
                self._check_alive()
                path_id = self._driver.core.add_path(socket.local, socket.remote, socket.mtu)
            except PathRefusedError as refused:
                # A tunnel may come up during the wait: the next socket goes into that.
                socket.close()
                if refused.refusal in _NO_ROOM and other_will_do():
                    raise AskedMeanwhileError from None
                if claim is not None and self._take_back(refused.refusal):
                    claim.enter_context(self._claiming())
                else:
                    until = await self._remedy(refused, until)
            except BaseException:
                socket.close()
                raise
            else:
                unnamed = interface is None and local is None
                return self._paths.start(socket, path_id, anywhere=unnamed)

    async def _open_socket(
        self, interface: str | None, local: str | None, local_port: int, remote: Remote
    ) -> DatagramSocket:
        source = self._reach.source
        interface = interface_on(remote, interface, source)
        if local is not None:
            _check_family(local, remote)
            interface = interface or interface_of(local, remote.address, source)
        elif interface is None:
            interface = self._reach.interface_for(remote.address)
        local = local or self._reach.source_for(interface, remote.address)
        bound = await bind_socket(
            remote.family, interface=interface, local=local, local_port=local_port, networks=source
        )
        try:
            return await connect_socket(
                bound, remote, interface, networks=source, tie=self._reach.policy.automatic
            )
        except OSError as error:
            raise local_error(error, f"no way to {remote.address[0]} from there") from error

    async def _remedy(self, refused: PathRefusedError, until: float) -> float:
        """Make room, or wait for a connection ID; raises what the application is told if neither
        helps. Returns when that wait is over, whatever else is tried; 0 if there was none."""
        lacks_id = refused.refusal is Refusal.NO_SPARE_ID
        if lacks_id and not until:
            until = trio.current_time() + self._longest_wait()
        if not self._make_room(refused.refusal):
            expected = lacks_id and self._driver.core.more_ids_expected
            if not expected or trio.current_time() >= until:
                raise self._paths.news.refuse(refused) from None
            await self._next_id(until)
        return until

    def _make_room(self, refusal: Refusal) -> bool:
        """Give up the paths that only linger, if there are any and that helps."""
        left = tuple(self._paths.lingering)
        if not left or refusal not in _NO_ROOM:
            return False
        for path_id in left:
            self._paths.close(path_id, CloseCause.NEEDED_ELSEWHERE)
        return True

    def _take_back(self, refusal: Refusal) -> bool:
        """Give up the newest path that the supervisor is only asking, if there is one and room is
        not to come otherwise. What the application waits for is left alone."""
        expected = refusal is Refusal.NO_SPARE_ID and self._driver.core.more_ids_expected
        if expected or self._paths.lingering or refusal not in _NO_ROOM:
            return False
        for number, link in reversed(tuple(self._paths.links.items())):
            state = self._driver.core.path_view(number).state
            unproven = state in (PathState.CANDIDATE, PathState.PROBING)
            if unproven and number in self._candidates and not link.awaited:
                self._paths.close(number, CloseCause.NEEDED_ELSEWHERE)
                return True
        return False

    @contextmanager
    def _claiming(self) -> Iterator[None]:
        """A path has given way: the supervisor does not take the ID that comes for its own."""
        self.claimed += 1
        try:
            yield
        finally:
            self.claimed -= 1
            self._paths.news.on_ids()

    def _longest_wait(self) -> float:
        links = self._paths.links
        known = (links.get(path_id) for path_id in self._paths.lingering)
        ptos = (link.statistics().pto for link in (self._paths.active_link(), *known) if link)
        return max(_WAIT_FOR_ID * max(ptos, default=0.0), _SHORTEST_WAIT_FOR_ID)

    async def _next_id(self, until: float) -> None:
        """Wait until the server gives an ID, which another task may take first, or for so long."""
        with trio.move_on_at(until):
            await self._driver.waiters.wait(Reason.SPARE_ID)
        self._check_alive()

    def _check_alive(self) -> None:
        if self._driver.life.ended:
            self._driver.life.check_open()


def _check_family(local: str, remote: Remote) -> None:
    """Raises LocalAddressError for an address from which nothing can be sent there."""
    # as bare numbers that are mapped (RFC 4291 section 2.5.5.2), IPv4's are of both
    mapped = remote.address[0].startswith("::ffff:")
    if not mapped and ip_version(local) != ip_version(remote.address[0].partition("%")[0]):
        raise LocalAddressError(
            errno.EAFNOSUPPORT,
            f"local {local} and the server's address {remote.address[0]} differ in IP version",
        )
