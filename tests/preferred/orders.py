"""All orders of events around the server's preferred address (RFC 9000 sections 9.6 and 9.6.3).

A phone has made its connection over Wi-Fi and IPv4, and has a cellular network beside that. Each
order is one value of each of five dimensions; `rules.py` says how it must end, `world.py` makes it
happen, and `test_orders.py` compares.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Active(Enum):
    """What becomes of the path in use."""

    UP = "up"
    SILENT = "silent"
    DOWN = "down"


class Preferred(Enum):
    """What has become of the preferred address until then; the last three are pending."""

    PENDING = "pending"
    PROBING = "probing"
    REACHED = "reached"
    FAILED = "failed"
    OTHER_FAMILY = "of the other family"
    OTHER_PORT = "on another port"
    OUT_OF_REACH = "of a family that neither network has"


class Migration(Enum):
    """Whether the server sent disable_active_migration."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"


class Mover(Enum):
    """Who moves the connection: `migrate(interface=...)` alone, or the supervisor alone."""

    APPLICATION = "application"
    SUPERVISOR = "supervisor"


class Ids(Enum):
    """How many connection IDs the server gives beside that of the handshake. It replaces those that
    are retired, as section 5.1.1 advises."""

    ONE = 1
    TWO = 2
    MANY = 7


@dataclass(frozen=True, slots=True)
class Order:
    """One cell of the table."""

    active: Active
    preferred: Preferred
    migration: Migration
    mover: Mover
    ids: Ids

    def __str__(self) -> str:
        names = (getattr(self, dimension).name for dimension in self.__slots__)
        return "-".join(name.lower().replace("_", "") for name in names)


def _combined(preferred: Iterable[Preferred]) -> tuple[Order, ...]:
    values = itertools.product(Active, preferred, Migration, Mover, Ids)
    return tuple(Order(*some) for some in values)


BESIDE: Final = _combined([Preferred.OUT_OF_REACH])
"""Where what the server prefers helps nobody."""
ORDERS: Final = _combined(p for p in Preferred if p is not Preferred.OUT_OF_REACH)
"""All others."""


def is_sampled(order: Order) -> bool:
    """Whether it is of the third that the suite runs: each combination of four values is there, and
    with each number of IDs every pair of the others."""
    places = [list(type(value)).index(value) for value in values_of(order)]
    return sum(places) % len(Ids) == 0


def values_of(order: Order) -> tuple[Enum, ...]:
    """Its value of each dimension."""
    return tuple(getattr(order, dimension) for dimension in Order.__slots__)
