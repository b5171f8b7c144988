"""An upload over a real interface whose link carries less than the interface sends."""

import pytest

from tests.certificates import Certificates

from .network import Passage
from .plan import WIFI
from .requirements import LAB, SERVERS
from .trial import trial

pytestmark = LAB

MEGABYTE = 1_000_000
HEADERS = 28


def largest(passages: list[Passage]) -> int:
    """The largest datagram of the client's that arrived."""
    return max(p.size for p in passages if (p.way, p.fate) == ("up", "delivered"))


@pytest.mark.parametrize("kind", SERVERS)
async def test_what_the_link_carries_is_found_and_found_again(
    certs: Certificates, kind: str
) -> None:
    """First 1400 bytes, where the interface sends 1500; then, in the middle, 1250."""
    policy = {"automatic": False}
    async with trial(certs, kind, "upload", size=4 * MEGABYTE, policy=policy) as here:
        await here.lab.tell("narrow", WIFI.name, "1400")
        await here.client.reaches(2 * MEGABYTE)
        # nothing is asked of the lab before: a long answer takes as long as the rest of the upload
        at = (await here.lab.tell("narrow", WIFI.name, "1250"))["at"]
        await here.client.reaches(3 * MEGABYTE)
        here.check(await here.client.finish())
        passages = await here.lab.passages()
        assert largest([p for p in passages if p.at < at]) == 1400 - HEADERS
        assert largest([p for p in passages if p.at >= at]) == 1200
        lost = [p for p in passages if (p.way, p.fate) == ("up", "too large") and p.at < at]
        assert {p.size for p in lost} == {1472, 1432, 1392}
        assert len(lost) <= 3 * 3
        assert here.client.events("PathDegraded") == []
