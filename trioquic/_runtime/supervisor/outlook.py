"""What the supervisor knows, as the frozen view that a policy gets.

The core knows its paths and the source of networks the interfaces; here they are put together:
which network a path belongs to and whether that is still there, which pairs of addresses could
become paths and in which order (RFC 6724, the policy's preferences first), and what was tried a
moment ago and failed. A path whose address was never seen in the snapshot (a loopback alias, an
address that the system chose on an interface nobody lists) counts as usable.
"""

import functools
import ipaddress
from math import inf
from typing import Final

from ..._protocol.path.refusal import Refusal
from ..._protocol.path.state import PathState
from ...addresses import AddressPair, LeftOut
from ...networks import Interface, NetworkSource, Route
from ...policy import Candidate, MigrationPolicy, PathInfo, PolicyEvent, Trigger, View
from ...policy._roles import Network, network_of
from ..driver import Driver
from ..paths.path_link import PathLink
from ..paths.path_set import PathSet
from ..sockets.sockets import is_here

_MINUTE: Final = 60.0
_FIVE_MINUTES: Final = 300.0
# A candidate that failed is left alone for a second, then two, four ... up to this.
_FIRST_REST: Final = 1.0
_LONGEST_REST: Final = 64.0
# Validation takes so long at least before it is given up (RFC 9000 section 8.2.4).
_ATTEMPT: Final = 3.0
# So many ports in a row may meet somebody who does not know the connection before that counts as a
# failure: of eight workers the right one is met by then, but for one connection in a hundred.
_MOST_PORTS: Final = 32
_MOST_REMEMBERED: Final = 64
# Connections to the same server from the same networks ask the same questions.
_MOST_ANSWERS: Final = 64

_Key = tuple[str, str | None, tuple[str, int]]


class _Facts:
    """What is known about one path beside what the core knows."""

    def __init__(self) -> None:
        self.proven_at = -inf
        self.silent_since = inf
        self.silence_ended = -inf
        # what its socket said since it last answered
        self.no_way = False
        self.listed = False
        # the source knows its interface by the name that the system has for it
        self.named = False
        self.routed = False
        self.mine = False
        self.opened_at = -inf
        self.retry_at = -inf
        # how often in a row validation has failed
        self.failures = 0
        # its network was gone, and nothing was tried there since
        self.away = False
        self.strayed = 0
        self.key: _Key | None = None


