"""The lab's addresses and links, from the space that RFCs 2544 and 5180 keep for measurements.

A lab is without IPv6, unless it is asked for: it would be in the way of what is counted."""

from dataclasses import dataclass
from typing import Final

SERVER: Final = "198.18.0.1"
PREFERRED: Final = "198.18.0.2"
PREFERRED6: Final = "2001:2::2"
SERVER_ADDRESSES: Final = (SERVER, PREFERRED)
PORT: Final = 4433


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlan:
    """One access link. The device has the same name at both ends."""

    name: str
    client: str
    gateway: str
    client6: str
    gateway6: str
    rtt: float
    megabits: float
    metric: int
    """Of the default route: the lower is what the system prefers."""


WIFI: Final = LinkPlan(
    name="wifi0",
    client="198.19.1.2",
    gateway="198.19.1.1",
    client6="2001:2:0:1::2",
    gateway6="2001:2:0:1::1",
    rtt=0.05,
    megabits=20,
    metric=100,
)
CELLULAR: Final = LinkPlan(
    name="cell0",
    client="198.19.2.2",
    gateway="198.19.2.1",
    client6="2001:2:0:2::2",
    gateway6="2001:2:0:2::1",
    rtt=0.08,
    megabits=20,
    metric=200,
)
LINKS: Final = {plan.name: plan for plan in (WIFI, CELLULAR)}
NOT_TUNNELS: Final = tuple(LINKS)
"""TUN devices stand for these links, and are no VPN (`MigrationPolicy`)."""
NO_VPN: Final = tuple(word for name in NOT_TUNNELS for word in ("--not-tunnel", name))
"""The same for the command line."""


def way_back(plan: LinkPlan) -> str:
    """The default route of a link, which the system drops together with the link."""
    return f"default via {plan.gateway} dev {plan.name} metric {plan.metric}"


def way_back6(plan: LinkPlan) -> str:
    """The same for IPv6."""
    return f"default via {plan.gateway6} dev {plan.name} metric {plan.metric}"
