"""Both links go: the connection waits, and goes on or ends when it was told to."""

import pytest
import trio

from tests.certificates import Certificates

from .network import linkable_ids
from .plan import CELLULAR, WIFI
from .requirements import LAB, SERVERS
from .trial import CALM, trial

pytestmark = LAB

MEGABYTE = 1_000_000


@pytest.mark.parametrize("kind", SERVERS)
async def test_one_link_returns_after_both_were_gone(certs: Certificates, kind: str) -> None:
    async with trial(certs, kind, "download", size=MEGABYTE, policy=CALM) as here:
        await here.client.reaches(MEGABYTE // 3)
        await here.lab.down(WIFI.name)
        await here.lab.down(CELLULAR.name)
        waiting = await here.client.event("WaitingForPath")
        await trio.sleep(1)
        at = await here.lab.up(CELLULAR.name)
        moved = await here.client.event("Migrated", old=None)
        assert moved["new"].startswith(CELLULAR.client)
        here.check(await here.client.finish())
        passages = await here.lab.passages()
        assert linkable_ids(passages) == {}
        # nothing was sent into the void meanwhile
        assert [p for p in passages if p.way == "up" and waiting["at"] < p.at < at] == []


@pytest.mark.parametrize("kind", SERVERS)
async def test_no_link_returns(certs: Certificates, kind: str) -> None:
    policy = {**CALM, "no_path_timeout": 1.0}
    async with trial(certs, kind, "download", size=MEGABYTE, policy=policy) as here:
        await here.client.reaches(MEGABYTE // 3)
        await here.lab.down(WIFI.name)
        await here.lab.down(CELLULAR.name)
        waiting = await here.client.event("WaitingForPath")
        outcome = await here.client.finish()
        assert outcome["error"] == "NoPathError"
        assert 0.9 < outcome["at"] - waiting["at"] < 2.0
