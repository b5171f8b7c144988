"""Requests through a VPN wait for it: no connection is made beside it."""

import httpx
import pytest
import trio
from trio.testing import MockClock

import trioquic
from tests.sim_world import World
from trioquic.testing import Interface

from .site import Site, pool_of, simulated_site
from .test_discovery import Around, options, way
from .test_void import lose_everything

IDLE = trioquic.TransportConfig().idle_timeout


def connect_vpn(site: Site, line: bool = False) -> tuple[World, Interface]:
    """The system sends packets through a tunnel, which may run over a DSL `line` that is one, too.
    Returns the world and the tunnel."""
    world = site.world
    assert world is not None
    world.wifi.metric = world.cellular.metric = 600
    if line:
        world.phone.add_interface("ppp0", "203.0.113.9", kind="tunnel", metric=100)
    return world, world.phone.add_interface("tun0", "10.8.0.2", kind="tunnel", metric=50)


@pytest.mark.parametrize("line", [False, True])
@pytest.mark.parametrize("outage", [2.0, 12.0, 100.0])
async def test_nothing_goes_beside_the_tunnel(
    autojump_clock: MockClock, outage: float, line: bool
) -> None:
    """Nor over the DSL `line` that it runs over, which is a tunnel, too."""
    async with simulated_site() as site:
        world, tunnel = connect_vpn(site, line)
        async with site.client(networks=world.phone) as client:
            assert (await client.get("/bytes/1000")).status_code == 200
            tunnel.down()
            failures = 0
            back = trio.current_time() + outage
            while trio.current_time() < back:
                with pytest.raises(httpx.TransportError) as caught:
                    await client.get("/bytes/1000", timeout=1.0)
                failures += 1
                await trio.sleep(max(0.5, outage / 20))  # it may be refused at once
            # who waits for a response that may still come waits for it
            assert isinstance(caught.value, httpx.ConnectError) or outage < IDLE
            assert "there is no tunnel" in str(caught.value) or outage < IDLE
            tunnel.up()
            assert failures > 0
            assert (await client.get("/bytes/1000")).status_code == 200
        sent = world.record.select(host="phone")
        assert {record.interface for record in sent} == {"tun0"}


@pytest.mark.parametrize("line", [False, True])
async def test_the_fallback_goes_through_the_tunnel_or_not_at_all(
    autojump_clock: MockClock, line: bool
) -> None:
    """Also when the connection that was in the tunnel has been given up."""
    around = Around()
    async with simulated_site() as site:
        world, tunnel = connect_vpn(site, line)
        async with site.client(**options(around, site)) as client:
            assert await way(client) == "HTTP/3"
            tunnel.down()
            back = trio.current_time() + 100
            while trio.current_time() < back:
                with pytest.raises(httpx.TransportError) as caught:
                    await client.get("/bytes/1000", timeout=1.0)
                await trio.sleep(5)
            assert around.times == []
            assert "no tunnel" in str(caught.value)
            tunnel.up()
            tunnel.link.blackhole()
            lose_everything(site)
            assert await way(client) == "around"
        sent = world.record.select(host="phone")
        assert {record.interface for record in sent} == {"tun0"}


async def test_a_url_without_https_leads_through_the_tunnel_or_nowhere(
    autojump_clock: MockClock,
) -> None:
    """HTTP/3 has no part in it, so only the way around can see that the tunnel is gone."""
    around = Around()
    async with simulated_site() as site:
        _, tunnel = connect_vpn(site)
        async with site.client(**options(around, site)) as client:
            assert await way(client) == "HTTP/3"
            url = str(client.base_url.copy_with(scheme="http", port=None))
            tunnel.down()
            with pytest.raises(httpx.ConnectError, match="the tunnel to"):
                await client.get(url)
            assert around.times == []
            tunnel.up()
            assert await way(client, url) == "around"


async def test_it_is_left_by_who_says_so(autojump_clock: MockClock) -> None:
    policy = trioquic.MigrationPolicy(leave_tunnel=True)
    async with simulated_site() as site:
        world, tunnel = connect_vpn(site)
        async with site.client(networks=world.phone, migration=policy) as client:
            assert (await client.get("/bytes/1000")).status_code == 200
            tunnel.down()
            assert (await client.get("/bytes/1000")).status_code == 200


async def test_early_data_stays_in_the_tunnel_as_well(autojump_clock: MockClock) -> None:
    """It goes to where the server was the last time."""
    sessions = trioquic.MemorySessions(across_networks=True)
    async with simulated_site(session_tickets=True) as site:
        world, tunnel = connect_vpn(site)
        limits = httpx.Limits(keepalive_expiry=1)
        options = {"sessions": sessions, "early_data": True, "limits": limits}
        async with site.client(networks=world.phone, **options) as client:
            assert (await client.get("/bytes/1000")).status_code == 200
            await trio.sleep(3)
            assert pool_of(client).connections == ()
            tunnel.down()
            with pytest.raises(httpx.ConnectError, match="there is no tunnel"):
                await client.get("/bytes/1000", timeout=1.0)
            tunnel.up()
            response = await client.get("/bytes/1000")
            assert response.extensions["trioquic_connection"].early_data.name == "ACCEPTED"
        sent = world.record.select(host="phone")
        assert {record.interface for record in sent} == {"tun0"}
