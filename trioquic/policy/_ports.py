"""When to try another port on a network that is in use already.

A server with several workers may find a connection by the four-tuple that its packets come from,
and then a new port reaches a worker that does not know it: nothing answers there, however often it
is asked, or a stateless reset does. A NAT or firewall may have forgotten a port in the same way.
Another port is another chance, and each costs a connection ID.

While something comes in that is not ours (a path is *misled*), the network works and somebody else
answers, so the number of ports that are tried is doubled at once. Nobody vouches for that sign, so
the port is kept until the server would have answered there. Without such a sign the network itself
may be dead: a few ports follow each other quickly, as attempts to connect do (RFC 8305 section 5),
and then one a second as long as IDs last.

Nor are there ever more ports in question than the server has connection IDs of ours to answer with.
nginx takes two, and a second probe that it understands makes it forget the path of the first; with
no ID left then it drops all that comes from either.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

from .._protocol.path.state import PathState
from .._protocol.path.table import MOST_PATHS
from ._roles import answers, may_be_heard, network_of, on_network
from ._views import Candidate, PathInfo, View

# Seconds for an answer before another port is tried beside the first ones, and the later ones
_SOON: Final = 0.25
_LATER: Final = 1.0
_FIRST_ONES: Final = 3
# So many more ports than else are in question where somebody else answers on some
_BESIDE_MISLED: Final = 2


def other_ports(
    view: View, candidates: Sequence[Candidate], now: float, most: int = MOST_PATHS
) -> tuple[tuple[Candidate, ...], float]:
    """Candidates on networks where nothing that was asked has answered, for at most `most` ports on
    each; and when to look again."""
    chosen: list[Candidate] = []
    look_again = inf
    few = view.answerable <= 1
    probed = [path for path in view.paths if path.state is PathState.PROBING]
    asking = {p.id: until for p in probed if now < (until := _patient_until(p, few))}
    room = min(MOST_PATHS - len(view.paths), max(1, view.answerable) - len(asking))
    for network in dict.fromkeys(network_of(c) for c in candidates):
        asked = on_network(view, network)
        if view.active in asked and asking.keys() - {path.id for path in asked}:
            # Another network is being asked, which is better than another port on this one.
            look_again = min([look_again, *asking.values()])
            continue
        # Where somebody else has answered, the server's own answer may still come.
        room_there = most + min(_BESIDE_MISLED, sum(path.misled for path in asked)) - len(asked)
        if any(answers(path) for path in asked) or room_there <= 0:
            continue
        until = max(
            (_patient_until(p, few or len(asked) > _FIRST_ONES) for p in asked), default=-inf
        )
        if now < until:
            look_again = min(look_again, until)
            continue
        ways = [c for c in candidates if network_of(c) == network]
        strangers = sum(path.misled for path in asked) + max(c.misled for c in ways)
        chosen += ways * max(1, min(strangers, room_there // len(ways)))
    if len(chosen) > room:
        look_again = min([look_again, *asking.values()])
    return tuple(chosen[: max(0, room)]), look_again


def unanswered(
    view: View,
    candidates: Sequence[Candidate],
    elsewhere: Sequence[PathInfo],
    chosen: Sequence[Candidate],
    standbys: int,
) -> list[Candidate]:
    """Candidates on the networks of standbys that have not answered, or where ports have met
    somebody else, while there are fewer standbys than there should be."""
    proven = {network_of(path) for path in elsewhere if path.state is PathState.VALIDATED}
    if len(proven) >= max(1, standbys) or view.called_back > 1:
        return []
    networks = {network_of(path) for path in elsewhere if path.opened_by_supervisor}
    networks |= {network_of(c) for c in chosen if c.misled}
    networks -= {network_of(path) for path in elsewhere if may_be_heard(path)}
    return [c for c in candidates if network_of(c) in networks]


def _patient_until(path: PathInfo, patient: bool) -> float:
    """Until when an answer may well come on a path."""
    return -inf if path.misled else path.opened_at + (_LATER if patient else _SOON)
