"""The paths of one connection: adding them, moving between them, telling what happened.

Here the core's paths meet sockets and tasks. The core decides what is allowed (RFC 9000 section 9)
and says so by refusing; this side opens the socket, keeps the task in the connection's nursery, and
turns the core's events into public ones.
"""

import errno
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Protocol

import trio

from ... import events as public
from ..._protocol.events import (
    ConnectionIdsAvailable,
    Event,
    Migrated,
    PathDegraded,
    PathMisled,
    PathRecovered,
    PathReset,
    PathSilent,
    PathValidated,
    PreferredAddressSettled,
    ServerMoved,
    ValidationFailed,
)
from ..._protocol.path.refusal import PathRefusedError, Refusal
from ..._protocol.path.state import PathState
from ...causes import CloseCause, MigrationCause
from ...errors import MigrationNotAllowedError, PathAbandonedError, PathValidationError
from ...networks import NetworkSource
from ...paths import Path
from ...policy import Candidate, MigrationPolicy, PolicyEvent, Trigger
from ..driver import Driver
from ..endings import path_error
from ..sockets.binding import bind_socket, connect_socket, interface_name, interface_of, local_error
from ..sockets.sockets import DatagramSocket, Remote
from ..waiting import Reason
from .broadcast import Broadcast
from .path_link import PathLink
from .reach import Reach

# How long `add_path` waits for a connection ID when the last ones were just given back, in PTOs and
# in seconds at least: some servers replace an ID only when it has rested for a PTO of theirs.
_WAIT_FOR_ID = 4
_SHORTEST_WAIT_FOR_ID = 1.0
# Errors of a socket that speak of its network; a datagram that is too long does not.
_NO_WAY = (
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.ENODEV,
    errno.ENXIO,
)
_BETWEEN_TROUBLES = 0.1  # seconds


class Listener(Protocol):
    """Who decides by itself where the connection goes."""

    @property
    def listening(self) -> bool:
        """Whether it will act on what it hears."""
        ...

    def hear(self, event: PolicyEvent) -> None:
        """Something happened to a path."""


