"""The paths of one connection at work: which there are, moving between them, closing them.

Here the core's paths meet sockets and tasks. Only this class has the links; a path that is closed
is gone when the call returns.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import trio

from ..._protocol.events import Event, PathReset
from ..._protocol.path.refusal import PathRefusedError
from ..._protocol.path.state import PathState
from ...causes import CloseCause, MigrationCause, Refusal
from ...config import TransportConfig
from ...errors import MigrationNotAllowedError, PathAbandonedError
from ...paths import Path
from ..driver import Driver
from ..sockets.binding import interface_name
from ..sockets.sockets import DatagramSocket, Remote
from .broadcast import Broadcast
from .late_tunnel import LateTunnel
from .path_link import OUTSIDE, PathLink
from .path_news import PathNews
from .reach import Reach
from .servers import Servers, own_of, servers_of


class PathSet:
    """Sockets, tasks and handles of a connection's paths."""

    def __init__(
        self,
        driver: Driver,
        nursery: trio.Nursery,
        remote: Remote,
        reach: Reach,
        transport: TransportConfig,
    ) -> None:
        self._driver = driver
        self._nursery = nursery
        # the server's address that the connection was made to
        self.remote = remote
        self.reach = reach
        self._links: dict[int, PathLink] = {}
        broadcast = Broadcast(transport.path_event_buffer)
        self.news = PathNews(self._links, broadcast, driver.waiters)
        # left by `migrate`, still read for packets that were under way
        self.lingering: set[int] = set()
        # the path that the application chose, until the connection leaves its network
        self.pinned = -1
        # the path that the connection was on when it was left with none
        self.suspended = -1
        # while no path is active: why the last one is not any more
        self.lost = ""
        # Whether there may be new tasks. A path that comes after the end, in the moment before
        # everybody is told of it, gets none, and is shut with the others.
        self._serving = True
        driver.attach(self)

    # -- what is there ---------------------------------------------------------------------------

    @property
    def handles(self) -> tuple[Path, ...]:
        """The open paths, oldest first."""
        return tuple(link.handle for link in self._links.values())

    @property
    def links(self) -> Mapping[int, PathLink]:
        """The paths at work, by number; only this class adds and removes some."""
        return self._links

    @property
    def active(self) -> Path | None:
        """The path that carries the connection."""
        link = self.active_link()
        return None if link is None else link.handle

    def start_first(self, socket: DatagramSocket, pinned: bool) -> None:
        """The path of the handshake; `pinned`: the application said where it begins."""
        path_id = self._driver.core.start(socket.local, socket.remote, socket.mtu)
        if pinned:
            self.pinned = path_id
        self._start(socket, path_id)

    def _start(self, socket: DatagramSocket, path_id: int, anywhere: bool = False) -> PathLink:
        if self._driver.trace is not None:
            self._driver.trace.path_opened(
                path_id, interface_name(socket, self.reach.source), socket.mtu
            )
        link = PathLink(self._driver, self, socket, path_id, anywhere)
        if path_id == self._driver.core.active_path:
            self.news.on_first(link.handle)
            link.set_active(True)
        self._links[path_id] = link
        self.spawn(link.run)
        return link

    def start(self, socket: DatagramSocket, path_id: int, anywhere: bool) -> Path:
        """A path that the core has another one of: its task runs from now on."""
        path = self._start(socket, path_id, anywhere).handle
        self.news.on_opened(path)
        self._driver.flush()
        return path

    def spawn(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Start a task of a path."""
        if self._serving:
            self._nursery.start_soon(task, *args)

    def shut_all(self) -> None:
        """The connection is gone: close every socket.

        Who knew each other lets go, so that all of it is freed at once when the application has
        dropped it, and not kept until a garbage collection.
        """
        for link in self._links.values():
            link.shut(CloseCause.CONNECTION_CLOSED.value)
        self._links.clear()
        self.news.end()
        self._driver.detach()

    def stop_serving(self) -> None:
        """No task may be started any more."""
        self._serving = False

    def let_linger(self, path_id: int) -> None:
        """A path was left by hand; it may be closed already."""
        if path_id in self._links:
            self.lingering.add(path_id)

    def active_link(self) -> PathLink | None:
        """The path whose socket carries the last words."""
        return self._links.get(self._driver.core.active_path)

    @property
    def servers(self) -> Servers:
        """Where the server may be, and from where."""
        return servers_of(self._driver.core.preferred, self.remote.address)

    def leave_out_own(self) -> None:
        """Before the server's addresses are asked: none of them is one of ours, as those are by
        now."""
        core = self._driver.core
        if not core.preferred.addresses:
            return
        own = own_of(core.preferred, self.remote.address, self.reach.source.snapshot())
        for address in own:
            reason = f"{address[0]} is our own address"
            core.ignore_preferred(address, reason)
            for link in [link for link in self._links.values() if link.socket.remote == address]:
                self.close(link.path_id, CloseCause.STRANGER, reason)
        if own:
            self._driver.tell()

    # -- moving ----------------------------------------------------------------------------------

    def migrate_to(self, path: Path) -> None:
        """Move the connection for the application; see `Connection.migrate_to`."""
        self.reach.check_policy()
        self._driver.life.check_open()
        link = self._links.get(path.id)
        if link is None or link.handle is not path:
            if path.state is PathState.ABANDONED:
                raise PathAbandonedError("the path was closed")
            raise ValueError(f"{path} belongs to another connection")
        if link.outside_for_long:
            self.news.on_refused(Refusal.POLICY, OUTSIDE)
            raise MigrationNotAllowedError(Refusal.POLICY, OUTSIDE)
        try:
            self.move(path.id, MigrationCause.APPLICATION)
        except PathRefusedError as refused:
            raise self.news.refuse(refused) from None

    def move(
        self, path_id: int, cause: MigrationCause, reason: str = "", unvalidated: bool = False
    ) -> None:
        """Have the core move the connection; PathRefusedError if it must not."""
        reason = reason or cause.value
        self.news.on_moving(cause, reason)
        core = self._driver.core
        old = core.active_path
        # the application chose it; or the server's preferred address, or another port, from the
        # network that it is pinned to
        link = self._links.get(path_id)
        chosen = cause is MigrationCause.APPLICATION and link is not None and not link.anywhere
        stays = chosen or (old == self.pinned and self._same_network(old, path_id))
        core.migrate(path_id, trio.current_time(), unvalidated)
        if self._driver.trace is not None and old != path_id:
            self._driver.trace.migrated(old, path_id, cause.name.lower(), reason)
        self.lingering.discard(path_id)
        self.pinned = path_id if stays else -1
        # first of all: an error of what is sent there now comes after the move
        self._driver.tell()
        self._driver.flush()

    def _same_network(self, one: int, other: int) -> bool:
        first, second = self._links.get(one), self._links.get(other)
        if first is None or second is None:
            return False
        named = first.socket.interface, second.socket.interface
        if None in named:
            return first.socket.local[0] == second.socket.local[0]
        return named[0] == named[1]

    def leads_outside(self, link: PathLink, tunnel: LateTunnel | None = None) -> bool:
        """Whether a path for which no network was named leads beside the tunnel that packets to the
        server take now; `tunnel` may know."""
        if not link.anywhere:
            return False
        if tunnel is None:
            tunnel = LateTunnel(self.reach, (link.socket.remote,))
            tunnel.look()
        return tunnel.leads_outside(interface_name(link.socket, self.reach.source))

    @contextmanager
    def asking(self, link: PathLink) -> Iterator[None]:
        """While a path is asked for the application: where it named no network, that ends when a
        tunnel has come up and has had its time."""
        if not link.anywhere:
            yield
            return
        # what was beside a tunnel before has no other second
        tunnel = LateTunnel(self.reach, (link.socket.remote,), link.leave_at)
        following = trio.CancelScope()

        def leave() -> None:
            if self.leads_outside(link, tunnel):
                link.leave_outside()

        async def follow() -> None:
            with following:
                await tunnel.follow(lambda: None, leave)

        self.spawn(follow)
        try:
            yield
        finally:
            following.cancel()

    def suspend(self, reason: str) -> None:
        """Leave the active path, whose network is gone for this reason, and keep its socket: the
        same port may be needed when it is back."""
        link = self.active_link()
        if link is not None:
            self.lost = reason
            link.set_active(False)
            self.suspended = link.path_id
            self._driver.core.suspend(trio.current_time())
            self._driver.flush()

    def close(self, path_id: int, cause: CloseCause, reason: str = "") -> None:
        """Give a path up, for this cause; it is gone when this returns."""
        if path_id not in self._links:
            return
        if cause is CloseCause.ANOTHER_PORT_WORKS and path_id in self.lingering:
            # It goes soon, when what is under way there has arrived.
            return
        if self._driver.life.ended:
            # The core does nothing any more, or is broken and would say so.
            self._shut(path_id, cause, reason)
            return
        # what has happened before is told before
        self._driver.tell()
        self._driver.core.abandon(path_id, trio.current_time())
        self._shut(path_id, cause, reason)
        self._driver.flush()

    def _shut(self, path_id: int, cause: CloseCause, reason: str = "") -> None:
        """The core has abandoned a path, or does nothing any more: so does this side."""
        link = self._links.pop(path_id, None)
        if link is None:
            return
        reason = reason or cause.value
        self.lingering.discard(path_id)
        if link.active:
            self.lost = reason
        link.shut(reason)
        if self._driver.life.ended:
            return
        if self._driver.trace is not None:
            self._driver.trace.path_closed(path_id, cause.name.lower(), reason)
        self.news.on_closed(link.handle, cause, reason)

    # -- for the driver --------------------------------------------------------------------------

    def on_path_event(self, event: Event) -> None:
        """Something happened to a path."""
        self.news.on_path_event(event)
        if isinstance(event, PathReset):
            self._shut(event.path_id, CloseCause.RESET)

    def on_socket_error(self, path_id: int, error: OSError) -> None:
        """A path's socket reports an error."""
        if path_id == self._driver.core.active_path:
            self.news.on_socket_error(path_id, error)

    def on_woken(self) -> bool:
        """See `PathListener`."""
        return self.news.on_woken()
