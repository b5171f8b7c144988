"""How a connection behaves when its network changes: data, and one pure function.

The supervisor asks `MigrationPolicy.decide` whenever something happened, with a frozen view of the
connection, and carries out what comes back. The function looks at what is there, not at what
happened before: a decision that came to nothing is simply taken again. An application with other
wishes changes the knobs, or subclasses the policy and decides itself.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from . import _checks, networks
from . import _path_roles as roles
from ._deprecation import renamed_attributes
from ._other_ports import other_ports, unanswered
from ._path_roles import network_of as _network
from ._policy_terms import Candidate as Candidate  # public here, as all that follow
from ._policy_terms import Decision as Decision
from ._policy_terms import PathInfo as PathInfo
from ._policy_terms import PolicyEvent as PolicyEvent
from ._policy_terms import Trigger as Trigger
from ._policy_terms import View as View
from ._protocol.path.state import PathState
from .causes import MigrationCause
from .errors import NoPathReason

if TYPE_CHECKING:
    from .addresses import AddressPair

KINDS: Final = ("ethernet", "wifi", "cellular", "tunnel", "other")
_NEVER: Final = math.inf
_BACK: Final = MigrationCause.NETWORK_BACK
_MINUTE: Final = 60.0
_LOOPBACK: Final = "loopback"
_TUNNEL: Final = "tunnel"
_UNKNOWN: Final = "other"
# A server that goes elsewhere once more is not called back again: it has its own mind.
_MOST_RECALLS: Final = 2
# of another network, while none has answered
_PORTS_OF_A_STANDBY: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPolicy:
    """The knobs of migration (RFC 9000 section 9), and the decisions that follow from them.

    Times are seconds. A PTO is the probe timeout of RFC 9002 section 6.2: about the round trip and
    four times its variation, 1 s before one was measured, and each in a row twice the one before.
    """

    enabled: bool = True
    """False: the connection stays on the path of its handshake; `add_path` and `migrate` raise
    `MigrationNotAllowedError`, and nothing happens by itself."""
    automatic: bool = True
    """False: only the application moves the connection, with `migrate` and `migrate_to`."""
    only_interfaces: Sequence[str] = ()
    """*Only these*: names of the interfaces that may be used, in the order of preference; no other
    is, also not to begin on. Empty: all."""
    interfaces: Sequence[str] = ()
    """*These first*: names of interfaces in the order of preference, before all others. (*Start
    here* is `open_connection(interface=...)`.)"""
    kinds: Sequence[str] = KINDS
    """Kinds of networks; a kind that is missing is not used, also not to begin on, unless an
    interface is named. If nothing else leads to the server, a connection may begin on a network of
    kind `other` all the same, as nobody knows what that is. Another order than the default's comes
    before the metrics of the system's routes, which come before the default's."""
    leave_tunnel: bool = False
    """Whether a connection may leave a tunnel (a VPN) for a network outside it. False: where the
    system sends packets to the server through a tunnel, only tunnels are used, also while there is
    none: the connection waits for it."""
    tunnel_only: bool = False
    """Whether to use nothing but tunnels, also to begin: without one there is no connection. For
    who connects again after a connection in a tunnel was lost (`Connection.in_tunnel`)."""
    metered: bool = True
    """Whether metered networks may be used at all, also to begin, unless the connection is told to
    start there; they come after those that are not."""
    start_interfaces: int | None = None
    """From where to connect at first (RFC 8305). None: from where the system sends packets, and if
    there is no connection after `TransportConfig.attempt_delay`, beside that from every other
    interface that may be used, one after the other, metered ones last; the first to complete the
    handshake stays. 1: only from where the system sends packets. A larger number: from so many
    interfaces in the order of preference, each in its turn from the beginning."""
    move_after: int = 1
    """PTOs without an answer, and with nothing else heard, after which the connection moves to a
    validated standby path before that has answered again. Before, it goes where an answer comes
    from first. Infinity: always so."""
    degraded_after: int = 3
    """PTOs in a row without an answer after which the active path counts as degraded, and the
    connection moves to a path that was asked and has not answered either, if no other has."""
    standby: int = 1
    """How many other paths to keep validated, so that a failover costs no validation."""
    standby_interval: float = 25.0
    """Seconds after which a standby path is challenged again: before a NAT forgets it. Infinity:
    never."""
    metered_standby_interval: float = _NEVER
    """The same on a metered network; infinity: it is validated once."""
    move_back_after: float = 1.0
    """Seconds a better network must have been validated before the connection returns to it. Each
    return within five minutes doubles it, up to 128 s. Infinity: never."""
    switches_per_minute: int = 5
    """How often a minute the connection may leave a path for its silence, so that two bad networks
    cause no flapping."""
    no_path_timeout: float = _NEVER
    """Seconds to wait without any path before `NoPathError`; the idle timeout bounds it anyway.
    Infinity: only that."""
    return_grace: float = 0.3
    """Seconds to wait for the network in use to come back, as after the flap of a tunnel or a new
    lease of its address, where other networks are there, but the server forbids migration or gave
    no connection ID for them: then the end, with `NoPathError`. All that time the health is
    `WAITING`, so who watches it (`trioquic.httpx`, `trioquic fetch`) goes on elsewhere at once."""
    use_preferred_address: bool = True
    """Whether to move to the server's preferred address (RFC 9000 section 9.6), and to ask both
    addresses from a new network (section 9.6.3). False: it is ignored."""
    new_port: bool = True
    """Whether to try another port when the path is silent and there is no other network: a NAT or
    firewall may have forgotten the old one."""
    linger: float = 3.0
    """How long a path that was left is still listened to, in PTOs of that path, so that packets
    that were under way are not lost."""

    def __post_init__(self) -> None:
        _checks.check_fields(self, _ROWS)
        if self.tunnel_only and self.leave_tunnel:
            raise ValueError("tunnel_only and leave_tunnel contradict each other")
        named = (*self.only_interfaces, *self.interfaces)
        if self.tunnel_only and _TUNNEL not in self.kinds and not named:
            raise ValueError("tunnel_only needs 'tunnel' among kinds, or a tunnel that is named")

    def inside(self) -> "MigrationPolicy":
        """The same for who was in a tunnel, and must stay in one (`tunnel_only`)."""
        kinds = self.kinds if _TUNNEL in self.kinds else (*self.kinds, _TUNNEL)
        return replace(self, tunnel_only=True, leave_tunnel=False, kinds=kinds)

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        """What to do. Pure: the same arguments give the same decision. Called after every event,
        and at the time the last decision asked for; it must not block."""
        if not self.enabled or not self.automatic:
            return Decision()
        active = view.active
        gone = tuple(
            path.id
            for path in view.paths
            if not path.usable or roles.is_stale(path) or roles.is_outside(path, view)
        )
        view = replace(view, paths=tuple(p for p in view.paths if not p.outside or p == active))
        if active is None or active.id in gone:
            return self._without_path(view, gone, event, now)
        if active.doubtful:
            return self._doubtful(view, active, now)
        if active.silent_since < _NEVER:
            # Nothing reaches the server, so what is given up brings no new connection ID: only what
            # can be used no more goes, and the others are asked again.
            gone = tuple(path.id for path in view.paths if not path.usable)
            decision = self._silent(view, active, now)
        else:
            decision = self._well(view, active, now)
        return _with_abandoned(decision, gone)

    # -- no path: break before make ----------------------------------------------------------------

    def _without_path(
        self, view: View, gone: tuple[int, ...], event: PolicyEvent, now: float
    ) -> Decision:
        cause, reason = MigrationCause.NETWORK_GONE, f"the active path is gone: {view.lost}"
        ready = [p for p in view.paths if p.id not in gone and p.state is PathState.VALIDATED]
        if ready:
            # Of several ports the one that was in use: to there the server's packets go.
            best = max(ready, key=lambda p: (p.preferred, -p.rank, p.suspended, p.proven_at))
            if best.returned:
                cause, reason = _BACK, ""
            return Decision(abandon=gone, migrate=best.id, cause=cause, reason=reason)
        # What has worked may do so again when its network is back, from the same port only, and
        # while nothing else is proven nothing is gained by giving it up.
        kept = [path.id for path in view.paths if not path.usable and not path.doubtful]
        gone = tuple(number for number in gone if number not in kept)
        suspend = view.active is not None
        returned = [path for path in view.paths if path.returned]
        if returned:
            best = roles.best_returned(returned)
            return Decision(abandon=gone, migrate=best.id, unproven=True, cause=_BACK)
        # Section 9.2 allows to move first; 9.6.2 does not for a new server address.
        ways = [c for c in self._usable(view) if not (c.preferred and view.preferred_pending)]
        asked = roles.may_answer(view, gone, {(c.local, c.remote) for c in self._usable(view)})
        leap = view.migration_allowed and view.spare_ids > 0 and len(ways) > 0
        if not view.answerable and (leap or asked is not None):
            # Section 5.1.1: the server needs an unused ID of ours there, and gets a new one for
            # that of a path which is given up.
            gone += roles.least_hopeful([p for p in view.paths if p.id in kept], ways)
        if asked is not None and not (ways and view.spare_ids and ways[0].rank < asked.rank):
            return Decision(
                abandon=gone,
                suspend=suspend,
                migrate=asked.id,
                unproven=True,
                cause=cause,
                reason=reason,
            )
        if not view.migration_allowed or not view.spare_ids:
            return self._confined(view, gone, now)
        if ways:
            return Decision(abandon=gone, suspend=suspend, leap=ways[0], cause=cause, reason=reason)
        return Decision(abandon=gone, suspend=suspend, wait=True, look_again=view.next_candidate_at)

    # -- a leap into the dark: whatever works is better --------------------------------------------

    def _doubtful(self, view: View, active: PathInfo, now: float) -> Decision:
        """The connection has moved to a path that was not proven, and there is no answer yet."""
        proven = [p for p in view.paths if p.usable and p.state is PathState.VALIDATED]
        if proven:
            best = max(proven, key=lambda path: (path.preferred, -path.rank, path.proven_at))
            return Decision(migrate=best.id, cause=MigrationCause.ANOTHER_ANSWERS)
        returned = [path for path in view.paths if path.returned]
        if returned:
            best = roles.best_returned(returned)
            return Decision(migrate=best.id, unproven=True, cause=_BACK)
        return self._ask_around(view, active, now)

    def _ask_around(self, view: View, active: PathInfo, now: float) -> Decision:
        """Challenge what there is, and open what there may be."""
        idle = [path for path in view.paths if path.usable and not path.probing]
        due = [p for p in idle if p.proven_at < active.silent_since or p.doubtful]
        ripe = [path for path in due if path == active or now >= path.retry_at]
        look_again = min(
            [now + active.pto, view.next_candidate_at, *(p.retry_at for p in due if p not in ripe)]
        )
        chosen = self._some(self._others(view, active), 2)
        proven = any(path.state is PathState.VALIDATED for path in view.paths if path.usable)
        if not chosen and self.new_port and not proven:
            # only networks in use are left: another port there, or another address
            chosen, again = other_ports(view, self._usable(view), now)
            look_again = min(look_again, again)
        if active.doubtful:
            # Section 9.6.3: a leap leads to the original address, and both are asked.
            chosen = self._ways_to_preferred(view, active) + chosen
        return Decision(
            challenge=tuple(path.id for path in ripe),
            probe=chosen[: view.spare_ids],
            wanted=chosen[view.spare_ids :],
            look_again=look_again,
        )

    def _confined(self, view: View, gone: tuple[int, ...], now: float) -> Decision:
        """From the address that is gone alone the server may be reached (section 18.2), or there is
        no connection ID for another one (section 9.5), and from where should one come?"""
        # A path that was leapt to is kept as well: its ID was the last one.
        gone = tuple(n for n in gone if view.active is None or n != view.active.id)
        probing = any(path.usable and path.id not in gone for path in view.paths)
        ways = () if probing or not view.spare_ids else self._some(self._usable(view), 1)
        end, at = None, view.lost_at + self.return_grace
        if not probing and not ways and self._allowed(view):
            # A new connection could go on at once, and this one perhaps never.
            forbidden = not view.migration_allowed
            end = NoPathReason.MIGRATION_FORBIDDEN if forbidden else NoPathReason.NO_CONNECTION_ID
        return Decision(
            abandon=gone,
            probe=ways,
            wait=True,
            give_up=end,
            give_up_at=at,
            look_again=view.next_candidate_at if end is None else min(view.next_candidate_at, at),
        )

    # -- a silent path: ask everywhere, go where an answer comes from ------------------------------

    def _silent(self, view: View, active: PathInfo, now: float) -> Decision:
        target = roles.refuge(view, active, self.move_after)
        if target is not None and len(view.switches) < self.switches_per_minute:
            # Both are asked whether they work: if it is the old one alone, that is the way back.
            doubtful = [path for path in (active, target) if not path.probing]
            return Decision(
                migrate=target.id,
                challenge=tuple(p.id for p in doubtful if p.proven_at < active.silent_since),
                cause=MigrationCause.SILENCE,
                reason=roles.why_left(active),
            )
        if target is None and active.unanswered_ptos >= self.degraded_after and view.answerable:
            ways = {(c.local, c.remote) for c in self._usable(view)}
            deaf = roles.may_hear(view, active, now, ways)
            if deaf is not None and len(view.switches) < self.switches_per_minute:
                return Decision(
                    migrate=deaf.id, unproven=True, cause=MigrationCause.NO_PROBE_ANSWERED
                )
        return self._ask_around(view, active, now)

    # -- all is well: preferred address, standby, better networks ----------------------------------

    def _well(self, view: View, active: PathInfo, now: float) -> Decision:
        preferred = self._preferred(view, active)
        if preferred is not None:
            return preferred
        answer = self._wayward(view, active, now)
        if answer is not None:
            return answer
        better = [
            path
            for path in view.paths
            if path.state is PathState.VALIDATED
            and path.rank < active.rank
            and path.preferred == active.preferred
            and not active.chosen
        ]
        look_again = view.next_candidate_at
        for path in sorted(better, key=lambda path: path.rank):
            ready_at = path.proven_at + self._patience(view, now)
            if now >= ready_at:
                reason = f"a better network is {'back' if path.been else 'there'}"
                return Decision(migrate=path.id, cause=MigrationCause.BETTER_NETWORK, reason=reason)
            look_again = min(look_again, ready_at)
        standbys = roles.standbys_of(view, active)
        home = _network(active.interface, active.local[0])
        elsewhere = [p for p in standbys if _network(p.interface, p.local[0]) != home]
        wanted = 0 if view.recalls >= _MOST_RECALLS else self.standby
        missing = max(0, wanted - len({_network(p.interface, p.local[0]) for p in elsewhere}))
        chosen = self._some(self._others(view, active), missing)
        if not chosen:
            chosen = self._some(self._improvements(view, active), 1)
        useless, again = self._useless(view, active, elsewhere, now)
        look_again = min(look_again, again)
        if self.new_port:
            kept = replace(view, paths=tuple(p for p in view.paths if p.id not in useless))
            ways = unanswered(view, self._usable(view), elsewhere, chosen, wanted)
            more, again = other_ports(kept, ways, now, _PORTS_OF_A_STANDBY)
            chosen, look_again = more or chosen, min(look_again, again)
        if not view.spare_ids:
            chosen = self._ways_to_preferred(view, active) + chosen
        # Of those that are being probed we shall hear.
        settled = [path for path in standbys if not path.probing]
        due = [path for path in settled if now >= self._reprobe_at(path)]
        for path in settled:
            if path not in due:
                look_again = min(look_again, self._reprobe_at(path))
        return Decision(
            abandon=tuple(useless),
            challenge=tuple(path.id for path in due if path.id not in useless),
            probe=chosen[: view.spare_ids],
            # another port beside one that is there is no loss to tell of
            wanted=tuple(c for c in chosen[view.spare_ids :] if not c.new_port),
            look_again=look_again,
        )

    def _useless(
        self, view: View, active: PathInfo, elsewhere: list[PathInfo], now: float
    ) -> tuple[set[int], float]:
        """Standbys that are no use, or harm; and when there may be more of them."""
        standbys = roles.standbys_of(view, active)
        useless = {
            path.id
            for path in standbys
            if roles.is_useless(path, active, standbys, view.answerable, now)
        }
        waiting = [p for p in standbys if p.misled and p.mine and p.id not in useless]
        again = min([roles.answer_due(path, active) for path in waiting], default=_NEVER)
        if view.recalls:
            useless -= {path.id for path in roles.twins_of(view, active)}
            useless |= roles.left_ports(view, active)
        if view.recalls >= _MOST_RECALLS:
            tempting, due = roles.tempting(view, active, elsewhere, now)
            useless |= tempting
            again = min(again, due)
        return useless, again

    def _wayward(self, view: View, active: PathInfo, now: float) -> Decision | None:
        """The server goes where it likes, or did, and can be had back now."""
        strayed = [path for path in view.paths if path.strayed and path != active]
        answer = self._server_moved(view, active, strayed[0], now) if strayed else None
        if answer is None and view.recalls:
            followed = [p for p in roles.twins_of(view, active) if p.state is PathState.VALIDATED]
            if followed:
                return Decision(migrate=followed[0].id, cause=MigrationCause.CALLED_BACK)
        return answer

    def _server_moved(
        self, view: View, active: PathInfo, there: PathInfo, now: float
    ) -> Decision | None:
        """The server has chosen a path itself: go there, or have it come back; None where it does
        so for ever, and neither would help."""
        worse = there.rank > active.rank or bool(there.metered and not active.metered)
        proven = there.usable and there.state is PathState.VALIDATED
        if proven and not worse and not active.chosen:
            followed = sum(1 for at in view.returns if now - at < _MINUTE)
            if followed >= self.switches_per_minute:
                return None
            return Decision(migrate=there.id, cause=MigrationCause.SERVER_MOVED)
        if view.recalls >= _MOST_RECALLS:
            return None
        # A packet that is no probe brings it back (section 9.3), or another port does, where it
        # goes to each path once, when that is new, and stays (picoquic).
        home = _network(active.interface, active.local[0])
        ways = [c for c in self._usable(view) if _network(c.interface, c.local) == home]
        ways = [c for c in ways if c.remote == active.remote and self.new_port and view.spare_ids]
        mine: tuple[int, ...] = ()
        if view.recalls and not ways:
            # It goes wherever a challenge was answered, so none is sent elsewhere any more.
            mine = tuple(p.id for p in view.paths if p.mine and p != active)
        return Decision(recall=True, abandon=mine, probe=tuple(ways[:1]), look_again=now)

    def _preferred(self, view: View, active: PathInfo) -> Decision | None:
        """Section 9.6: validate the preferred address, move there, drop what leads to the old."""
        if not self.use_preferred_address:
            return None
        if not active.preferred:
            home = _network(active.interface, active.local[0])
            reached = [
                path
                for path in view.paths
                if path.preferred and path.state is PathState.VALIDATED
                # the other address of the server is no reason to leave a network that was chosen
                if not active.chosen or _network(path.interface, path.local[0]) == home
            ]
            if reached:
                best = min(reached, key=lambda p: _network(p.interface, p.local[0]) != home)
                return Decision(migrate=best.id, cause=MigrationCause.PREFERRED_ADDRESS)
        if active.preferred:
            old = tuple(path.id for path in view.paths if not path.preferred)
            return Decision(abandon=old) if old else None
        ways = self._ways_to_preferred(view, active)
        return Decision(probe=ways) if ways and view.spare_ids else None

    def _ways_to_preferred(self, view: View, active: PathInfo) -> tuple[Candidate, ...]:
        """The best way to the preferred address from the network in use, while it is not tried."""
        if not self.use_preferred_address or not view.preferred_pending:
            return ()
        if any(path.preferred for path in view.paths):
            return ()
        ways = [c for c in view.candidates if c.preferred and c.local == active.local[0]]
        return tuple(ways[:1])

    # -- pieces ------------------------------------------------------------------------------------

    def _usable(self, view: View) -> list[Candidate]:
        found = self._allowed(view)
        return found if view.migration_allowed else [c for c in found if c.preferred]

    def _allowed(self, view: View) -> list[Candidate]:
        """Those that the user wants, whatever the server does."""
        return [
            candidate
            for candidate in view.candidates
            if self.wants(candidate.interface, candidate.kind, candidate.metered)
        ]

    def wants(self, interface: str | None, kind: str, metered: bool | None) -> bool:
        """Whether a network of this kind may be used; who names an interface knows its kind."""
        return self.why_not(interface, kind, metered) is None

    def why_not(self, interface: str | None, kind: str, metered: bool | None) -> str | None:
        """Which field forbids a network like this, and what for; None if it may be used."""
        if metered and not self.metered:
            return f"metered=False: {interface}"
        if kind in self.kinds or interface in (*self.only_interfaces, *self.interfaces):
            return None
        return f"kinds: {interface} is {kind}"

    def limits(self, interfaces: Iterable[networks.Interface]) -> bool:
        """Whether any of these networks may not be used, so that packets must not go wherever the
        system sends them."""
        return any(
            not self.wants(interface.name, interface.kind, interface.metered)
            for interface in interfaces
            if interface.up and interface.addresses and interface.kind != _LOOPBACK
        )

    def to_begin(self, pairs: "Sequence[AddressPair]") -> "list[AddressPair]":
        """Those that a connection may begin on, in the same order. Systems do not tell what every
        network is: such ones do where nothing else does."""
        wanted = [pair for pair in pairs if self.wants(pair.interface, pair.kind, pair.metered)]
        return wanted or [
            pair for pair in pairs if pair.kind == _UNKNOWN and (self.metered or not pair.metered)
        ]

    def _others(self, view: View, active: PathInfo) -> list[Candidate]:
        """Candidates on networks that no path uses; one each."""
        used = {_network(path.interface, path.local[0]) for path in view.paths if path.usable}
        used.add(_network(active.interface, active.local[0]))
        found: list[Candidate] = []
        for candidate in self._usable(view):
            network = _network(candidate.interface, candidate.local)
            if network not in used and not candidate.new_port:
                found.append(candidate)
        return found

    def _improvements(self, view: View, active: PathInfo) -> list[Candidate]:
        if self.move_back_after == _NEVER or active.chosen:
            return []
        return [c for c in self._others(view, active) if c.rank < active.rank]

    def _some(self, candidates: list[Candidate], networks: int) -> tuple[Candidate, ...]:
        """The first networks' candidates. Section 9.6.3: both server addresses of one network are
        asked at the same time; the preferred one comes first, should there be one ID only."""
        chosen: list[Candidate] = []
        seen: list[tuple[str | None, str | None]] = []
        for candidate in candidates:
            network = _network(candidate.interface, candidate.local)
            if network not in seen:
                if len(seen) == networks:
                    break
                seen.append(network)
            chosen.append(candidate)
        chosen.sort(key=lambda candidate: not candidate.preferred)
        return tuple(chosen)

    def _reprobe_at(self, path: PathInfo) -> float:
        interval = self.metered_standby_interval if path.metered else self.standby_interval
        return path.proven_at + interval

    def _patience(self, view: View, now: float) -> float:
        recent = sum(1 for at in view.returns if now - at < 300.0)
        return min(self.move_back_after * 2.0**recent, max(128.0, self.move_back_after))


def _with_abandoned(decision: Decision, gone: tuple[int, ...]) -> Decision:
    if not gone:
        return decision
    return replace(
        decision,
        abandon=gone + decision.abandon,
        challenge=tuple(number for number in decision.challenge if number not in gone),
    )


_ROWS: Final[_checks.Table] = {
    "enabled": _checks.flag,
    "automatic": _checks.flag,
    "only_interfaces": _checks.names(empty=True),
    "interfaces": _checks.names(empty=True),
    # Without any kind nothing could be used; enabled=False says that, if it is meant.
    "kinds": _checks.names(networks.KINDS, empty=False),
    "leave_tunnel": _checks.flag,
    "tunnel_only": _checks.flag,
    "metered": _checks.flag,
    "start_interfaces": _checks.optional(_checks.whole(1, 256)),
    "move_after": _checks.whole(0, infinite=True),
    "degraded_after": _checks.whole(1, 1 << 16),
    "standby": _checks.whole(0, 256),
    "standby_interval": _checks.number(infinite=True),
    "metered_standby_interval": _checks.number(infinite=True),
    "move_back_after": _checks.number(infinite=True),
    "switches_per_minute": _checks.whole(0),
    "no_path_timeout": _checks.number(infinite=True),
    "return_grace": _checks.number(infinite=True),
    "use_preferred_address": _checks.flag,
    "new_port": _checks.flag,
    "linger": _checks.number(unit="of PTOs"),
}


__getattr__ = renamed_attributes(__name__, {"What": "Trigger"})
