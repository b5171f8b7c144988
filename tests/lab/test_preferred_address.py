"""ngtcp2's server with a preferred address (RFC 9000 section 9.6): reached, missed, or moved to."""

from tests.certificates import Certificates
from tests.programs import needs

from .network import Passage, linkable_ids
from .plan import CELLULAR, PREFERRED, SERVER, WIFI, LinkPlan
from .requirements import LAB
from .trial import preferred_address, trial

pytestmark = [*LAB, needs("gtlsserver")]

MEGABYTE = 1_000_000


def sent(passages: list[Passage], link: LinkPlan, server: str) -> list[Passage]:
    """What the client sent over a link to one of the server's addresses, oldest first."""
    return [
        passage
        for passage in passages
        if passage.way == "up" and passage.link == link.name and passage.destination[0] == server
    ]


def answered(passages: list[Passage], link: LinkPlan, server: str, since: float) -> float:
    """When the first datagram of one of the server's addresses came in over a link."""
    return min(
        passage.arrived
        for passage in passages
        if passage.way == "down"
        and passage.link == link.name
        and passage.source[0] == server
        and passage.arrived > since
    )


async def test_it_is_reached_from_the_same_address(certs: Certificates) -> None:
    wish = preferred_address()
    async with trial(certs, "gtlsserver", "download", size=2 * MEGABYTE, wish=wish) as here:
        there = f"{WIFI.client} > {PREFERRED}"
        await here.client.event("PathValidated", path=there)
        moved = await here.client.event("Migrated", new=there)
        assert moved["old"] == f"{WIFI.client} > {SERVER}"
        assert moved["reason"] == "the server's preferred address"
        result = await here.client.event("PreferredAddressResult")
        assert result["used"]
        outcome = await here.client.finish()
        here.check(outcome)
        validations = [
            path["validations"] for path in outcome["paths"] if path["remote"][0] == PREFERRED
        ]
        assert validations[0] == 1
        passages = await here.lab.passages()
        assert linkable_ids(passages) == {}
        # after a while for what was under way nothing goes to the original address any more
        last = sent(passages, WIFI, SERVER)[-1]
        assert last.at < moved["at"] + 1.0 < sent(passages, WIFI, PREFERRED)[-1].at


async def test_it_cannot_be_reached(certs: Certificates) -> None:
    wish = preferred_address()
    async with trial(certs, "gtlsserver", "hold", wish=wish) as here:
        for link in (WIFI, CELLULAR):
            await here.lab.tell("block", link.name, PREFERRED)
        result = await here.client.event("PreferredAddressResult")
        assert not result["used"]
        assert result["reason"] == "it did not answer"
        assert here.client.events("Migrated") == []
        await here.client.output.say("end")
        outcome = await here.client.finish()
        assert outcome["paths"][0]["remote"][0] == SERVER
        assert outcome["paths"][0]["state"] == "PathState.ACTIVE"
        # only challenges went there, and not many
        assert 0 < len(sent(await here.lab.passages(), WIFI, PREFERRED)) < 10


async def test_from_a_new_address_both_are_asked_at_the_same_time(certs: Certificates) -> None:
    """Section 9.6.3: over Wi-Fi the preferred address does not answer, and while it is still asked
    Wi-Fi goes. Without a standby nothing is known of the other network."""
    wish = preferred_address()
    policy = {"standby": 0}
    async with trial(
        certs, "gtlsserver", "download", size=2 * MEGABYTE, policy=policy, wish=wish
    ) as here:
        await here.lab.tell("block", WIFI.name, PREFERRED)
        await here.client.reaches(MEGABYTE // 2)
        at = await here.lab.down(WIFI.name)
        there = f"{CELLULAR.client} > {PREFERRED}"
        await here.client.event("PathValidated", path=there)
        moved = await here.client.event("Migrated", new=there)
        assert moved["reason"] == "the server's preferred address"
        assert (await here.client.event("PreferredAddressResult"))["used"]
        here.check(await here.client.finish())
        passages = await here.lab.passages()
        assert linkable_ids(passages) == {}
        asked = [sent(passages, CELLULAR, server)[0].at for server in (SERVER, PREFERRED)]
        answers = [answered(passages, CELLULAR, server, at) for server in (SERVER, PREFERRED)]
        # both before either had answered
        assert at < max(asked) < min(answers)


async def test_only_the_original_answers_at_the_new_address(certs: Certificates) -> None:
    wish = preferred_address()
    async with trial(certs, "gtlsserver", "download", size=2 * MEGABYTE, wish=wish) as here:
        for link in (WIFI, CELLULAR):
            await here.lab.tell("block", link.name, PREFERRED)
        await here.client.reaches(MEGABYTE // 2)
        await here.lab.down(WIFI.name)
        await here.client.event("Migrated", new=f"{CELLULAR.client} > {SERVER}")
        here.check(await here.client.finish())
        assert linkable_ids(await here.lab.passages()) == {}
