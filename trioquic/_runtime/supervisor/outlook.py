"""What the supervisor knows: it hears the news, takes a look, and has the view made of both.

The core knows its paths and the source of networks the interfaces; `sight.py` puts them together
with what is remembered here (`memory.py`): what was tried a moment ago and failed, where the
connection was, and how often it moved.
"""

from math import inf
from typing import Final

from ..._protocol.path.state import PathState
from ...addresses import LeftOut
from ...networks import Interface, is_own
from ...paths import Address
from ...policy import PolicyEvent, Trigger, View
from ...policy._roles import Network, network
from ..driver import Driver
from ..paths.adding import PathAdder
from ..paths.late_tunnel import TO_ENTER
from ..paths.own_tunnel import Networks
from ..paths.path_link import PathLink
from ..paths.path_set import PathSet
from .memory import Memory, Way
from .sight import PathSight, Sight, home_of, ways_of
from .view import trouble_of, view_of

# Validation takes so long at least before it is given up (RFC 9000 section 8.2.4).
_ATTEMPT: Final = 3.0


class Outlook:
    """Facts about paths and networks, and the view made of them."""

    def __init__(self, driver: Driver, paths: PathSet, adder: PathAdder, memory: Memory) -> None:
        self._driver = driver
        self._paths = paths
        self._adder = adder
        self._memory = memory
        # the networks and routes when the source last told of a change
        self._last_networks: Networks | None = None
        # where paths could lead from the networks that were there at the last view
        self._used: frozenset[Address] = frozenset()

    # -- news --------------------------------------------------------------------------------------

    def note(self, event: PolicyEvent, now: float) -> bool:
        """Keep what an event says. Whether the networks may be others now."""
        trigger = event.trigger
        changed = trigger in (Trigger.HINT, Trigger.WOKEN) or (
            trigger is Trigger.NETWORKS and self._networks_changed()
        )
        if changed:
            self._memory.forgive()
        if trigger is Trigger.WOKEN:
            self._memory.on_woken()
        if event.path is not None:
            self._note_path(trigger, event.path, now)
        return changed

    def _note_path(self, trigger: Trigger, number: int, now: float) -> None:
        notes = self._memory.of(number)
        match trigger:
            case Trigger.VALIDATED:
                notes.on_validated(now)
                self._memory.on_answer(notes.way)
            case Trigger.SILENT | Trigger.SOCKET_ERROR:
                if notes.silent_since == inf and number == self._driver.core.active_path:
                    self._memory.end_rests()
                notes.on_silent(trigger is Trigger.SOCKET_ERROR, now)
            case Trigger.RECOVERED:
                notes.on_recovered(now)
                self.look()
            case Trigger.MOVED:
                if notes.proven_at == -inf:
                    self._memory.on_visit(notes.way)
                notes.on_active(now)
                # also if it has moved on before the next view
                self.look()
            case Trigger.RESET | Trigger.MISLED:
                if notes.way is not None:
                    self._note_stranger(notes.way, notes.proven_at > -inf, now)
            case Trigger.SERVER_MOVED:
                notes.on_server_moved()
            case Trigger.VALIDATION_FAILED:
                self._note_failure(number, now)
            case Trigger.CLOSED:
                self._memory.keep(self._driver.core.live_paths())

    def _note_stranger(self, way: Way, proven: bool, now: float) -> None:
        """Somebody answered on a way who does not know the connection. Where the path was `proven`
        that is the server itself, which has forgotten it, and would answer and forget for ever."""
        if proven:
            self._memory.rest(way, now)
            self._judge_preferred(way, "it has forgotten the connection", now)
        elif self._memory.on_stranger(way, now):
            self._judge_preferred(way, "who answers there does not know the connection", now)

    def on_begun(self) -> None:
        """The supervisor begins. Nobody has asked for the path of the handshake by name."""
        path_id = self._driver.core.active_path
        self._memory.of(path_id).on_opened(self._way_of(path_id), -inf)

    def _way_of(self, path_id: int) -> Way | None:
        link = self._paths.links.get(path_id)
        if link is None:
            return None
        socket = link.socket
        return socket.local[0], socket.interface, socket.remote

    def _note_failure(self, path_id: int, now: float) -> None:
        way = self._way_of(path_id)
        if way is None:
            return
        notes = self._memory.of(path_id)
        notes.on_unanswered(path_id == self._driver.core.active_path, now)
        self._memory.rest(way, now)
        if self._driver.core.path_view(path_id).challenges_sent:
            self._judge_preferred(way, "it did not answer", now)

    def _judge_preferred(self, way: Way, reason: str, now: float) -> None:
        """An address of the server was asked in vain: perhaps the end of it, if it is preferred."""
        remote, core = way[2], self._driver.core
        if core.preferred.is_open(remote) and self._original_answers(way, now):
            core.fail_preferred(remote, reason)

    def _original_answers(self, way: Way, now: float) -> bool:
        """Whether the server's original address can be reached from the network of this way, all
        the time since the preferred one was asked: if not, the silence of that says nothing
        (section 9.6.3). They may be of different families: then our addresses differ."""
        core, servers = self._driver.core, self._paths.servers
        interfaces = self._paths.reach.networks(servers.addresses).interfaces
        asked = _network_of(way, interfaces)
        for number in core.live_paths():
            path, other = core.path_view(number), self._way_of(number)
            if other is None or other[2] != self._paths.remote.address:
                continue
            notes = self._memory.of(number)
            if notes.silence_ended > now - _ATTEMPT or notes.silent_since < inf:
                continue
            answers = path.state in (PathState.ACTIVE, PathState.VALIDATED)
            if answers and _network_of(other, interfaces) == asked:
                return True
        return False

    # -- looking -----------------------------------------------------------------------------------

    def look(self) -> tuple[tuple[PathSight, ...], Networks]:
        """The paths, and the networks and routes as they are now. Notes which paths are on networks
        that are known: those that vanish later were lost, also before the next decision."""
        # paths may lead to the server's original address still, when that is not used any more
        remotes = [link.socket.remote for link in self._paths.links.values()]
        servers = dict.fromkeys((*self._paths.servers.addresses, *remotes))
        networks = self._paths.reach.look(tuple(servers))
        core, sights = self._driver.core, []
        for number in core.live_paths():
            link = self._paths.links.get(number)
            if link is not None:
                sights.append(self._path_sight(link, networks.interfaces))
                if number == core.active_path:
                    self._note_active(sights[-1], networks)
        return tuple(sights), networks

    def look_at(self, path_id: int) -> None:
        """A path was opened. If its address has vanished by the next look, its network was lost,
        and is not one that nobody lists."""
        link = self._paths.links[path_id]
        self._path_sight(link, self._paths.reach.networks((link.socket.remote,)).interfaces)

    def _path_sight(self, link: PathLink, interfaces: tuple[Interface, ...]) -> PathSight:
        number, socket = link.path_id, link.socket
        notes = self._memory.of(number)
        notes.on_named(any(interface.name == socket.interface for interface in interfaces))
        home, listed = home_of(socket.local[0], socket.interface, interfaces, notes.named)
        notes.on_listed(listed)
        return PathSight(
            core=self._driver.core.path_view(number),
            local=socket.local,
            interface=socket.interface,
            home=home,
            listed=listed,
            pinned=number == self._paths.pinned,
            suspended=number == self._paths.suspended,
        )

    def _note_active(self, path: PathSight, networks: Networks) -> None:
        notes, home, reach = self._memory.of(path.core.path_id), path.home, self._paths.reach
        # another network may only happen to have the range of an address that is gone
        if home is not None and (path.listed or (notes.named and not notes.listed)):
            self._memory.on_network(network(home.name, path.local[0]))
            # whether packets get through a tunnel that has come up late is not known before
            unsure = path.core.doubtful and notes.opened_at > -inf
            if path.pinned or not unsure or not reach.is_tunnel(home):
                reach.note_path(home, path.pinned, networks)
        elif (
            home is None
            and not notes.listed
            and not is_own(path.core.remote[0], networks.interfaces)
        ):
            reach.note_unlisted(path.interface)

    def view(self, now: float) -> View:
        """Everything a policy may look at, as it is now."""
        sight = self._sight()
        self._note(sight, now)
        return view_of(sight, self._memory, now)

    def _note(self, sight: Sight, now: float) -> None:
        """Remember what is there now, before anything is made of it."""
        memory = self._memory
        memory.keep(path.core.path_id for path in sight.paths)
        lost = True
        for path in sight.paths:
            notes = memory.of(path.core.path_id)
            # beside the tunnel that packets to the server take, or that the connection was in
            beside = sight.why_not(path.name, path.core.remote) is LeftOut.OUTSIDE_TUNNEL
            left = path.home is not None and self._paths.reach.is_outside(path.home)
            active = path.core.path_id == sight.active
            self._note_outside(path, beside or left, active, now)
            usable = not trouble_of(sight, path, notes, now)
            has_route = sight.has_route(path.name, path.core.remote)
            notes.on_standing(has_route, usable, path.core.doubtful)
            lost &= not (usable and active)
        memory.on_lost(lost, now)

    def _note_outside(self, path: PathSight, outside: bool, active: bool, now: float) -> None:
        """Whether a path leads beside the tunnel. What is in use there has its time; on what else
        nobody has asked for by name the server gets no answer (RFC 9000 section 9.3.3)."""
        number = path.core.path_id
        notes, link = self._memory.of(number), self._paths.links[number]
        notes.on_outside(outside, now)
        named = path.pinned or not (notes.by_supervisor or link.anywhere)
        leave_at = inf if named else notes.outside_since + TO_ENTER
        link.on_outside(leave_at, muted=now >= (leave_at if active else leave_at - TO_ENTER))

    def _sight(self) -> Sight:
        self._paths.leave_out_own()
        paths, networks = self.look()
        core, reach, servers = self._driver.core, self._paths.reach, self._paths.servers
        pairs = ways_of(reach.pairs(networks), servers)
        self._used = frozenset(way[2] for _, way in pairs)
        return Sight(
            paths=paths,
            active=core.active_path,
            pairs=pairs,
            left_out={
                (left.interface, left.remote): left.reason for left in reach.left_out(networks)
            },
            preferred=core.preferred.addresses,
            known=frozenset(a for a in servers.addresses if core.knows_server(a)),
            spare_ids=max(0, core.statistics().spare_peer_ids - self._adder.claimed),
            answerable=core.unused_own_ids,
            migration_allowed=core.migration_allowed,
            preferred_pending=self.preferred_pending,
            lost=self._paths.lost,
        )

    @property
    def preferred_pending(self) -> bool:
        """Whether a preferred address of the server may yet be reached: it is used from one of the
        networks, as far as anybody has looked. Without any network nothing speaks against it."""
        preferred = self._driver.core.preferred
        return preferred.open and (not self._used or any(map(preferred.is_open, self._used)))

    def _networks_changed(self) -> bool:
        """Whether the news is one for this connection. A source that tells of no routes may have
        heard of one: that is news whenever it says so."""
        before = self._last_networks
        self._last_networks = now = self._paths.reach.networks(self._paths.servers.addresses)
        if before is None or now.routes is None:
            return before is not None
        # another address of the server is no news of the networks
        return (now.interfaces, now.routes) != (before.interfaces, before.routes)

    # -- for people --------------------------------------------------------------------------------

    def why_waiting(self) -> str:
        """What is missing while there is no path."""
        return self._paths.reach.why_none(self._paths.servers.addresses)


def _network_of(way: Way, interfaces: tuple[Interface, ...]) -> Network:
    """The network that a way begins on."""
    local, name, _ = way
    named = any(interface.name == name for interface in interfaces)
    home, _ = home_of(local, name, interfaces, named)
    return network(name if home is None else home.name, local)
