"""What the supervisor remembers of paths and candidates, beside what the core knows of them.

What failed is left alone for a while, twice as long each time; what answers is forgiven. All of it
is bounded: the last ones are remembered.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from math import inf
from typing import Final, TypeVar

from ...policy._roles import Network

_MINUTE: Final = 60.0
_FIVE_MINUTES: Final = 300.0
# A candidate that failed is left alone for a second, then two, four ... up to this.
_FIRST_REST: Final = 1.0
_LONGEST_REST: Final = 64.0
_MOST_DOUBLINGS: Final = 10
# A path is asked again before a NAT forgets its port; the one in use sooner, as all waits for it.
_LONGEST_RETRY: Final = 16.0
_FIRST_RETRY_IN_USE: Final = 0.25
_LONGEST_RETRY_IN_USE: Final = 1.0
# So often the connection may move to a path in vain before its silence is no reason for hope.
_MOST_VISITS: Final = 2
# So many ports in a row may meet somebody who does not know the connection before that counts as a
# failure: of eight workers the right one is met by then, but for one connection in a hundred.
_MOST_PORTS: Final = 32
_MOST_REMEMBERED: Final = 64

# where a path leads from and to: our address, the interface, the server's address
Way = tuple[str, str | None, tuple[str, int]]

K = TypeVar("K")
V = TypeVar("V")


def _doubled(times: int) -> float:
    return 2.0 ** min(times, _MOST_DOUBLINGS)


def _remember(known: dict[K, V], key: K, value: V) -> None:
    """As the last one; the first ones are forgotten when there are many."""
    known.pop(key, None)
    known[key] = value
    while len(known) > _MOST_REMEMBERED:
        del known[next(iter(known))]


class PathNotes:
    """What is remembered of one path. Times are seconds on trio's clock."""

    def __init__(self) -> None:
        self.proven_at = -inf
        # since when it has answered whenever it was asked
        self.works_since = inf
        self.silent_since = inf
        self.silence_ended = -inf
        # its socket found no way out since it last answered
        self.no_way = False
        # its address was among those of an interface, and its interface among those of the source
        self.listed = False
        self.named = False
        # the system had a route to the server there
        self.routed = False
        # the supervisor opened it, and when
        self.by_supervisor = False
        self.opened_at = -inf
        self.way: Way | None = None
        # when to challenge it again, and how often in a row that was in vain
        self.retry_at = -inf
        self._failures = 0
        # its network was gone, and nothing was tried there since
        self.away = False
        # how often the server has begun to send here by itself
        self.server_moves = 0
        # since when it leads beside the tunnel that packets to the server take
        self.outside_since = inf

    def on_opened(self, way: Way | None, now: float) -> None:
        """The supervisor opened it; -inf: it is the path of the handshake."""
        self.by_supervisor = True
        self.opened_at = now
        # or it would have been no candidate; that route may go before anybody looks again
        self.routed |= now > -inf
        if now == -inf:
            self.works_since = now
        self.way = way

    def on_named(self, named: bool) -> None:
        """Whether its interface is among those of the source, by its name."""
        self.named |= named

    def on_listed(self, listed: bool) -> None:
        """Whether its address is among those of an interface."""
        self.listed |= listed

    def on_standing(self, has_route: bool, usable: bool, doubtful: bool) -> None:
        """It is known whether its network is there."""
        self.routed |= has_route
        self.away |= not usable and not doubtful
        if not usable:
            self.works_since = inf

    def on_outside(self, outside: bool, now: float) -> None:
        """Whether it leads beside the tunnel that packets to the server take."""
        # Nothing is lost by staying off a network that was away.
        since = -inf if self.away else now
        self.outside_since = min(self.outside_since, since) if outside else inf

    def on_validated(self, now: float) -> None:
        """It answered a challenge."""
        self.proven_at = now
        self.works_since = min(self.works_since, now)
        self._failures = 0
        self._end_silence(now)

    def on_active(self, now: float) -> None:
        """The connection is here, or hears answers here after silence."""
        self.server_moves = 0
        self._end_silence(now)

    def _end_silence(self, now: float) -> None:
        if self.silent_since < inf:
            self.silence_ended = now
        self.silent_since = inf
        self.no_way = False
        self.away = False

    def on_silent(self, no_way: bool, now: float) -> None:
        """Its probes are not answered, or there is not even a way out."""
        self.silent_since = min(self.silent_since, now)
        self.works_since = inf
        self.no_way |= no_way

    def on_unanswered(self, in_use: bool, now: float) -> None:
        """Its validation failed; `in_use`: it carries the connection."""
        self.away = False
        self.works_since = inf
        first, most = _FIRST_REST, _LONGEST_RETRY
        if in_use:
            first, most = _FIRST_RETRY_IN_USE, _LONGEST_RETRY_IN_USE
        self.retry_at = now + min(first * _doubled(self._failures), most)
        self._failures += 1

    def on_recovered(self, now: float) -> None:
        """It carries the connection, and hears answers after silence."""
        self._failures = 0
        self.works_since = now
        self.on_active(now)

    def on_server_moved(self) -> None:
        """The server sends here by itself."""
        self.server_moves += 1


