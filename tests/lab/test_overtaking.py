"""nginx 1.30 takes a new path only from a packet with the highest number so far. During a download
the ACKs on the faster network overtake the challenges on the slower one, unless they wait.

And it takes its PATH_RESPONSE on the slower one for lost, with too much under way then to challenge
the new path. If the connection moves at once it ends seven seconds later, unless nginx is luckier
with one of two more challenges.
"""

from tests.certificates import Certificates
from tests.servers.chroots import needs_chroot
from trioquic import MigrationCause

from .measure import MEGABYTE
from .plan import CELLULAR
from .requirements import LAB
from .trial import SEND_BUFFER, STAY, Client, Line, trial

pytestmark = [*LAB, needs_chroot("sid")]

_BEFORE = 2 * MEGABYTE
# On the slower network nginx sends 64 kB a round trip, so that this takes about ten seconds.
_AFTER = 8 * MEGABYTE


async def moved(client: Client) -> Line:
    """What has become of a planned move."""
    await client.migrate(CELLULAR.name)
    return await client.until(lambda line: line["what"] in ("moved", "not moved"))


async def test_a_connection_outlives_a_planned_move(certs: Certificates) -> None:
    """One worker, so that nothing else stands in the way of a new path."""
    size = _BEFORE + _AFTER
    transport = {"send_buffer": SEND_BUFFER}
    async with trial(
        certs, "nginx1-sid", "download", size=size, policy=STAY, transport=transport
    ) as here:
        await here.client.reaches(_BEFORE)
        answer = await moved(here.client)
        if answer["what"] == "not moved":
            # nginx answers nothing while its window is full, as it seldom is for three seconds
            answer = await moved(here.client)
        assert answer["what"] == "moved", answer
        await here.client.event("Migrated", cause=str(MigrationCause.APPLICATION))
        outcome = await here.client.finish()
    here.check(outcome)
    challenged = [path for path in outcome["paths"] if path["responses_sent"]]
    assert CELLULAR.name in {path["interface"] for path in challenged}