class Outlook:
    """Facts about paths and networks, and the view made of them."""

    def __init__(
        self, driver: Driver, paths: PathSet, networks: NetworkSource, policy: MigrationPolicy
    ) -> None:
        self._driver = driver
        self._paths = paths
        self._networks = networks
        self._policy = policy
        # what the networks and routes were when candidates that failed were last forgiven
        self._last_networks: object = None
        self._facts: dict[int, _Facts] = {}
        # candidates that failed: how often, and when they may be tried again
        self._failures: dict[_Key, tuple[int, float]] = {}
        # how many ports in a row have met somebody who does not know the connection
        self._misled: dict[_Key, int] = {}
        # how often the server was called back
        self._recalls = 0
        self._switches: list[float] = []
        self._returns: list[float] = []
        # since when there is no active path, or it is not usable
        self._lost_at = inf
        # where the connection was, the last ones
        self._been: dict[Network, None] = {}

    # -- news --------------------------------------------------------------------------------------

    def note(self, event: PolicyEvent, now: float) -> None:
        """Keep what an event says."""
        if event.trigger in (Trigger.HINT, Trigger.WOKEN) or (
            event.trigger is Trigger.NETWORKS and self._networks_changed()
        ):
            # what failed a moment ago may work now
            self._end_rests()
            self._failures.clear()
            self._misled.clear()
        if event.trigger is Trigger.WOKEN:
            # nobody listened, so nothing was silent
            for known in self._facts.values():
                known.silent_since = inf
                known.no_way = False
        if event.path is None:
            return
        facts = self._facts_of(event.path)
        answers = event.trigger in (Trigger.VALIDATED, Trigger.RECOVERED)
        if answers and facts.silent_since < inf:
            facts.silence_ended = now
        if event.trigger is Trigger.VALIDATED:
            facts.proven_at = now
            facts.silent_since = inf
            facts.no_way = False
            facts.away = False
            facts.failures = 0
            if facts.key is not None:
                self._misled.pop(facts.key, None)
        elif event.trigger in (Trigger.SILENT, Trigger.SOCKET_ERROR):
            if facts.silent_since == inf and event.path == self._driver.core.active_path:
                self._end_rests()
            facts.silent_since = min(facts.silent_since, now)
            facts.no_way |= event.trigger is Trigger.SOCKET_ERROR
        elif event.trigger is Trigger.RECOVERED or event.trigger is Trigger.MOVED:
            facts.silent_since = inf
            facts.no_way = False
            facts.away = False
            facts.strayed = 0
            # also if it has moved on before the next view
            self.look()
        elif event.trigger is Trigger.RESET or event.trigger is Trigger.MISLED:
            self._note_stranger(facts, now)
        elif event.trigger is Trigger.SERVER_MOVED:
            facts.strayed += 1
        elif event.trigger is Trigger.VALIDATION_FAILED:
            self._note_failure(event.path, now)
        elif event.trigger is Trigger.CLOSED:
            del self._facts[event.path]

    def moved(self, old_was_silent: bool, better: bool, now: float) -> None:
        """The connection moved by the policy's decision."""
        if old_was_silent:
            self._switches = [*self._switches[1 - _MOST_REMEMBERED :], now]
        elif better:
            self._returns = [*self._returns[1 - _MOST_REMEMBERED :], now]

    def look(self) -> None:
        """Note which paths are on networks that are known now: those that vanish later were lost,
        also if that happens before anybody is asked for a decision."""
        interfaces, _ = self._paths.reach.networks(tuple(self._remotes()))
        for number in self._driver.core.live_paths():
            link = self._paths.link(number)
            if link is not None:
                home, listed = self._home_of(number, interfaces)
                facts = self._facts_of(number)
                if number != self._driver.core.active_path:
                    continue
                # another network may only happen to have the range of an address that is gone
                if home is not None and (listed or (facts.named and not facts.listed)):
                    self._note_network(home, link)
                    self._paths.reach.note_path(home, number == self._paths.chosen)
                elif home is None and not facts.listed and not is_here(link.socket.remote):
                    self._paths.reach.note_unlisted(link.socket.interface)

    def _home_of(
        self, number: int, interfaces: tuple[Interface, ...]
    ) -> tuple[Interface | None, bool]:
        """The interface of a path, and whether its address is listed there."""
        link = self._paths.link(number)
        facts = self._facts_of(number)
        local = self._driver.core.path_view(number).local
        address = "" if local is None else local[0]
        name = None if link is None else link.socket.interface
        facts.named |= any(interface.name == name for interface in interfaces)
        home, listed = _interface_of(address, name if facts.named else None, interfaces)
        facts.listed |= listed
        if name is not None and not listed:
            # Tied to it with an address of another one; or the application does not know it, and
            # that the address is in another network's range is chance.
            home = next((interface for interface in interfaces if interface.name == name), None)
        return home, listed

    def _note_network(self, home: Interface, link: PathLink) -> None:
        """The connection is there now."""
        self._been[network_of(home.name, link.socket.local[0])] = None
        while len(self._been) > _MOST_REMEMBERED:
            del self._been[next(iter(self._been))]

    def why_waiting(self) -> str:
        """For people: what is missing while there is no path."""
        return self._paths.reach.why_none(tuple(self._remotes()))

    def _networks_changed(self) -> bool:
        """Whether the news is one for this connection. A source that tells of no routes may have
        heard of one: that is news whenever it says so."""
        routes = self._paths.reach.routes(tuple(self._remotes()))
        networks = (self._networks.snapshot(), routes)
        changed = routes is None or networks != self._last_networks
        self._last_networks = networks
        return changed

    def recalled(self) -> None:
        """The server was called back."""
        self._recalls += 1
        for facts in self._facts.values():
            facts.strayed = 0

    def opened(self, path_id: int, now: float) -> None:
        """The supervisor opened a path; -inf: it is that of the handshake."""
        facts = self._facts_of(path_id)
        facts.mine = True
        facts.opened_at = now
        # or it would have been no candidate; that route may go before anybody looks again
        facts.routed |= now > -inf
        link = self._paths.link(path_id)
        if link is not None:
            socket = link.socket
            facts.key = (socket.local[0], socket.interface, socket.remote)

    def _note_stranger(self, facts: _Facts, now: float) -> None:
        """Somebody answers on a path who does not know the connection: another port is tried, but
        not for ever."""
        if facts.key is None:
            return
        self._misled[facts.key] = self._misled.get(facts.key, 0) + 1
        if self._misled[facts.key] >= _MOST_PORTS:
            del self._misled[facts.key]
            self._rest(facts.key, now)
            self._judge_preferred(facts.key, "who answers there does not know the connection", now)

    def silent(self, path_id: int) -> bool:
        """Whether a path has unanswered probes."""
        facts = self._facts.get(path_id)
        return facts is not None and facts.silent_since < inf

    def failed(self, candidate: Candidate, now: float) -> None:
        """A candidate could not be opened."""
        self._rest((candidate.local, candidate.interface, candidate.remote), now)

    def _note_failure(self, path_id: int, now: float) -> None:
        link = self._paths.link(path_id)
        if link is None:
            self._facts.pop(path_id, None)
            return
        facts = self._facts_of(path_id)
        facts.away = False
        facts.retry_at = now + min(_FIRST_REST * 2.0**facts.failures, _LONGEST_REST)
        facts.failures += 1
        socket = link.socket
        key = (socket.local[0], socket.interface, socket.remote)
        self._rest(key, now)
        if self._driver.core.path_view(path_id).challenges_sent:
            self._judge_preferred(key, "it did not answer", now)

    def _judge_preferred(self, key: _Key, reason: str, now: float) -> None:
        """An address of the server was asked, in vain; if it is the preferred one, that may be the
        end of it."""
        local, _, remote = key
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
            if self._facts_of(number).silence_ended > now - _ATTEMPT:
                continue
            if path.state in (PathState.ACTIVE, PathState.VALIDATED) and not self.silent(number):
                return True
        return False

    def _rest(self, key: _Key, now: float) -> None:
        times, until = self._failures.get(key, (0, -inf))
        if now < until:
            # another port of a try that has failed already
            return
        rest = min(_FIRST_REST * 2.0**times, _LONGEST_REST)
        self._failures[key] = (times + 1, now + rest)
        while len(self._failures) > _MOST_REMEMBERED:
            del self._failures[next(iter(self._failures))]

    def _end_rests(self) -> None:
        """What has failed may be tried at once: the path in use falls silent, for instance. How
        often it has failed is not forgotten, so a silence gives one try."""
        self._failures = {key: (times, -inf) for key, (times, _) in self._failures.items()}
        for known in self._facts.values():
            known.retry_at = -inf

    def _facts_of(self, path_id: int) -> _Facts:
        facts = self._facts.get(path_id)
        if facts is None:
            facts = self._facts[path_id] = _Facts()
        return facts

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

    # -- the view ----------------------------------------------------------------------------------

    def view(self, now: float) -> View:
        """Everything a policy may look at, as it is now."""
        self.look()
        core = self._driver.core
        remotes = self._remotes()
        reach = self._paths.reach
        interfaces, routes = reach.networks(tuple(remotes))
        pairs = self._pairs(interfaces, remotes, routes)
        left_out = {
            (left.interface, left.remote): left.reason
            for left in reach.left_out(interfaces, tuple(remotes), routes)
        }
        paths = tuple(
            self._path_info(number, interfaces, pairs, left_out) for number in core.live_paths()
        )
        for number in [n for n in self._facts if n not in {p.id for p in paths}]:
            del self._facts[number]
        active = next((path for path in paths if path.id == core.active_path), None)
        # those that would be candidates but for that: of a network that is gone nothing is to come
        there = {(pair.local, pair.interface, remote) for pair, remote, _ in pairs}
        resting = [
            until for key, (_, until) in self._failures.items() if until > now and key in there
        ]
        lost = active is None or not active.usable
        self._lost_at = min(self._lost_at, now) if lost else inf
        return View(
            active=active,
            paths=paths,
            candidates=self._candidates(pairs, paths, now),
            spare_ids=core.statistics().spare_peer_ids,
            answerable=core.unused_own_ids,
            recalls=self._recalls,
            migration_allowed=core.migration_allowed,
            preferred_pending=core.preferred.open,
            switches=tuple(at for at in self._switches if now - at < _MINUTE),
            returns=tuple(at for at in self._returns if now - at < _FIVE_MINUTES),
            next_candidate_at=min(resting, default=inf),
            lost=self._paths.lost if active is None else active.trouble,
            lost_at=self._lost_at,
        )

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

    def _pairs(
        self,
        interfaces: tuple[Interface, ...],
        remotes: dict[str, tuple[tuple[str, int], bool]],
        routes: tuple[Route, ...] | None,
    ) -> list[tuple[AddressPair, tuple[str, int], bool]]:
        """Every pair in order, with the server's port and whether it is the preferred address."""
        found = []
        for pair in self._paths.reach.pairs(interfaces, tuple(remotes), routes):
            if pair.source_rank == 0 and pair.remote in remotes:
                remote, preferred = remotes[pair.remote]
                found.append((pair, remote, preferred))
        return found

    def _candidates(
        self,
        pairs: list[tuple[AddressPair, tuple[str, int], bool]],
        paths: tuple[PathInfo, ...],
        now: float,
    ) -> tuple[Candidate, ...]:
        used = {(path.local[0], path.remote) for path in paths}
        found = []
        ranks = _ranks(pairs)
        for pair, remote, preferred in pairs:
            key = (pair.local, pair.interface, remote)
            if now < self._failures.get(key, (0, -inf))[1]:
                continue
            found.append(
                Candidate(
                    local=pair.local,
                    interface=pair.interface,
                    kind=pair.kind,
                    metered=pair.metered,
                    remote=remote,
                    preferred=preferred,
                    rank=ranks[pair.interface],
                    new_port=(pair.local, remote) in used,
                    reason=pair.reason,
                    misled=self._misled.get(key, 0),
                )
            )
        return tuple(found)

    def _path_info(
        self,
        number: int,
        interfaces: tuple[Interface, ...],
        pairs: list[tuple[AddressPair, tuple[str, int], bool]],
        left_out: dict[tuple[str, str], LeftOut],
    ) -> PathInfo:
        view = self._driver.core.path_view(number)
        facts = self._facts_of(number)
        link = self._paths.link(number)
        local = view.local or ("", 0)
        named = None if link is None else link.socket.interface
        home, listed = self._home_of(number, interfaces)
        name = home.name if home is not None else named
        ranks = _ranks(pairs)
        if listed or facts.named:
            usable = home is not None and home.up and listed >= facts.listed
        else:
            usable = not facts.listed
        against = left_out.get((name or "", view.remote[0]))
        trouble = "" if usable else _trouble(local[0], name, home, listed)
        if against is not LeftOut.NO_ROUTE:
            facts.routed = True
        elif usable and facts.routed:
            # One that never had a route carries packets all the same.
            usable, trouble = False, f"{name} has no route to the server any more"
        facts.away |= not usable and not view.doubtful
        return PathInfo(
            id=number,
            state=view.state,
            local=local,
            remote=view.remote,
            interface=name,
            kind=home.kind if home is not None else "other",
            metered=home.metered if home is not None else None,
            preferred=view.remote == self._driver.core.preferred.address,
            rank=ranks.get(name, len(ranks)) if name is not None else len(ranks),
            usable=usable,
            trouble=trouble,
            proven_at=facts.proven_at,
            silent_since=facts.silent_since,
            rtt=view.rtt,
            pto=view.pto,
            unanswered_ptos=view.pto_count,
            probing=view.validating,
            mine=facts.mine,
            doubtful=view.doubtful,
            misled=view.stranger,
            returned=facts.away and usable,
            suspended=number == self._paths.suspended,
            opened_at=facts.opened_at,
            retry_at=facts.retry_at,
            asked=view.challenges_sent,
            no_way=facts.no_way,
            been=network_of(name, local[0]) in self._been,
            strayed=facts.strayed,
            chosen=number == self._paths.chosen,
            outside=against is LeftOut.OUTSIDE_TUNNEL
            or (home is not None and self._paths.reach.is_outside(home)),
        )


