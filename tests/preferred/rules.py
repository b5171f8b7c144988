"""How an order must end, by the sentences of RFC 9000 and nothing else.

Nothing here looks at the library. Where the RFC leaves a choice (rules I and L) the docs say what
was chosen and why (docs/paths.md).
"""

from dataclasses import dataclass
from enum import Enum

from tests.preferred.orders import Active, Migration, Mover, Order, Preferred


class Server(Enum):
    """An address of the server."""

    ORIGINAL = "original"
    PREFERRED = "preferred"


class Rule(Enum):
    """Section, words of the RFC, and what they decide here."""

    A = ("9.6.1", "SHOULD select one of the two addresses", "the network in use asks it")
    B = (
        "9.6.1",
        "sending all future packets to the new server address",
        "the original address is left for good",
    )
    C = (
        "9.6.1",
        "MUST continue sending all future packets to the server's original IP address",
        "a preferred address that has failed is not asked again",
    )
    D = (
        "9.6.1",
        "the one most suited to their network attachment",
        "an address that a network cannot reach is not asked from there",
    )
    E = (
        "9.6.3",
        "both the original and preferred server address from the client's new address",
        "the new network asks both at the same time",
    )
    F = (
        "9.6.3",
        "MUST abandon validation of the original address",
        "the preferred address wins when it answers",
    )
    G = (
        "9.6.3",
        "continue sending to the server's original address",
        "that is used where the preferred one has failed",
    )
    H = (
        "9.6.3",
        "SHOULD use a preferred address from the same address family",
        "the new network asks what it can reach",
    )
    I = (  # noqa: E741 - one letter a rule
        "9.2",
        "by sending packets containing non-probing frames from that address",
        "what was on a network that is gone goes on at the original address at once",
    )
    J = (
        "9",
        "MUST NOT send packets (including probing packets",
        "where migration is forbidden the new network does not ask the original address",
    )
    K = (
        "9.5",
        "exhausts available connection IDs cannot probe new paths",
        "a probe over Wi-Fi holds an ID; the last one is for the preferred address (or see I)",
    )
    L = (
        "9",
        "MAY wait for a new path to become available",
        "what is silent is waited for, what is gone for a moment only",
    )

    @property
    def section(self) -> str:
        return self.value[0]

    @property
    def words(self) -> str:
        return self.value[1]

    @property
    def decides(self) -> str:
        return self.value[2]


class End(Enum):
    """What ends the wish to move."""

    NONE = ""
    STAYS = "silence"
    NO_PATH_FORBIDDEN = "NoPathError: migration is forbidden"
    NO_PATH_NO_ID = "NoPathError: no connection ID"
    REFUSED_FORBIDDEN = "MigrationNotAllowedError: the server forbids it"
    REFUSED_NO_ID = "MigrationNotAllowedError: no connection ID"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the connection is in the end: on which network, at which address of the server."""

    network: str
    server: Server | None
    asked: frozenset[Server] | None
    """Where anything was sent to over cellular since the event; None: the RFC does not say."""
    end: End = End.NONE

    def __str__(self) -> str:
        if self.server is None:
            return self.end.value
        place = f"{self.server.value} over {self.network}"
        return f"{place}, {self.end.value}" if self.end.value else place


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    rules: tuple[Rule, ...]


WIFI, CELLULAR = "Wi-Fi", "cellular"


def verdict(order: Order) -> Verdict:
    """What the RFC says of this order."""
    if order.mover is Mover.SUPERVISOR and order.active is Active.UP:
        return _at_home(order)
    return _elsewhere(order)


def _at_home(order: Order) -> Verdict:
    """Nothing happens to Wi-Fi, which is the better network: the connection stays there."""
    server, rules = {
        Preferred.PENDING: (Server.PREFERRED, (Rule.A, Rule.B)),
        Preferred.PROBING: (Server.PREFERRED, (Rule.A, Rule.B)),
        Preferred.OTHER_PORT: (Server.PREFERRED, (Rule.A, Rule.B)),
        Preferred.REACHED: (Server.PREFERRED, (Rule.B,)),
        Preferred.FAILED: (Server.ORIGINAL, (Rule.C,)),
        Preferred.OTHER_FAMILY: (Server.ORIGINAL, (Rule.D,)),
        Preferred.OUT_OF_REACH: (Server.ORIGINAL, (Rule.D,)),
    }[order.preferred]
    # what stands by over cellular meanwhile is a matter of policy
    return Verdict(Outcome(WIFI, server, None), rules)


def _elsewhere(order: Order) -> Verdict:
    """The connection is to go to cellular."""
    rules: list[Rule] = []
    servers = _permitted(order, rules)
    # The server has replaced the IDs of paths that were given up while it could hear of that.
    free = order.ids.value - (order.preferred is Preferred.PROBING)
    if not servers or not free:
        return _nowhere(
            order, [*rules, *([] if servers else [Rule.J]), *([] if free else [Rule.K])]
        )
    asked = servers[:free]
    if len(servers) > 1:
        if order.mover is Mover.SUPERVISOR and order.active is Active.DOWN:
            rules.append(Rule.I)
            # from there on the server hears which IDs are of no use any more
            asked = servers
        if free < len(servers):
            rules.append(Rule.K)
        else:
            rules.append(Rule.E)
    rules.append(Rule.F if Server.PREFERRED in asked else Rule.G)
    return Verdict(Outcome(CELLULAR, asked[0], frozenset(asked)), tuple(dict.fromkeys(rules)))


def _permitted(order: Order, rules: list[Rule]) -> tuple[Server, ...]:
    """The addresses that may be asked from cellular, the first one first; and why no others."""
    preferred = original = True
    if order.preferred is Preferred.FAILED:
        preferred = False
        rules.append(Rule.C)
    if order.preferred is Preferred.OUT_OF_REACH:
        preferred = False
        rules.append(Rule.D)
    if order.preferred is Preferred.REACHED:
        # "acted on a preferred_address": what was forbidden is not any more, and not needed
        original = False
        rules.append(Rule.B)
    elif order.preferred is Preferred.OTHER_FAMILY:
        original = False
        rules.append(Rule.H)
    elif order.migration is Migration.FORBIDDEN:
        original = False
        rules.append(Rule.J)
    return (Server.PREFERRED,) * preferred + (Server.ORIGINAL,) * original


def _nowhere(order: Order, rules: list[Rule]) -> Verdict:
    """There is no way from cellular."""
    lacks_id = Rule.K in rules
    nothing: frozenset[Server] = frozenset()
    if order.mover is Mover.APPLICATION:
        end = End.REFUSED_NO_ID if lacks_id else End.REFUSED_FORBIDDEN
        outcome = Outcome(WIFI, Server.ORIGINAL, nothing, end)
    elif order.active is Active.SILENT:
        outcome = Outcome(WIFI, Server.ORIGINAL, nothing, End.STAYS)
        rules.append(Rule.L)
    else:
        end = End.NO_PATH_NO_ID if lacks_id else End.NO_PATH_FORBIDDEN
        outcome = Outcome(WIFI, None, nothing, end)
        rules.append(Rule.L)
    return Verdict(outcome, tuple(dict.fromkeys(rules)))
