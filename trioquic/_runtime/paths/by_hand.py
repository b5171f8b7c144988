"""Paths that the application asks for: `Connection.add_path` and `Connection.migrate`."""

from typing import Final

import trio

from ..._protocol.path.state import PathState
from ...causes import CloseCause
from ...errors import PathAbandonedError, PathValidationError
from ...paths import Path
from ..driver import Driver
from ..sockets.sockets import Remote
from .adding import PathAdder
from .path_link import PathLink
from .path_set import PathSet

# The server may move to its preferred address in the middle of a move, and a tunnel come up.
_MOST_TRIES: Final = 3


class ByHand:
    """The application's own paths."""

    def __init__(self, driver: Driver, paths: PathSet, adder: PathAdder) -> None:
        self._driver = driver
        self._paths = paths
        self._adder = adder

    async def add(self, interface: str | None, local: str | None, local_port: int) -> Path:
        """A candidate path; see `Connection.add_path`."""
        self._paths.reach.check_policy()
        self._driver.life.check_open()
        await self._driver.life.confirmed.wait()
        self._driver.life.check_open()
        path = await self._adder.add(interface, local, local_port, self._server_now())
        if self._driver.life.closing:
            # Another task has closed meanwhile; only the supervisor may add paths to a drain.
            self._paths.close(path.id, CloseCause.CONNECTION_CLOSED)
            self._driver.life.check_open()
        return path

    def _server_now(self) -> Remote:
        """Where the server is to be found: at its preferred address once the connection has moved
        there, as the original one is left for good (RFC 9000 section 9.6.2)."""
        preferred = self._driver.core.preferred
        if preferred.reached and preferred.address is not None:
            return Remote(self._paths.remote.family, preferred.address)
        return self._paths.remote

    async def migrate(self, interface: str | None, local: str | None, local_port: int) -> Path:
        """Add, validate, move, and leave the old path soon; see `Connection.migrate`."""
        for _ in range(_MOST_TRIES):
            server = self._server_now()
            try:
                new = await self._migrate_once(interface, local, local_port)
            except PathAbandonedError:
                # When the connection moves to the preferred address, all that leads to the original
                # one is given up (RFC 9000 section 9.6.2), in the middle of its validation as well.
                if self._server_now() == server:
                    raise
            else:
                if new is not None:
                    return new
        raise PathAbandonedError("the networks changed again and again meanwhile")

    async def _migrate_once(
        self, interface: str | None, local: str | None, local_port: int
    ) -> Path | None:
        """None: no network was named, and the system's leads beside a tunnel that has come up."""
        standby = None if local_port else self._standby(interface, local)
        if standby is None:
            new = await self.add(interface, local, local_port)
            link = self._paths.links[new.id]
        else:
            link, new = standby, standby.handle
        moved = False
        cause = CloseCause.APPLICATION
        try:
            await new.validate()
            if self._paths.leads_outside(link):
                cause = CloseCause.OUTSIDE_TUNNEL
                return None
            old = self._paths.active_link()
            self._paths.migrate_to(new)
            moved = True
        except PathValidationError:
            if not link.closed and self._paths.leads_outside(link):
                cause = CloseCause.OUTSIDE_TUNNEL
                return None
            cause = CloseCause.NO_ANSWER
            raise
        finally:
            # Where the connection ends, its paths do, too; that is nothing to tell anybody.
            if not moved and standby is None and not self._driver.life.over:
                self._paths.close(new.id, cause)
        if old is not None and old is not link:
            self._paths.let_linger(old.path_id)
            self._paths.spawn(self._leave, old)
        return new

    def _standby(self, interface: str | None, local: str | None) -> PathLink | None:
        """A path that leads the same way: a second one would hold a connection ID for nothing."""
        active = self._paths.active_link()
        if (interface is None and local is None) or active is None:
            return None
        for link in self._paths.links.values():
            socket = link.socket
            if (
                link is not active
                and link.path_id not in self._paths.lingering
                and link.statistics().state is PathState.VALIDATED
                and socket.remote == active.socket.remote
                and interface in (None, socket.interface)
                and local in (None, socket.local[0])
            ):
                return link
        return None

    async def _leave(self, link: PathLink) -> None:
        """Close a path after what was under way on it has had time to arrive."""
        await trio.sleep(self._paths.reach.policy.linger * link.statistics().pto)
        if link.path_id in self._paths.lingering:
            self._paths.close(link.path_id, CloseCause.LEFT)
