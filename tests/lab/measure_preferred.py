"""Figures of the server's preferred address (RFC 9000 section 9.6), with ngtcp2's server."""

from math import inf
from typing import Final

from tests.certificates import Certificates

from .measure import ALLOWANCE, MEGABYTE, Figure, Sample, late
from .network import Passage
from .plan import CELLULAR, LINKS, PREFERRED, SERVER, WIFI
from .trial import Line, Trial, preferred_address, trial

# Section 8.2.4: three times the PTO of the initial RTT
_GIVEN_UP_AFTER: Final = 3 * 0.999


def _first_challenge(passages: list[Passage], link: str) -> float:
    """When the first datagram for the preferred address left over a link."""
    return min(
        p.at for p in passages if p.way == "up" and p.link == link and p.destination[0] == PREFERRED
    )


def _validations(here: Trial, moved: Line) -> int:
    """How often the path was validated before it was used."""
    told = here.client.events("PathValidated")
    return sum(1 for e in told if e["path"] == moved["new"] and e["at"] <= moved["at"])


async def same_address(certs: Certificates, kind: str) -> Sample:
    """From the first challenge to the move."""
    wish = preferred_address()
    size = 2 * MEGABYTE
    async with trial(certs, kind, "download", size=size, wish=wish) as here:
        moved = await here.client.event("Migrated", new=f"{WIFI.client} > {PREFERRED}")
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=moved["at"] - _first_challenge(await here.lab.passages(), WIFI.name),
            bound=inf if _validations(here, moved) == 1 else 0.0,
            late=await late(here.lab),
            counts={"validations": _validations(here, moved)},
        )


async def new_address(certs: Certificates, kind: str) -> Sample:
    """Section 9.6.3: Wi-Fi goes before the preferred address was reached. Both addresses are asked
    over cellular; from the loss of Wi-Fi to the move to the preferred one."""
    wish = preferred_address()
    size = 2 * MEGABYTE
    policy = {"standby": 0}
    async with trial(certs, kind, "download", size=size, policy=policy, wish=wish) as here:
        await here.lab.tell("block", WIFI.name, PREFERRED)
        await here.client.reaches(size // 4)
        at = await here.lab.down(WIFI.name)
        moved = await here.client.event("Migrated", new=f"{CELLULAR.client} > {PREFERRED}")
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=moved["at"] - at,
            bound=inf if _validations(here, moved) == 1 else 0.0,
            late=await late(here.lab),
            counts={"validations": _validations(here, moved)},
        )


async def unreachable(certs: Certificates, kind: str) -> Sample:
    """From the first challenge to the end of trying; the connection stays where it is."""
    wish = preferred_address()
    async with trial(certs, kind, "hold", wish=wish) as here:
        for link in LINKS:
            await here.lab.tell("block", link, PREFERRED)
        result = await here.client.event("PreferredAddressResult")
        await here.client.output.say("end")
        outcome = await here.client.finish()
        assert not result["used"]
        assert outcome["paths"][0]["remote"][0] == SERVER, outcome
        return Sample(
            value=result["at"] - _first_challenge(await here.lab.passages(), WIFI.name),
            bound=_GIVEN_UP_AFTER + ALLOWANCE,
            late=await late(here.lab),
            counts={"moves": len(here.client.events("Migrated"))},
        )


_NGTCP2: Final = ("gtlsserver",)
PREFERRED_FIGURES: Final = {
    figure.name: figure
    for figure in (
        Figure(
            name="preferred",
            what="preferred address, from the first challenge to the move",
            bound="one validation",
            measure=same_address,
            servers=_NGTCP2,
        ),
        Figure(
            name="preferred-new",
            what="preferred address from a new network: Wi-Fi down to the move (9.6.3)",
            bound="one validation",
            measure=new_address,
            servers=_NGTCP2,
        ),
        Figure(
            name="preferred-unreachable",
            what="preferred address unreachable: until it is given up, with no move",
            bound="3 initial PTO + 50 ms",
            measure=unreachable,
            servers=_NGTCP2,
        ),
    )
}
