"""nginx 1.30 takes a new path only from a packet with the highest number so far. During a download
the ACKs on the faster network overtake the challenges on the slower one, unless they wait.
"""

from tests.certificates import Certificates
from tests.servers.chroots import needs_chroot
from trioquic import MigrationCause

from .measure import MEGABYTE
from .plan import CELLULAR
from .requirements import LAB
from .trial import SEND_BUFFER, STAY, trial

pytestmark = [*LAB, needs_chroot("sid")]

_SIZE = 6 * MEGABYTE
_MORE = 200_000


async def test_a_planned_move_to_a_slower_network_during_a_download(certs: Certificates) -> None:
    """One worker, so that nothing else stands in the way of a new path."""
    transport = {"send_buffer": SEND_BUFFER}
    async with trial(
        certs, "nginx1-sid", "download", size=_SIZE, policy=STAY, transport=transport
    ) as here:
        await here.client.reaches(_SIZE // 3)
        await here.client.migrate(CELLULAR.name)
        answer = await here.client.until(lambda line: line["what"] in ("moved", "not moved"))
        assert answer["what"] == "moved", answer
        # Goes on there; whether nginx keeps the connection is another matter, docs/limits.md.
        await here.client.event("Migrated", cause=str(MigrationCause.APPLICATION))
        before = max(line["bytes"] for line in here.client.told if line["what"] == "progress")
        await here.client.reaches(before + _MORE)
