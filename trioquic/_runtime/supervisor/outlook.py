"""What the supervisor knows: it hears the news, takes a look, and has the view made of both.

The core knows its paths and the source of networks the interfaces; `sight.py` puts them together
with what is remembered here (`memory.py`): what was tried a moment ago and failed, where the
connection was, and how often it moved.
"""

from math import inf
from typing import Final

from ..._protocol.path.refusal import Refusal
from ..._protocol.path.state import PathState
from ...networks import NetworkSource
from ...policy import Candidate, MigrationPolicy, PolicyEvent, Trigger, View
from ...policy._roles import network_of
from ..driver import Driver
from ..paths.path_set import PathSet
from ..sockets.sockets import is_here
from .memory import Memory, Way
from .sight import PathSight, Sight, home_of, is_named, standing_of, view_of

# Validation takes so long at least before it is given up (RFC 9000 section 8.2.4).
_ATTEMPT: Final = 3.0


class Outlook:
    """Facts about paths and networks, and the view made of them."""

    def __init__(
        self, driver: Driver, paths: PathSet, networks: NetworkSource, policy: MigrationPolicy
    ) -> None:
        self._driver = driver
        self._paths = paths
        self._networks = networks
        self._policy = policy
        self._memory = Memory()
        # what the networks and routes were when candidates that failed were last forgiven
        self._last_networks: object = None

    # -- news --------------------------------------------------------------------------------------

    def note(self, event: PolicyEvent, now: float) -> None:
        """Keep what an event says."""
        trigger = event.trigger
        if trigger in (Trigger.HINT, Trigger.WOKEN) or (
            trigger is Trigger.NETWORKS and self._networks_changed()
        ):
            self._memory.forgive()
        if trigger is Trigger.WOKEN:
            self._memory.on_woken()
        if event.path is not None:
            self._note_path(trigger, event.path, now)

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
                notes.on_moved()
                # also if it has moved on before the next view
                self.look()
            case Trigger.RESET | Trigger.MISLED:
                if notes.way is not None and self._memory.on_stranger(notes.way, now):
                    reason = "who answers there does not know the connection"
                    self._judge_preferred(notes.way, reason, now)
            case Trigger.SERVER_MOVED:
                notes.on_server_moved()
            case Trigger.VALIDATION_FAILED:
                self._note_failure(number, now)
            case Trigger.CLOSED:
                self._memory.keep(self._driver.core.live_paths())

    def moved(self, old_was_silent: bool, better: bool, now: float) -> None:
        """The connection moved by the policy's decision."""
        if old_was_silent:
            self._memory.on_switched(now)
        elif better:
            self._memory.on_returned(now)

    def called_back(self) -> None:
        """The server was called back."""
        self._memory.on_called_back()

    def opened(self, path_id: int, now: float) -> None:
        """The supervisor opened a path; -inf: it is that of the handshake."""
        self._memory.of(path_id).on_opened(self._way_of(path_id), now)

    def failed(self, candidate: Candidate, now: float) -> None:
        """A candidate could not be opened."""
        self._memory.rest((candidate.local, candidate.interface, candidate.remote), now)

    def silent(self, path_id: int) -> bool:
        """Whether a path has unanswered probes."""
        return self._memory.is_silent(path_id)

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
        self._memory.of(path_id).on_unanswered(now)
        self._memory.rest(way, now)
        if self._driver.core.path_view(path_id).challenges_sent:
            self._judge_preferred(way, "it did not answer", now)

    def _judge_preferred(self, way: Way, reason: str, now: float) -> None:
        """An address of the server was asked, in vain; if it is the preferred one, that may be the
        end of it."""
        local, _, remote = way
        core = self._driver.core
        if remote == core.preferred.address and self._original_answers(local, now):
            core.fail_preferred(reason)

    def _original_answers(self, local: str, now: float) -> bool:
        """Whether the server's original address can be reached from there, all the time since the
        preferred one was asked: if it cannot either, the silence of the preferred one says nothing
        about it (section 9.6.3)."""
        core = self._driver.core
        for number in core.live_paths():
            path = core.path_view(number)
            if path.local is None or path.local[0] != local:
                continue
            if path.remote == core.preferred.address:
                continue
            notes = self._memory.of(number)
            if notes.silence_ended > now - _ATTEMPT or notes.silent_since < inf:
                continue
            if path.state in (PathState.ACTIVE, PathState.VALIDATED):
                return True
        return False

    # -- looking -----------------------------------------------------------------------------------

    def look(self) -> None:
        """Note which paths are on networks that are known now: those that vanish later were lost,
        also if that happens before anybody is asked for a decision."""
        interfaces, _ = self._paths.reach.networks(tuple(self._remotes()))
        for path in self._path_sights():
            number = path.core.path_id
            notes = self._memory.of(number)
            notes.on_seen(is_named(path, interfaces), False)
            home, listed = home_of(path, interfaces, notes.named)
            notes.on_seen(False, listed)
            if number != self._driver.core.active_path:
                continue
            # another network may only happen to have the range of an address that is gone
            if home is not None and (listed or (notes.named and not notes.listed)):
                local = path.core.local or ("", 0)
                self._memory.on_network(network_of(home.name, local[0]))
                self._paths.reach.note_path(home, path.pinned)
            elif home is None and not notes.listed and not is_here(path.core.remote):
                self._paths.reach.note_unlisted(path.interface)

    def view(self, now: float) -> View:
        """Everything a policy may look at, as it is now."""
        self.look()
        sight = self._sight()
        self._memory.keep(path.core.path_id for path in sight.paths)
        standings = {}
        for path in sight.paths:
            notes = self._memory.of(path.core.path_id)
            standing = standing_of(sight, path, notes)
            notes.on_standing(standing.has_route, standing.usable, path.core.doubtful)
            standings[path.core.path_id] = standing
        active = standings.get(sight.active)
        self._memory.on_lost(active is None or not active.usable, now)
        return view_of(sight, standings, self._memory, now)

    def _sight(self) -> Sight:
        core, reach = self._driver.core, self._paths.reach
        remotes = self._remotes()
        interfaces, routes = reach.networks(tuple(remotes))
        left_out = reach.left_out(interfaces, tuple(remotes), routes)
        return Sight(
            paths=self._path_sights(),
            active=core.active_path,
            interfaces=interfaces,
            pairs=tuple(
                (pair, *remotes[pair.remote])
                for pair in reach.pairs(interfaces, tuple(remotes), routes)
                if pair.source_rank == 0 and pair.remote in remotes
            ),
            left_out={(left.interface, left.remote): left.reason for left in left_out},
            outside=frozenset(each.name for each in interfaces if reach.is_outside(each)),
            preferred=core.preferred.address,
            preferred_pending=core.preferred.open,
            migration_allowed=core.migration_allowed,
            spare_ids=core.statistics().spare_peer_ids,
            answerable=core.unused_own_ids,
            lost=self._paths.lost,
        )

    def _path_sights(self) -> tuple[PathSight, ...]:
        core, paths = self._driver.core, self._paths
        found = []
        for number in core.live_paths():
            link = paths.links.get(number)
            found.append(
                PathSight(
                    core=core.path_view(number),
                    interface=None if link is None else link.socket.interface,
                    pinned=number == paths.pinned,
                    suspended=number == paths.suspended,
                )
            )
        return tuple(found)

    def _remotes(self) -> dict[str, tuple[tuple[str, int], bool]]:
        """The server's addresses with their ports, and which is the preferred one."""
        preferred = self._driver.core.preferred
        remotes: dict[str, tuple[tuple[str, int], bool]] = {}
        if not preferred.reached:
            remotes[self._paths.remote.address[0]] = (self._paths.remote.address, False)
        address = preferred.address
        if address is not None and (preferred.reached or preferred.open):
            remotes.setdefault(address[0], (address, True))
        return remotes

    def _networks_changed(self) -> bool:
        """Whether the news is one for this connection. A source that tells of no routes may have
        heard of one: that is news whenever it says so."""
        routes = self._paths.reach.routes(tuple(self._remotes()))
        networks = (self._networks.snapshot(), routes)
        changed = routes is None or networks != self._last_networks
        self._last_networks = networks
        return changed

    # -- for people --------------------------------------------------------------------------------

    def why_waiting(self) -> str:
        """What is missing while there is no path."""
        return self._paths.reach.why_none(tuple(self._remotes()))

    def obstacle(self) -> str | None:
        """Why the connection cannot be moved, None if it may: whether that is possible now, the
        networks and the peer's connection IDs tell."""
        core = self._driver.core
        if not self._policy.enabled:
            return "MigrationPolicy.enabled is False"
        refusal = core.migration_obstacle
        if refusal is None or (refusal is Refusal.DISABLED_BY_PEER and core.preferred.open):
            return None
        return refusal.value
