"""Paths that the application asks for: `Connection.add_path` and `Connection.migrate`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import trio

from ..._protocol.path.state import PathState
from ...causes import CloseCause, Refusal
from ...errors import (
    LocalAddressError,
    MigrationNotAllowedError,
    PathAbandonedError,
    PathValidationError,
)
from ...paths import Address, Path
from ..driver import Driver
from ..endpoints import ip_version
from .adding import AskedMeanwhileError, PathAdder
from .asking import Answers
from .path_link import PathLink
from .path_set import PathSet
from .servers import remote_of
from .settling import Settling

# The server may move to its preferred address in the middle of a move, and a tunnel come up.
_MOST_TRIES: Final = 3

_Way: TypeAlias = tuple[str | None, str | None, int]
"""The interface, the local address and the local port that the application names."""


class Asked:
    """The paths that are asked for one move."""

    def __init__(self) -> None:
        self.links: list[PathLink] = []
        # those that were there already, and are left to whoever opened them
        self.found: list[PathLink] = []
        # why those that it has opened are closed in the end
        self.cause = CloseCause.APPLICATION

    @property
    def own(self) -> list[PathLink]:
        """Those that were opened for the move."""
        return [link for link in self.links if link not in self.found]

    @property
    def remotes(self) -> set[Address]:
        """The addresses of the server that are asked."""
        return {link.socket.remote for link in self.links}

    def find(self, links: Iterable[PathLink]) -> None:
        """Ask these as well, where none is asked yet for the same address of the server."""
        new = [link for link in links if link.socket.remote not in self.remotes]
        self.found += new
        self.links += new

    def leave_out_closed(self) -> None:
        """The others are asked again."""
        self.found = [link for link in self.found if not link.closed]
        self.links = [link for link in self.links if not link.closed]


class ByHand:
    """The application's own paths."""

    def __init__(self, driver: Driver, paths: PathSet, adder: PathAdder) -> None:
        self._driver = driver
        self._paths = paths
        self._adder = adder

    async def add(
        self,
        interface: str | None,
        local: str | None,
        local_port: int,
        server: Address | None = None,
    ) -> Path:
        """A candidate path; see `Connection.add_path`."""
        if server is not None:
            await self._confirmed()
            servers = (*self._paths.servers.addresses, *self._driver.core.preferred.addresses)
            if server not in servers:
                raise ValueError(self._why_not(server))
        return await self._add((interface, local, local_port), server)

    def _why_not(self, server: Address) -> str:
        """Why no path may lead to this address."""
        if server == self._paths.remote.address:
            why = "was left for good when the connection moved to a preferred one"
            return f"the server's original address {why} (RFC 9000 section 9.6.1)"
        return f"{server[0]} port {server[1]} is no address of the server's"

    async def _add(
        self, way: _Way, server: Address | None, other_will_do: Callable[[], bool] = lambda: False
    ) -> Path:
        interface, local, local_port = way
        self._paths.reach.check_policy()
        self._driver.life.check_open()
        await self._confirmed()
        remote = remote_of(server or self._server_for(local), self._paths.remote)
        path = await self._adder.add(interface, local, local_port, remote, other_will_do)
        if self._driver.life.over:
            # Another task may have closed meanwhile; only the supervisor may add paths to a drain.
            self._paths.close(path.id, CloseCause.CONNECTION_CLOSED)
            self._driver.life.check_open()
        return path

    async def _confirmed(self) -> None:
        """From then on there may be other paths, and it is known where to. Raises what ends the
        connection before."""
        await self._driver.life.confirmed.wait()
        self._driver.life.check_open()
        self._paths.leave_out_own()

    def _server_for(self, local: str | None) -> Address:
        """Where the server is now (RFC 9000 section 9.6.2), or would be for an address of ours of
        the other family."""
        servers = self._paths.servers
        fitting = [a for a in servers.addresses if local is not None and _fit(a, local)]
        return next(iter(servers.used_from(fitting)), servers.in_use)

    # -- moving ------------------------------------------------------------------------------------

    async def migrate(self, interface: str | None, local: str | None, local_port: int) -> Path:
        """Add, validate, move, and leave the old path soon; see `Connection.migrate`."""
        newest = max(self._paths.links, default=-1)
        asked, way = Asked(), (interface, local, local_port)
        try:
            for _ in range(_MOST_TRIES):
                before = self._paths.servers.original
                try:
                    new = await self._migrate_once(asked, way)
                except PathAbandonedError:
                    # When the connection moves to a preferred address, all that leads to the
                    # original one is given up (RFC 9000 section 9.6.2), in the middle of its
                    # validation as well. And the supervisor may close what it has opened.
                    moved = self._paths.servers.original != before
                    if not moved and not any(link.closed for link in asked.found):
                        raise
                    new = self._moved_meanwhile(newest, asked, way) if moved else None
                    asked.leave_out_closed()
                if new is not None:
                    return new
        finally:
            self._give_up(asked.own, asked.cause)
        raise PathAbandonedError("the networks changed again and again meanwhile")

    def _moved_meanwhile(self, newest: int, asked: "Asked", way: _Way) -> Path | None:
        """Where the supervisor has moved the connection, if the application wanted the same."""
        link, (interface, local, local_port) = self._paths.active_link(), way
        if link is None or local_port or not _leads_from(link, interface, local):
            return None
        if link.path_id <= newest and link not in asked.found:
            return None
        if interface is not None or local is not None:
            # it stays there; where none was named, the policy goes on deciding
            self._paths.migrate_to(link.handle)
        return link.handle

    async def _migrate_once(self, asked: "Asked", way: _Way) -> Path | None:
        """None: no network was named, and the system's leads beside a tunnel that has come up."""
        link: PathLink | None = None
        settling = Settling(self._driver, self._paths)
        try:
            link = await self._first_answer(asked, way)
        except PathValidationError:
            if all(each.closed or not self._paths.leads_outside(each) for each in asked.links):
                asked.cause = CloseCause.NO_ANSWER
                raise
        if link is not None:
            await settling.wait(link)
        if link is None or self._paths.leads_outside(link):
            self._give_up(asked.own, CloseCause.OUTSIDE_TUNNEL)
            asked.leave_out_closed()
            return None
        old = self._paths.active_link()
        self._paths.migrate_to(link.handle)
        if old is not None and old is not link:
            self._paths.let_linger(old.path_id)
            self._paths.spawn(self._leave, old)
        return link.handle

    def _give_up(self, links: Iterable[PathLink], cause: CloseCause) -> None:
        # Where the connection ends, its paths do, too; that is nothing to tell anybody. And the
        # supervisor may have moved there.
        core = self._driver.core
        for link in links:
            if link.closed or self._driver.life.over or link.path_id == core.active_path:
                continue
            misled = cause is CloseCause.NO_ANSWER and core.path_view(link.path_id).stranger
            self._paths.close(link.path_id, CloseCause.STRANGER if misled else cause)

    async def _first_answer(self, asked: "Asked", way: _Way) -> PathLink:
        """The path to use, of those in `asked` and those that are added to it. Section 9.6.3: a
        preferred address that is still open is asked at the same time as the original one; with a
        connection ID for one of them only before it, as its answer decides."""
        await self._confirmed()
        servers = self._targets(way[0], way[1])
        asked.find(self._leading_there(way, servers))
        later = await self._open(asked, way, servers)
        try:
            return await self._answer(asked.links)
        except PathValidationError:
            if not later:
                raise
            # its ID is retired, and the server has another one for the original address
            self._give_up(asked.own, CloseCause.NO_ANSWER)
            asked.links.clear()
            try:
                await self._open(asked, way, later)
            except MigrationNotAllowedError:
                # the event has told that; why the ID is gone says more
                pass
            if not asked.links:
                raise
        return await self._answer(asked.links)

    async def _answer(self, asked: Sequence[PathLink]) -> PathLink:
        original = self._paths.servers.original
        return await Answers(sorted(asked, key=lambda link: link.socket.remote != original)).first()

    async def _open(self, asked: Asked, way: _Way, servers: Sequence[Address]) -> Sequence[Address]:
        """Add the paths to ask, as many as there are connection IDs for. Returns where else there
        is to ask."""
        local_port = way[2]
        servers = [server for server in servers if server not in asked.remotes]
        spare = self._driver.core.statistics().spare_peer_ids
        if spare < len(servers) and not (asked.links or local_port):
            servers.sort(key=lambda server: server == self._paths.servers.original)
        for number, server in enumerate(servers):
            if asked.links and local_port:
                break
            if asked.links and not self._driver.core.statistics().spare_peer_ids:
                reason = f"{Refusal.NO_SPARE_ID.value} for a path to {server[0]} as well"
                self._paths.news.on_refused(Refusal.NO_SPARE_ID, reason)
                return servers[number:]
            try:
                path = await self._add(way, server, lambda: bool(self._leading_there(way, servers)))
            except AskedMeanwhileError:
                asked.find(self._leading_there(way, servers))
                return [other for other in servers[number:] if other not in asked.remotes]
            except (LocalAddressError, MigrationNotAllowedError):
                if not asked.links:
                    raise
            else:
                asked.links.append(self._paths.links[path.id])
        return ()

    def _targets(self, interface: str | None, local: str | None) -> tuple[Address, ...]:
        """Where the server may be from there, at most two addresses. They are those of one network:
        where none is named, of that on which a path to where the server is now would be."""
        servers, reach = self._paths.servers, self._paths.reach
        if len(servers.addresses) > 1:
            networks = reach.networks(servers.addresses)
            if interface is None and local is None:
                pairs = reach.unnamed_pairs(networks)
            else:
                pairs = tuple(
                    pair
                    for pair in reach.pairs(networks)
                    if interface in (None, pair.interface) and local in (None, pair.local)
                )
            there = [pair.interface for pair in pairs if pair.remote == servers.in_use[0]]
            used = servers.used_on_each(pairs)
            found = used[next(iter(there or used))] if used else ()
            if not self._driver.core.migration_allowed:
                found = tuple(a for a in found if a != servers.original) or found
            if found:
                return found
        return (self._server_for(local),)

    def _leading_there(self, way: _Way, servers: Sequence[Address]) -> list[PathLink]:
        """Paths that lead the same way and answer, or are asked just now, at most one to each of
        these addresses: second ones would hold connection IDs for nothing, maybe the last ones."""
        (interface, local, local_port), active = way, self._paths.active_link()
        if local_port or (interface is None and local is None) or active is None:
            return []
        states: dict[PathLink, PathState] = {}
        for link in self._paths.links.values():
            core = self._driver.core.path_view(link.path_id)
            if (
                link is not active
                and link.path_id not in self._paths.lingering
                and core.state in (PathState.PROBING, PathState.VALIDATED)
                # another port may meet the server there, and by its name this network may be used
                and not (core.stranger or link.outside_for_long)
                and link.socket.remote in servers
                and _leads_from(link, interface, local)
            ):
                states[link] = core.state
        answering_first = sorted(states, key=lambda link: states[link] is PathState.PROBING)
        one_to_each: dict[Address, PathLink] = {}
        for link in answering_first:
            one_to_each.setdefault(link.socket.remote, link)
        return list(one_to_each.values())

    async def _leave(self, link: PathLink) -> None:
        """Close a path after what was under way on it has had time to arrive."""
        await trio.sleep(self._paths.reach.policy.linger * link.statistics().pto)
        if link.path_id in self._paths.lingering:
            self._paths.close(link.path_id, CloseCause.LEFT)


def _leads_from(link: PathLink, interface: str | None, local: str | None) -> bool:
    """Whether a path is one from there. That for which nothing was named is none from a named
    place: it goes wherever the policy wants, and is left for a tunnel."""
    named = interface is not None or local is not None
    if named and link.anywhere:
        return False
    socket = link.socket
    return interface in (None, socket.interface) and local in (None, socket.local[0])


def _fit(server: Address, local: str) -> bool:
    return ip_version(server[0].partition("%")[0]) == ip_version(local)
