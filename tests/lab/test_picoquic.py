"""A real server that moves by itself: picoquic goes to each path once, when it is new, also where
the client has only probed it."""

from collections import Counter

import pytest

from tests.certificates import Certificates
from tests.servers.picoquic import needs_picoquic

from .measure import MEGABYTE
from .plan import CELLULAR, WIFI
from .requirements import LAB
from .trial import CALM, trial

pytestmark = [*LAB, needs_picoquic()]

_SIZE = 6 * MEGABYTE
# What the server sends to the standby until it is back: it has to be noticed (a PTO), and to be
# asked and answer on another port (two round trips); half a second at 20 Mbit/s.
_HANDFUL = 1000


@pytest.mark.parametrize("metered", [False, True])
async def test_54_its_data_come_back_to_the_active_path(certs: Certificates, metered: bool) -> None:
    """With the default standby. Afterwards the standby is challenged again and again."""
    prices = [CELLULAR.name] if metered else []
    policy = {**CALM, "standby_interval": 0.3, "metered_standby_interval": 0.3}
    async with trial(
        certs, "picoquic", "download", size=_SIZE, policy=policy, metered=prices
    ) as here:
        here.check(await here.client.finish())
        passages = await here.lab.passages()
        assert here.client.events("ServerMoved")
        full = Counter(p.link for p in passages if p.way == "down" and p.size > 1000)
        assert full[CELLULAR.name] < min(_HANDFUL, full[WIFI.name] / 2)
        assert all(move["new"].startswith(WIFI.client) for move in here.client.events("Migrated"))
        last = max(p.at for p in passages if p.link == CELLULAR.name and p.size > 1200)
        asked = [p for p in passages if p.link == CELLULAR.name and p.way == "up" and p.at > last]
        assert asked, "the standby is still challenged, and that does not tempt the server"