class PathSet:
    """Sockets, tasks and handles of a connection's paths."""

    def __init__(
        self,
        driver: Driver,
        nursery: trio.Nursery,
        remote: Remote,
        networks: NetworkSource,
        policy: MigrationPolicy,
        broadcast: Broadcast,
        interface: str | None = None,
    ) -> None:
        self._driver = driver
        self._nursery = nursery
        self._remote = remote
        self._networks = networks
        self._policy = policy
        self._broadcast = broadcast
        self.reach = Reach(networks, policy, interface)
        self._links: dict[int, PathLink] = {}
        # left by `migrate`, still read for packets that were under way
        self._lingering: set[int] = set()
        self._cause, self._reason = MigrationCause.POLICY, ""
        self._trouble_until = -inf
        # the path that the application chose, until the connection leaves its network
        self.chosen = -1
        # the path that the connection was on when it was left with none
        self.suspended = -1
        # the path of the last move, also if it is closed or left by now
        self._last_active: Path | None = None
        # while no path is active: why the last one is not any more
        self.lost = ""
        self.supervisor: Listener | None = None
        # Whether there may be new tasks. A path that comes after the end, in the moment before
        # everybody is told of it, gets none, and is shut with the others.
        self.serving = True
        driver.listener = self

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
        link = self._links.get(self._driver.core.active_path)
        return None if link is None else link.handle

    def start_first(self, socket: DatagramSocket, chosen: bool) -> PathLink:
        """The path of the handshake; `chosen`: the application said where it begins."""
        path_id = self._driver.core.start(socket.local, socket.remote, socket.mtu)
        if chosen:
            self.chosen = path_id
        return self._start(socket, path_id)

    def _start(self, socket: DatagramSocket, path_id: int) -> PathLink:
        if self._driver.trace is not None:
            self._driver.trace.path_opened(
                path_id, interface_name(socket, self._networks), socket.mtu
            )
        link = PathLink(self._driver, self, socket, path_id)
        if path_id == self._driver.core.active_path:
            self._last_active = link.handle
            link.set_active(True)
        self._links[path_id] = link
        self.spawn(link.run)
        return link

    def spawn(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Start a task of a path."""
        if self.serving:
            self._nursery.start_soon(task, *args)

    def attach(self, supervisor: Listener) -> None:
        """Somebody decides where the connection goes, and hears of all that happens to paths."""
        self.supervisor = supervisor

    def without_path(self) -> None:
        """The connection has been told to be nowhere: what it was on before is of no interest."""
        self._last_active = None

    def shut_all(self) -> None:
        """The connection is gone: close every socket.

        Who knew each other lets go, so that all of it is freed at once when the application has
        dropped it, and not kept until a garbage collection.
        """
        for link in self._links.values():
            link.shut()
        self._links.clear()
        self._last_active = None
        self.supervisor = None
        self._driver.listener = None

    @property
    def remote(self) -> Remote:
        """The server's address that the connection was made to."""
        return self._remote

    def link(self, path_id: int) -> PathLink | None:
        """The path at work, None if it is closed."""
        return self._links.get(path_id)

    def active_link(self) -> PathLink | None:
        """The path whose socket carries the last words."""
        return self._links.get(self._driver.core.active_path)

    # -- adding ----------------------------------------------------------------------------------

    async def add(self, interface: str | None, local: str | None, local_port: int) -> Path:
        """Open a socket and make a candidate path of it; see `Connection.add_path`."""
        self._check_policy()
        self._driver.check_open()
        await self._driver.confirmed.wait()
        self._driver.check_open()
        path = await self._add(interface, local, local_port, self._server_now())
        if self._driver.closing:
            # Another task has closed meanwhile; only the supervisor may add paths to a drain.
            self.close(path.id, CloseCause.CONNECTION_CLOSED)
            self._driver.check_open()
        return path

    def _server_now(self) -> Remote:
        """Where the server is to be found: at its preferred address once the connection has moved
        there, as the original one is left for good (RFC 9000 section 9.6.2)."""
        preferred = self._driver.core.preferred
        if preferred.reached and preferred.address is not None:
            return Remote(self._remote.family, preferred.address)
        return self._remote

    async def add_candidate(self, candidate: Candidate) -> Path:
        """Open a path that the supervisor wants, also to another address of the server."""
        remote = self._remote
        if candidate.remote != remote.address:
            remote = Remote(remote.family, candidate.remote)
        return await self._add(candidate.interface, candidate.local, 0, remote)

    async def _add(
        self, interface: str | None, local: str | None, local_port: int, remote: Remote
    ) -> Path:
        socket = await self._open_socket(interface, local, local_port, remote)
        try:
            self._check_alive()
            path_id = await self._add_to_core(socket)
        except BaseException:
            socket.close()
            raise
        path = self._start(socket, path_id).handle
        self._broadcast.send(public.PathOpened(path=path))
        self._driver.flush()
        return path

    async def _open_socket(
        self, interface: str | None, local: str | None, local_port: int, remote: Remote
    ) -> DatagramSocket:
        if interface is None and local is None:
            interface = self.reach.interface_for(remote.address[0])
        elif interface is None and local is not None:
            interface = interface_of(local, remote.address[0], self._networks)
        bound = await bind_socket(
            remote.family,
            interface=interface,
            local=local,
            local_port=local_port,
            networks=self._networks,
        )
        try:
            return await connect_socket(bound, remote, interface, tie=self._policy.automatic)
        except OSError as error:
            raise local_error(error, f"no way to {remote.address[0]} from there") from error

    async def _add_to_core(self, socket: DatagramSocket) -> int:
        core = self._driver.core
        try:
            return core.add_path(socket.local, socket.remote, socket.mtu)
        except PathRefusedError as refused:
            if not await self._make_room(refused.refusal):
                raise self._refuse(refused) from None
        try:
            return core.add_path(socket.local, socket.remote, socket.mtu)
        except PathRefusedError as refused:
            raise self._refuse(refused) from None

    async def _make_room(self, refusal: Refusal) -> bool:
        """Give up paths that only linger, and wait for the peer to replace the IDs that it has
        just got back."""
        returning = refusal is Refusal.NO_SPARE_ID and self._driver.core.more_ids_expected
        crowded = refusal in (Refusal.NO_SPARE_ID, Refusal.TOO_MANY_PATHS) and self._lingering
        if not returning and not crowded:
            return False
        active = self.active_link()
        pto = 0.0 if active is None else active.statistics().pto
        for path_id in tuple(self._lingering):
            link = self._links[path_id]
            pto = max(pto, link.statistics().pto)
            self.close(path_id, CloseCause.NEEDED_ELSEWHERE)
        if refusal is Refusal.NO_SPARE_ID:
            with trio.move_on_after(max(_WAIT_FOR_ID * pto, _SHORTEST_WAIT_FOR_ID)):
                await self._driver.crowds.wait(Reason.SPARE_ID)
            self._check_alive()
        return True

    def _check_alive(self) -> None:
        if self._driver.ended:
            self._driver.check_open()

    def _check_policy(self) -> None:
        if not self._policy.enabled:
            raise MigrationNotAllowedError(Refusal.POLICY, "MigrationPolicy.enabled is False")

    def _refuse(self, refused: PathRefusedError) -> Exception:
        error = path_error(refused)
        if isinstance(error, MigrationNotAllowedError):
            self._broadcast.send(
                public.MigrationRefused(refusal=error.refusal, reason=error.reason)
            )
        return error

    # -- moving ----------------------------------------------------------------------------------

    def migrate_to(self, path: Path) -> None:
        """Move the connection; see `Connection.migrate_to`."""
        self._check_policy()
        self._driver.check_open()
        link = self._links.get(path.id)
        if link is None or link.handle is not path:
            if path.state is PathState.ABANDONED:
                raise PathAbandonedError("the path was closed")
            raise ValueError(f"{path} belongs to another connection")
        try:
            self.move(path.id, MigrationCause.APPLICATION)
        except PathRefusedError as refused:
            raise self._refuse(refused) from None
        self.chosen = path.id

    def move(
        self, path_id: int, cause: MigrationCause, reason: str = "", unvalidated: bool = False
    ) -> None:
        """Have the core move the connection; PathRefusedError if it must not."""
        self._cause, self._reason = cause, reason or cause.value
        core = self._driver.core
        old = core.active_path
        # the server's preferred address, or another port, from the network that was chosen
        stays = old == self.chosen and self._same_network(old, path_id)
        core.migrate(path_id, trio.current_time(), unvalidated)
        if self._driver.trace is not None and old != path_id:
            self._driver.trace.migrated(old, path_id, cause.name.lower(), self._reason)
        self._lingering.discard(path_id)
        self.chosen = path_id if stays else -1
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
        if not self._driver.ended:
            # what has happened before is told before
            self._driver.tell()
            self._driver.core.abandon(path_id, trio.current_time())
        self._closed(path_id, cause, reason)
        self._driver.flush()

    def _closed(self, path_id: int, cause: CloseCause, reason: str = "") -> None:
        """The core has abandoned a path: so does this side."""
        link = self._links.pop(path_id, None)
        if link is None:
            return
        reason = reason or cause.value
        self._lingering.discard(path_id)
        if link.active:
            self.lost = reason
        link.shut()
        if self._driver.ended:
            return
        if self._driver.trace is not None:
            self._driver.trace.path_closed(path_id, cause.name.lower(), reason)
        self._hear(Trigger.CLOSED, path_id)
        self._broadcast.send(public.PathClosed(path=link.handle, cause=cause, reason=reason))

    async def migrate(self, interface: str | None, local: str | None, local_port: int) -> Path:
        """Add, validate, move, and leave the old path soon; see `Connection.migrate`."""
        server = self._server_now()
        try:
            return await self._migrate_once(interface, local, local_port)
        except PathAbandonedError:
            # When the connection moves to the preferred address, all that leads to the original one
            # is given up (RFC 9000 section 9.6.2), in the middle of its validation as well.
            if self._server_now() == server:
                raise
        return await self._migrate_once(interface, local, local_port)

    async def _migrate_once(
        self, interface: str | None, local: str | None, local_port: int
    ) -> Path:
        standby = None if local_port else self._standby(interface, local)
        if standby is None:
            new = await self.add(interface, local, local_port)
            link = self._links[new.id]
        else:
            link, new = standby, standby.handle
        moved = False
        cause = CloseCause.APPLICATION
        try:
            await new.validate()
            old = self.active_link()
            self.migrate_to(new)
            moved = True
        except PathValidationError:
            cause = CloseCause.NO_ANSWER
            raise
        finally:
            # Where the connection ends, its paths do, too; that is nothing to tell anybody.
            if not moved and standby is None and not self._driver.over:
                self.close(new.id, cause)
        if old is not None and old is not link:
            self._lingering.add(old.path_id)
            self.spawn(self._leave, old)
        return new

    def _standby(self, interface: str | None, local: str | None) -> PathLink | None:
        """A path that is there already and leads the same way: a second one would hold another
        connection ID for nothing."""
        active = self.active_link()
        if (interface is None and local is None) or active is None:
            return None
        for link in self._links.values():
            socket = link.socket
            if (
                link is not active
                and link.path_id not in self._lingering
                and link.statistics().state is PathState.VALIDATED
                and socket.remote == active.socket.remote
                and interface in (None, socket.interface)
                and local in (None, socket.local[0])
            ):
                return link
        return None

    async def _leave(self, link: PathLink) -> None:
        """Close a path after what was under way on it has had time to arrive."""
        await trio.sleep(self._policy.linger * link.statistics().pto)
        if link.path_id in self._lingering:
            self.close(link.path_id, CloseCause.LEFT)

    # -- events ----------------------------------------------------------------------------------

    def on_path_event(self, event: Event) -> None:
        """Turn one of the core's events into a public one, and do what it asks of this side."""
        match event:
            case ConnectionIdsAvailable():
                # paths are possible now that were not before
                self._hear(Trigger.IDS)
            case PreferredAddressSettled(used=used, reason=reason):
                self._broadcast.send(public.PreferredAddressResult(used=used, reason=reason))
            case PathReset(path_id=number):
                self._hear(Trigger.RESET, number)
                self._closed(number, CloseCause.RESET)
            case PathMisled(path_id=number):
                self._hear(Trigger.MISLED, number)
            case PathSilent(path_id=number):
                self._hear(Trigger.SILENT, number)
            case Migrated(old=old, new=new):
                self._moved(old, new)
            case (
                PathValidated(path_id=number)
                | ValidationFailed(path_id=number)
                | PathDegraded(path_id=number)
                | PathRecovered(path_id=number)
                | ServerMoved(path_id=number)
            ) if number in self._links:
                self._tell(event, self._links[number])
            case _:
                # About a path that is closed already.
                return

    def _tell(self, event: Event, link: PathLink) -> None:
        path = link.handle
        match event:
            case PathValidated(rtt=rtt):
                link.on_validated(rtt)
                self._hear(Trigger.VALIDATED, link.path_id)
                self._broadcast.send(public.PathValidated(path=path, rtt=rtt))
            case ValidationFailed(reason=reason):
                link.on_failed(reason)
                self._hear(Trigger.VALIDATION_FAILED, link.path_id)
                self._broadcast.send(public.ValidationFailed(path=path, reason=reason))
            case PathDegraded():
                self._hear(Trigger.DEGRADED, link.path_id)
                self._broadcast.send(public.PathDegraded(path=path))
            case PathRecovered(degraded=degraded):
                self._hear(Trigger.RECOVERED, link.path_id)
                if degraded:
                    self._broadcast.send(public.PathRecovered(path=path))
            case ServerMoved():
                self._hear(Trigger.SERVER_MOVED, link.path_id)
                self._broadcast.send(public.ServerMoved(path=path))

    def _moved(self, old: int, new: int) -> None:
        link, left = self._links.get(new), self._links.get(old)
        if link is None:
            return
        if left is not None:
            left.set_active(False)
        link.set_active(True)
        self._hear(Trigger.MOVED, new)
        self._broadcast.send(
            public.Migrated(
                old=self._last_active if left is None else left.handle,
                new=link.handle,
                cause=self._cause,
                reason=self._reason,
            )
        )
        self._last_active = link.handle

    def on_socket_error(self, path_id: int, error: OSError) -> None:
        """No way out of here, says the system: a reason to look at the networks and to ask on
        other paths, though not to believe it at once, as ICMP can be forged. Said for every
        datagram, heard now and then."""
        now = trio.current_time()
        active = path_id == self._driver.core.active_path
        if active and error.errno in _NO_WAY and now >= self._trouble_until:
            self._trouble_until = now + _BETWEEN_TROUBLES
            self._hear(Trigger.SOCKET_ERROR, path_id)

    def on_woken(self) -> bool:
        """After sleep: have the networks looked at, if somebody does that."""
        if self.supervisor is None or not self.supervisor.listening:
            return False
        self._hear(Trigger.WOKEN)
        return True

    def _hear(self, trigger: Trigger, path_id: int | None = None) -> None:
        if self.supervisor is not None:
            self.supervisor.hear(PolicyEvent(trigger=trigger, path=path_id))