class Memory:
    """What is remembered of one connection's paths, candidates and moves."""

    def __init__(self) -> None:
        self._notes: defaultdict[int, PathNotes] = defaultdict(PathNotes)
        # candidates that failed: how often, and when they may be tried again
        self._rests: dict[Way, tuple[int, float]] = {}
        # how many ports in a row have met somebody who does not know the connection
        self._misled: dict[Way, int] = {}
        # where that has happened: the silent port may be the server's; and how often the connection
        # has moved there since the server answered
        self._strangers: dict[Way, int] = {}
        # how often the server was called back
        self.called_back = 0
        self._switches: deque[float] = deque(maxlen=_MOST_REMEMBERED)
        self._returns: deque[float] = deque(maxlen=_MOST_REMEMBERED)
        # where the connection was, the last ones
        self._visited: dict[Network, None] = {}
        # since when there is no active path, or it is not usable
        self.lost_at = inf

    # -- paths -------------------------------------------------------------------------------------

    def of(self, path_id: int) -> PathNotes:
        """The notes on a path; new ones for a new path."""
        return self._notes[path_id]

    def keep(self, live: Iterable[int]) -> None:
        """Forget all other paths."""
        for number in self._notes.keys() - set(live):
            del self._notes[number]

    def is_silent(self, path_id: int) -> bool:
        """Whether a path has unanswered probes."""
        return path_id in self._notes and self._notes[path_id].silent_since < inf

    def on_woken(self) -> None:
        """The machine slept: nobody listened, so nothing was silent."""
        for notes in self._notes.values():
            notes.silent_since = inf
            notes.no_way = False

    def on_called_back(self) -> None:
        """The server was called back."""
        self.called_back += 1
        for notes in self._notes.values():
            notes.server_moves = 0

    # -- candidates --------------------------------------------------------------------------------

    def rest(self, way: Way, now: float) -> None:
        """A candidate failed: leave it alone for a while."""
        times, until = self._rests.get(way, (0, -inf))
        if now < until:
            # another port of a try that has failed already
            return
        rest = min(_FIRST_REST * _doubled(times), _LONGEST_REST)
        _remember(self._rests, way, (times + 1, now + rest))

    def rests(self, way: Way, now: float) -> bool:
        """Whether a candidate is to be left alone."""
        return now < self._rests.get(way, (0, -inf))[1]

    def next_try(self, ways: Iterable[Way], now: float) -> float:
        """When the first of these candidates that rest may be tried again; infinity if none."""
        found = [self._rests[way][1] for way in set(ways) if way in self._rests]
        return min([until for until in found if until > now], default=inf)

    def end_rests(self) -> None:
        """What has failed may be tried at once: the path in use falls silent, for instance. How
        often it has failed is not forgotten, so a silence gives one try."""
        self._rests = {way: (times, -inf) for way, (times, _) in self._rests.items()}
        for notes in self._notes.values():
            notes.retry_at = -inf

    def forgive(self) -> None:
        """What failed a moment ago may work now."""
        self.end_rests()
        self._rests.clear()
        self._misled.clear()

    def on_answer(self, way: Way | None) -> None:
        """The server answers there."""
        if way is not None:
            self._misled.pop(way, None)
            if way in self._strangers:
                self._strangers[way] = 0

    def on_visit(self, way: Way | None) -> None:
        """The connection moved there."""
        if way in self._strangers:
            self._strangers[way] += 1

    def on_stranger(self, way: Way, now: float) -> bool:
        """Somebody answers there who does not know the connection: another port is tried, but not
        for ever. Whether it is enough now."""
        _remember(self._misled, way, self.misled(way) + 1)
        _remember(self._strangers, way, self._strangers.get(way, 0))
        if self._misled[way] < _MOST_PORTS:
            return False
        del self._misled[way]
        self.rest(way, now)
        return True

    def misled(self, way: Way) -> int:
        """How many ports in a row have met somebody else there."""
        return self._misled.get(way, 0)

    def is_beside_strangers(self, way: Way | None) -> bool:
        """Whether other ports on a way have met somebody else, and a silent one may yet be heard:
        not where the connection has moved there in vain. Whoever makes all ports silent may send
        anything to some of them."""
        return way in self._strangers and self._strangers[way] < _MOST_VISITS

    # -- moves -------------------------------------------------------------------------------------

    def on_switched(self, now: float) -> None:
        """The connection left a path for its silence."""
        self._switches.append(now)

    def on_returned(self, now: float) -> None:
        """The connection went to a better network."""
        self._returns.append(now)

    def switches(self, now: float) -> tuple[float, ...]:
        """When the connection left paths for their silence, in the last minute."""
        return tuple(at for at in self._switches if now - at < _MINUTE)

    def returns(self, now: float) -> tuple[float, ...]:
        """When it went to a better network, in the last five minutes."""
        return tuple(at for at in self._returns if now - at < _FIVE_MINUTES)

    def on_network(self, network: Network) -> None:
        """The connection is there."""
        _remember(self._visited, network, None)

    def was_on(self, network: Network) -> bool:
        """Whether the connection is there, or was."""
        return network in self._visited

    def on_lost(self, lost: bool, now: float) -> None:
        """Whether the connection is without a usable path."""
        self.lost_at = min(self.lost_at, now) if lost else inf
