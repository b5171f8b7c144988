"""One link goes, comes back, or is left on purpose, in the middle of an exchange."""

from collections import Counter

import pytest
import trio

from tests.certificates import Certificates

from .network import Lab, linkable_ids
from .plan import CELLULAR, SERVER, WIFI
from .requirements import LAB, SERVERS
from .trial import CALM, STAY, Trial, to_and_fro, trial

pytestmark = LAB

# aioquic's server takes a second for half of it, gtlsserver a fifth of that.
SIZES = {"aioquic": 1_500_000, "gtlsserver": 4_000_000}
# Twenty handovers take so long.
LONG = {"aioquic": 5_000_000, "gtlsserver": 40_000_000}
ON_WIFI = f"{WIFI.client} > {SERVER}"
ON_CELLULAR = f"{CELLULAR.client} > {SERVER}"
LOSSES = {"interface down": Lab.down, "address lost": Lab.lose_address, "silence": Lab.silence}
RETURNS = {
    "interface": (Lab.down, Lab.up),
    "address": (Lab.lose_address, Lab.regain_address),
}


async def finish(here: Trial) -> None:
    """The exchange ends well, and nobody who watches both links can tell that it is one client."""
    here.check(await here.client.finish())
    assert linkable_ids(await here.lab.passages()) == {}


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("how", LOSSES)
async def test_a_download_outlives_its_link(certs: Certificates, kind: str, how: str) -> None:
    policy = {} if how == "silence" else CALM
    async with trial(certs, kind, "download", size=SIZES[kind], policy=policy) as here:
        await here.client.reaches(SIZES[kind] // 3)
        at = await LOSSES[how](here.lab, WIFI.name)
        moved = await here.client.event("Migrated", new=ON_CELLULAR)
        assert moved["at"] > at
        if how == "silence":
            assert moved["old"] == ON_WIFI
            assert "no answer" in moved["reason"]
        else:
            assert "the active path is gone" in moved["reason"]
        await finish(here)
        # once the server knew, all came in over the other link, but for challenges on the old path
        # that a server sends to find out whether somebody else has moved us (section 9.3.3)
        known = moved["at"] + 2 * CELLULAR.rtt
        answers = [p for p in await here.lab.passages() if p.way == "down" and p.at > known]
        links = Counter(p.link for p in answers if p.fate == "delivered")
        assert links[CELLULAR.name] > 20 * links[WIFI.name]


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("what", ["interface", pytest.param("address", marks=pytest.mark.series)])
async def test_the_connection_returns_to_the_better_network(
    certs: Certificates, kind: str, what: str
) -> None:
    lose, regain = RETURNS[what]
    policy = {**CALM, "move_back_after": 0.3}
    async with trial(certs, kind, "download", size=2 * SIZES[kind], policy=policy) as here:
        await here.client.reaches(SIZES[kind] // 4)
        await lose(here.lab, WIFI.name)
        await here.client.event("Migrated", new=ON_CELLULAR)
        at = await regain(here.lab, WIFI.name)
        validated = await here.client.event("PathValidated", path=ON_WIFI)
        moved = await here.client.event("Migrated", old=ON_CELLULAR, new=ON_WIFI)
        assert at < validated["at"] < moved["at"]
        assert moved["at"] - validated["at"] > 0.25
        assert moved["reason"] == "a better network is back"
        await finish(here)


@pytest.mark.parametrize("kind", SERVERS)
async def test_an_upload_outlives_a_silent_death(certs: Certificates, kind: str) -> None:
    async with trial(certs, kind, "upload", size=3_000_000) as here:
        await here.client.reaches(1_000_000)
        await here.lab.silence(WIFI.name)
        moved = await here.client.event("Migrated", old=ON_WIFI, new=ON_CELLULAR)
        assert "no answer" in moved["reason"]
        await finish(here)


async def test_a_waiting_request_outlives_a_silent_death(certs: Certificates) -> None:
    """The client has nothing in flight and the server nothing to say when the link dies."""
    async with trial(certs, "aioquic", "wait", size=1000, seconds=1.5) as here:
        asked = await here.client.line("asked")
        await trio.sleep(0.5)
        await here.lab.silence(WIFI.name)
        await here.client.event("Migrated", old=ON_WIFI, new=ON_CELLULAR)
        outcome = await here.client.finish()
        here.check(outcome)
        assert outcome["first"] - asked["at"] < 1.5 + 2.0
        assert linkable_ids(await here.lab.passages()) == {}


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_planned_move_loses_nothing(certs: Certificates, kind: str) -> None:
    async with trial(certs, kind, "download", size=SIZES[kind], policy=STAY) as here:
        await here.client.reaches(SIZES[kind] // 3)
        await here.client.migrate(CELLULAR.name)
        moved = await here.client.event("Migrated", old=ON_WIFI, new=ON_CELLULAR)
        assert moved["reason"] == "requested by the application"
        validated = here.client.events("PathValidated")
        assert ON_CELLULAR in [event["path"] for event in validated]
        await finish(here)
        assert here.client.events("PathDegraded") == []


# each takes ten seconds, and the real one shows more
@pytest.mark.parametrize("kind", [pytest.param("aioquic", marks=pytest.mark.series), SERVERS[1]])
async def test_twenty_handovers_to_and_fro(certs: Certificates, kind: str) -> None:
    async with trial(certs, kind, "download", size=LONG[kind], policy=STAY, settle=True) as here:
        connected = await here.client.line("connected")
        await to_and_fro(here, 20)
        outcome = await here.client.finish()
        here.check(outcome)
        assert len(here.client.events("Migrated")) == 20
        assert here.client.events("MigrationRefused") == []
        # every connection ID is in use or spare again, and no path was forgotten
        assert outcome["ids"] == connected["ids"]
        now = outcome["statistics"]
        assert now["retiring_peer_ids"] == now["path_events_dropped"] == 0
        # the active path, the standby, and what was the standby before the last move by hand
        assert len(now["paths"]) <= 3
        assert linkable_ids(await here.lab.passages()) == {}