@functools.lru_cache(_MOST_ANSWERS)
def _interface_of(
    address: str, named: str | None, interfaces: tuple[Interface, ...]
) -> tuple[Interface | None, bool]:
    """The interface of a local address, and whether the address itself is listed there.

    An address that is not listed may still be in an interface's network (127.0.0.2)."""
    inside: Interface | None = None
    parsed = ipaddress.ip_address(address.partition("%")[0]) if address else None
    for interface in interfaces:
        if named is not None and interface.name != named:
            continue
        for entry in interface.addresses:
            if entry.address == address:
                return interface, True
            network = ipaddress.ip_network(f"{entry.address}/{entry.prefix_length}", strict=False)
            if parsed is not None and parsed in network:
                inside = inside or interface
    return inside, False


def _trouble(address: str, name: str | None, home: Interface | None, listed: bool) -> str:
    """What is wrong with the network of a path that is not usable."""
    if home is not None and not home.up:
        return f"{home.name} is down"
    if home is None and name is not None:
        return f"{name} is gone, or its address {address}"
    return f"the address {address} is gone"


def _ranks(pairs: list[tuple[AddressPair, tuple[str, int], bool]]) -> dict[str, int]:
    """Interfaces by the position of their first pair."""
    ranks: dict[str, int] = {}
    for pair, _, _ in pairs:
        ranks.setdefault(pair.interface, len(ranks))
    return ranks
