"""What docs/paths.md says of preferred addresses, with ngtcp2's server and real sockets: another
port of the same address, IPv4, IPv6 and both, reached from Wi-Fi, from cellular, and from a
cellular network that has IPv6 only. Wi-Fi goes down or falls silent, before or after that.

`make test` plays some of them, `make series` all. And the application moves, with Wi-Fi up.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.certificates import Certificates
from tests.programs import needs

from .network import Lab, Passage, linkable_ids
from .plan import CELLULAR, PORT, PREFERRED, PREFERRED6, SERVER, WIFI, LinkPlan
from .requirements import LAB
from .trial import STAY, Trial, preferred_address, trial

pytestmark = [*LAB, needs("gtlsserver")]

SIZE: Final = 1_200_000
Address = tuple[str, int]
TARGETS: Final[dict[str, tuple[Address, ...]]] = {
    "other port": ((SERVER, PORT + 1),),
    "IPv4": ((PREFERRED, PORT),),
    "IPv6": ((PREFERRED6, PORT),),
    "both": ((PREFERRED, PORT), (PREFERRED6, PORT)),
}
SHORT: Final = {
    ("other port", False, "down", "before"),
    ("other port", False, "silent", "after"),
    ("IPv6", True, "down", "before"),
    ("both", True, "silent", "after"),
}
"""What `make test` plays."""


def orders() -> Iterator[object]:
    """All of them: what the server prefers, whether cellular has IPv6 alone, how Wi-Fi goes, and
    when, seen from the moment at which the preferred address is reached."""
    for target in TARGETS:
        for six_only in (False, True):
            if six_only and target not in ("IPv6", "both"):
                continue  # nothing of the server's can be reached from there
            for cut in ("down", "silent"):
                for when in ("before", "after"):
                    order = target, six_only, cut, when
                    name = "-".join((target, "IPv6-only" if six_only else "cellular", cut, when))
                    marks = () if order in SHORT else pytest.mark.series
                    yield pytest.param(*order, id=name.replace(" ", "-"), marks=marks)


def where(link: LinkPlan, remote: Address) -> str:
    """A path, as the client tells of it."""
    return f"{link.client6 if ':' in remote[0] else link.client} > {remote[0]}"


async def cut_wifi(here: Trial, cut: str) -> float:
    if cut == "down":
        return await here.lab.down(WIFI.name)
    return await here.lab.silence(WIFI.name)


def carried(passages: list[Passage], link: LinkPlan, remote: Address) -> int:
    """How many bytes the server sent over a link from one of its addresses."""
    return sum(
        p.size
        for p in passages
        if (p.link, p.way, p.fate) == (link.name, "down", "delivered") and p.source == remote
    )


@pytest.mark.parametrize(("target", "six_only", "cut", "when"), list(orders()))
async def test_wifi_goes(
    certs: Certificates, target: str, six_only: bool, cut: str, when: str
) -> None:
    """The download goes on over cellular, from the preferred address of a family that cellular has,
    in preference the one in use; the server's other one carries no more than its beginning."""
    addresses = TARGETS[target]
    # Over Wi-Fi the one of the family in use is selected, over cellular the one that it can reach.
    there = addresses[-1] if six_only else addresses[0]

    async def prepare(lab: Lab) -> None:
        if six_only:
            await lab.lose_address(CELLULAR.name)
        if when == "before":
            for host, port in addresses:
                await lab.tell("block", WIFI.name, host, str(port))

    wish = preferred_address(*addresses)
    # without a standby nobody has asked over cellular before
    policy = {"standby": 0} if when == "before" else {}
    async with trial(
        certs,
        "gtlsserver",
        "download",
        size=SIZE,
        policy=policy,
        wish=wish,
        ipv6=True,
        prepare=prepare,
    ) as here:
        if when == "after":
            result = await here.client.event("PreferredAddressResult")
            assert (result["used"], result["address"]) == (True, list(addresses[0]))
        await here.client.reaches(SIZE // 4)
        at = await cut_wifi(here, cut)
        moved = await here.client.event("Migrated", new=where(CELLULAR, there))
        assert moved["at"] > at
        here.check(await here.client.finish())
        if when == "before":
            [result] = here.client.events("PreferredAddressResult")[-1:]
            assert (result["used"], result["address"]) == (True, list(there))
        passages = await here.lab.passages()
        assert linkable_ids(passages) == {}
        others = {(SERVER, PORT), *addresses} - {there}
        assert carried(passages, CELLULAR, there) > SIZE // 4
        assert sum(carried(passages, CELLULAR, other) for other in others) < SIZE // 4
        if six_only:
            up = [p for p in passages if (p.link, p.way) == (CELLULAR.name, "up")]
            assert {p.destination for p in up} == {there}


@pytest.mark.parametrize(
    ("target", "six_only"), [("other port", False), ("IPv6", True), ("both", False)]
)
async def test_the_application_moves(certs: Certificates, target: str, six_only: bool) -> None:
    """The network in use is up, and the preferred address was reached before: it is the only one
    that there is from then on, also for migrate() to another network."""
    addresses = TARGETS[target]
    there = addresses[-1] if six_only else addresses[0]

    async def prepare(lab: Lab) -> None:
        if six_only:
            await lab.lose_address(CELLULAR.name)

    async with trial(
        certs,
        "gtlsserver",
        "download",
        size=2 * SIZE,
        policy=STAY,
        wish=preferred_address(*addresses),
        ipv6=True,
        prepare=prepare,
    ) as here:
        result = await here.client.event("PreferredAddressResult")
        assert (result["used"], result["address"]) == (True, list(addresses[0]))
        await here.client.reaches(SIZE // 4)
        await here.client.migrate(CELLULAR.name)
        answer = await here.client.until(lambda line: line["what"] in ("moved", "not moved"))
        assert answer["what"] == "moved", answer
        await here.client.event("Migrated", new=where(CELLULAR, there))
        here.check(await here.client.finish())
        passages = await here.lab.passages()
        assert linkable_ids(passages) == {}
        assert carried(passages, CELLULAR, there) > SIZE // 2
        others = {(SERVER, PORT), *addresses} - {there}
        assert sum(carried(passages, CELLULAR, other) for other in others) < SIZE // 4
