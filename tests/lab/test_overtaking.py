"""nginx 1.30 takes a new path only from a packet with the highest number so far. During a download
the ACKs on the faster network overtake the challenges on the slower one, unless they wait.

And it takes its PATH_RESPONSE on the slower one for lost, with too much under way then to challenge
the new path. If the connection moves at once it ends seven seconds later, unless nginx is luckier
with one of two more challenges.
"""

from itertools import cycle, islice

import pytest

from tests.certificates import Certificates
from tests.servers.chroots import needs_chroot
from trioquic import MigrationCause

from .measure import MEGABYTE
from .plan import CELLULAR, WIFI, LinkPlan
from .requirements import LAB
from .trial import SEND_BUFFER, STAY, Client, trial

pytestmark = [*LAB, needs_chroot("sid")]

_BEFORE = 2 * MEGABYTE
# On the slower network nginx sends 64 kB a round trip, so that this takes about ten seconds.
_AFTER = 8 * MEGABYTE
_BETWEEN = 3 * MEGABYTE


@pytest.mark.parametrize("moves", [1, 4])
async def test_a_connection_outlives_planned_moves(certs: Certificates, moves: int) -> None:
    """One worker, so that nothing else stands in the way of a new path. First to the slower
    network, then to and fro, where nginx may leave a challenge without an answer (docs/limits.md):
    then once more."""
    size = _BEFORE + (moves - 1) * _BETWEEN + _AFTER
    transport = {"send_buffer": SEND_BUFFER}
    async with trial(
        certs, "nginx1-sid", "download", size=size, policy=STAY, transport=transport
    ) as here:
        for number, link in enumerate(islice(cycle((CELLULAR, WIFI)), moves)):
            await here.client.reaches(_BEFORE + number * _BETWEEN)
            while not await _moves(here.client, link):
                assert number
            await here.client.event("Migrated", cause=str(MigrationCause.APPLICATION))
        outcome = await here.client.finish()
    here.check(outcome)
    challenged = [path for path in outcome["paths"] if path["responses_sent"]]
    assert CELLULAR.name in {path["interface"] for path in challenged}


async def _moves(client: Client, link: LinkPlan) -> bool:
    """Ask for a planned move; whether it succeeded."""
    await client.migrate(link.name)
    told = await client.until(lambda line: line["what"] in ("moved", "not moved", "done", "failed"))
    assert told["what"] in ("moved", "not moved"), told
    return told["what"] == "moved"
