"""Requests through a VPN wait for it: no connection is made beside it."""

import httpx
import pytest
import trio
from trio.testing import MockClock

import trioquic

from .site import simulated_site


@pytest.mark.parametrize("outage", [2.0, 12.0])
async def test_nothing_goes_beside_the_tunnel(autojump_clock: MockClock, outage: float) -> None:
    async with simulated_site() as site:
        world = site.world
        assert world is not None
        world.wifi.metric = world.cellular.metric = 600
        tunnel = world.phone.add_interface("tun0", "10.8.0.2", kind="tunnel", metric=50)
        async with site.client(networks=world.phone) as client:
            assert (await client.get("/bytes/1000")).status_code == 200
            tunnel.down()
            failures = 0
            back = trio.current_time() + outage
            while trio.current_time() < back:
                with pytest.raises(httpx.TransportError):
                    await client.get("/bytes/1000", timeout=1.0)
                failures += 1
                await trio.sleep(0.1)  # it may be refused at once
            tunnel.up()
            assert failures > 0
            assert (await client.get("/bytes/1000")).status_code == 200
        sent = world.record.select(host="phone")
        assert {record.interface for record in sent} == {"tun0"}


async def test_it_is_left_by_who_says_so(autojump_clock: MockClock) -> None:
    policy = trioquic.MigrationPolicy(leave_tunnel=True)
    async with simulated_site() as site:
        world = site.world
        assert world is not None
        world.wifi.metric = world.cellular.metric = 600
        tunnel = world.phone.add_interface("tun0", "10.8.0.2", kind="tunnel", metric=50)
        async with site.client(networks=world.phone, migration=policy) as client:
            assert (await client.get("/bytes/1000")).status_code == 200
            tunnel.down()
            assert (await client.get("/bytes/1000")).status_code == 200
