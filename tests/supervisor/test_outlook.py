"""What is news of the networks, and what is not."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.supervisor.phone import phone
from trioquic._runtime.paths.own_tunnel import Networks
from trioquic._runtime.supervisor.memory import Memory
from trioquic._runtime.supervisor.outlook import Outlook
from trioquic.networks import Interface, Route
from trioquic.policy import PolicyEvent, Trigger

WIFI = Interface(name="wlan0", kind="wifi")
TO_SERVER = Route(remote="198.51.100.1", interface="wlan0", chosen=True)
BEFORE = Networks((WIFI,), (), ("198.51.100.1",))


@pytest.mark.parametrize(
    ("now", "news"),
    [
        (BEFORE, False),
        (BEFORE._replace(interfaces=()), True),
        (BEFORE._replace(routes=(TO_SERVER,)), True),
        # a source that tells of no routes may have heard of one
        (BEFORE._replace(routes=None), True),
        # the server has a preferred address, which is no news of the networks
        (BEFORE._replace(remotes=("198.51.100.1", "198.51.100.2")), False),
    ],
)
def test_what_a_source_tells_is_news_if_something_is_new(now: Networks, news: bool) -> None:
    seen = [BEFORE, now]
    driver: Any = SimpleNamespace()
    reach = SimpleNamespace(networks=lambda servers: seen.pop(0))
    servers = SimpleNamespace(addresses=(("198.51.100.1", 443),))
    paths: Any = SimpleNamespace(reach=reach, servers=servers)
    adder: Any = SimpleNamespace()
    outlook = Outlook(driver, paths, adder, Memory())
    event = PolicyEvent(trigger=Trigger.NETWORKS)
    # the first look has nothing to compare with
    assert [outlook.note(event, 0.0), outlook.note(event, 1.0)] == [False, news]


@pytest.mark.parametrize("event", ["down", "silent", "up"])
async def test_a_second_look_at_the_same_time_shows_the_same(
    autojump_clock: trio.testing.MockClock, event: str
) -> None:
    """What a look notes is noted before the view is made."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        if event == "silent":
            here.world.wifi.link.blackhole()
        else:
            here.world.wifi.down()
        if event == "up":
            await here.until(trioquic.Migrated)
            here.world.wifi.up()
        outlook, now = here.conn._supervisor._outlook, trio.current_time()
        first, second = outlook.view(now), outlook.view(now)
        assert first == second
        assert first.paths
