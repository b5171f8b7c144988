"""Address translation: mapping, filtering, expiry and rebinding."""

import pytest
import trio
import trio.testing

from tests.testing.udp import CLIENT, PORT, SERVER, bound, connected, pair
from trioquic.testing import Fate, Nat, SimulatedNetwork

Clock = trio.testing.MockClock
OUTSIDE = "203.0.113.77"


async def test_the_server_sees_the_outside_and_answers_reach_the_inside(
    autojump_clock: Clock,
) -> None:
    nat = Nat(OUTSIDE)
    async with pair(nat=nat, link={"delay": 0.01}) as p:
        await p.here.send(b"ping")
        _, source = await p.there.recvfrom(10)
        assert source[0] == OUTSIDE
        assert nat.mappings == {p.here.getsockname(): source}
        await p.there.sendto(b"pong", source)
        assert await p.here.recv(10) == b"pong"


async def test_rebinding_changes_the_port_and_closes_the_old_one(autojump_clock: Clock) -> None:
    nat = Nat(OUTSIDE)
    async with pair(nat=nat, link={}) as p:
        await p.here.send(b"1")
        _, before = await p.there.recvfrom(10)
        nat.rebind()
        await p.there.sendto(b"lost", before)
        assert p.net.undeliverable == {Fate.NO_MAPPING: 1}
        await p.here.send(b"2")
        _, after = await p.there.recvfrom(10)
        assert before[0] == after[0] == OUTSIDE and before[1] != after[1]
        await p.there.sendto(b"found", after)
        assert await p.here.recv(10) == b"found"


async def test_rebinding_may_change_the_address(autojump_clock: Clock) -> None:
    nat = Nat(OUTSIDE)
    async with pair(nat=nat, link={}) as p:
        await p.here.send(b"1")
        _, before = await p.there.recvfrom(10)
        nat.rebind("203.0.113.78")
        await p.there.sendto(b"lost", before)
        await p.here.send(b"2")
        _, after = await p.there.recvfrom(10)
        assert after[0] == nat.outside == "203.0.113.78"
        assert p.net.undeliverable == {Fate.NO_ROUTE: 1}
        with pytest.raises(ValueError, match="belongs to"):
            nat.rebind(SERVER)
        with pytest.raises(ValueError, match="family"):
            nat.rebind("2001:db8::1")


async def test_an_unused_mapping_expires(autojump_clock: Clock) -> None:
    nat = Nat(OUTSIDE, timeout=30.0)
    async with pair(nat=nat, link={}) as p:
        ports = []
        for pause in (29.0, 29.0, 31.0, 0.0):
            await p.here.send(b"x")
            ports.append((await p.there.recvfrom(10))[1][1])
            await trio.sleep(pause)
        assert ports[0] == ports[1] == ports[2] != ports[3]


@pytest.mark.parametrize("filtering", [True, False])
async def test_strangers_are_kept_out(autojump_clock: Clock, filtering: bool) -> None:
    async with pair(nat=Nat(OUTSIDE, filtering=filtering), link={}) as p:
        inside = await bound(p.client, CLIENT, 7000)
        await inside.sendto(b"hello", (SERVER, PORT))
        _, source = await p.there.recvfrom(10)
        with inside, await connected(p.server, *source) as stranger:
            await stranger.send(b"let me in")
            assert inside.is_readable() is not filtering


async def test_two_hosts_may_have_the_same_private_address(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        server = net.host("server")
        server.add_interface("eth0", SERVER)
        with await bound(server, SERVER) as there:
            for number in (1, 2):
                host = net.host(f"home{number}")
                host.add_interface("eth0", "192.168.0.2", nat=Nat(f"203.0.113.{number}"))
                with await connected(host) as here:
                    await here.send(b"ping")
                    data, source = await there.recvfrom(10)
                    assert source[0] == f"203.0.113.{number}"
                    await there.sendto(data, source)
                    assert await here.recv(10) == b"ping"


async def test_interfaces_may_share_a_nat_and_the_other_family_passes_it(
    autojump_clock: Clock,
) -> None:
    nat = Nat(OUTSIDE)
    async with SimulatedNetwork() as net:
        server = net.host("server")
        server.add_interface("eth0", SERVER, "2001:db8:1::1")
        ports = set()
        with await bound(server, SERVER) as there, await bound(server, "2001:db8:1::1") as there6:
            for number in (1, 2):
                host = net.host(f"phone{number}")
                host.add_interface("wlan0", f"192.168.0.{number}", f"2001:db8:2::{number}", nat=nat)
                with await connected(host) as here, await connected(host, "2001:db8:1::1") as here6:
                    await here.send(b"4")
                    ports.add((await there.recvfrom(10))[1])
                    await here6.send(b"6")
                    _, source = await there6.recvfrom(10)
                    assert source[0] == f"2001:db8:2::{number}"
        assert len(ports) == 2 and {address for address, _ in ports} == {OUTSIDE}
        nat.rebind("203.0.113.99")
