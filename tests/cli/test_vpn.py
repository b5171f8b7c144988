"""A download through a VPN stays in it, also when its connection is lost and made again."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trioquic
from tests.sim_server import PORT, credentials, pattern
from tests.sim_world import SERVER
from trioquic.cli import probe
from trioquic.cli.connections import Connections
from trioquic.http3.client.settings import Settings
from trioquic.http3.failure import RequestFailedError
from trioquic.http3.url import parse_url

from .test_downloads import SIZE, Memory, web

TUNNEL = "10.8.0.2"


@pytest.mark.parametrize("outage", [1.0, 10.0, 31.5])
async def test_new_connections_stay_in_the_tunnel(autojump_clock: MockClock, outage: float) -> None:
    async with web() as here:
        here.world.wifi.metric = here.world.cellular.metric = 600
        tunnel = here.world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50, rate=5e6)

        async def flap() -> None:
            tunnel.down()
            await trio.sleep(outage)
            tunnel.up()

        async with trio.open_nursery() as nursery:
            sink = Memory(lambda: nursery.start_soon(flap))
            job, _ = await here.fetch("/file", sink)
        assert job.error is None
        assert sink.content == pattern(SIZE)
        sent = here.world.record.select(host="phone")
        assert {record.interface for record in sent} == {"tun0"}


async def test_a_connection_that_was_moved_into_a_tunnel_stays_there(
    autojump_clock: MockClock,
) -> None:
    """It began outside; the VPN came up, and went, while the content came."""
    async with web() as here:
        here.world.wifi.metric = here.world.cellular.metric = 600
        tunnel = here.world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50, rate=2e5)
        here.world.wifi.link.change(rate=4e5)
        tunnel.down()
        gone = 0.0

        async def flap() -> None:
            nonlocal gone
            tunnel.up()
            await trio.sleep(3)
            tunnel.down()
            gone = trio.current_time()
            await trio.sleep(31.5)
            tunnel.up()

        async with trio.open_nursery() as nursery:
            sink = Memory(lambda: nursery.start_soon(flap))
            job, _ = await here.fetch("/file", sink)
        assert job.error is None
        assert sink.content == pattern(SIZE)
        sent = here.world.record.select(host="phone", since=gone)
        assert {record.interface for record in sent} == {"tun0"}


async def test_another_port_of_the_host_is_reached_inside_as_well(
    autojump_clock: MockClock,
) -> None:
    async with web() as here:
        here.world.wifi.metric = here.world.cellular.metric = 600
        tunnel = here.world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50)
        tls = trioquic.TLSConfig(ca_data=credentials().ca_pem)
        connections = Connections(Settings(tls=tls, networks=here.world.phone), print, 0.0)
        with here.world.phone.as_current():
            async with connections.opened():
                answer = await connections.get(parse_url(f"https://{SERVER}:{PORT}/bytes/1"), ())
                assert answer.head.status == 200
                tunnel.down()
                with pytest.raises(RequestFailedError, match="there is no tunnel"):
                    await connections.get(parse_url(f"https://{SERVER}:{PORT + 1}/bytes/1"), ())
    sent = here.world.record.select(host="phone")
    assert {record.interface for record in sent} == {"tun0"}


async def test_it_is_left_by_who_says_so(autojump_clock: MockClock) -> None:
    async with web() as here:
        here.world.wifi.metric = here.world.cellular.metric = 600
        tunnel = here.world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50, rate=5e6)
        sink = Memory(tunnel.down)
        policy = trioquic.MigrationPolicy(leave_tunnel=True)
        job, _ = await here.fetch("/file", sink, migration=policy)
        assert job.error is None
        assert sink.content == pattern(SIZE)


@pytest.mark.parametrize("kind", ["tunnel", "named"])
async def test_check_asks_for_versions_where_it_connected(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Also when the tunnel is gone meanwhile: then it does not ask."""
    examine = probe._examine
    async with web() as here:
        here.world.wifi.metric = here.world.cellular.metric = 600
        tunnel = here.world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50)

        async def examine_and_lose(conn: trioquic.Connection, *args: Any) -> None:
            await conn.wait_handshake_confirmed()
            await examine(conn, *args)
            if kind == "tunnel":
                tunnel.down()

        monkeypatch.setattr(probe, "_examine", examine_and_lose)
        with here.world.phone.as_current():
            found = await probe.check_server(
                SERVER,
                PORT,
                alpn=["h3"],
                tls=trioquic.TLSConfig(ca_data=credentials().ca_pem),
                patience=5.0,
                interfaces=["wwan0"] if kind == "named" else [],
            )
        assert found.connected
        assert found.versions == (None if kind == "tunnel" else (1, 0x6B3343CF))
        sent = here.world.record.select(host="phone")
        assert {record.interface for record in sent} == {"tun0" if kind == "tunnel" else "wwan0"}
