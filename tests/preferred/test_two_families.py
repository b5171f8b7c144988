"""The server's preferred addresses of both families (RFC 9000 sections 9.6.1 and 9.6.3).

The connection begins over IPv4. A path may be of the other family than the one before it, and each
network is asked for the address that it can reach.
"""

from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.cancellation.harness import OneSpareId
from tests.checklist.test_server_wishes import NOWHERE, NOWHERE6, STAY
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import CELLULAR, PREFERRED, PREFERRED6, SERVER, SERVER6, WIFI, WIFI6, World
from tests.supervisor.phone import Phone, phone
from trioquic.policy import Decision, PolicyEvent, View


def prefers(ipv4: str | None, ipv6: str | None, *, forbids: bool = False) -> ServerOptions:
    return ServerOptions(
        preferred_ipv4=None if ipv4 is None else (ipv4, PORT),
        preferred_ipv6=None if ipv6 is None else (ipv6, PORT),
        disable_active_migration=forbids,
    )


def ipv6_only(world: World) -> None:
    """Of cellular networks there are many such."""
    world.cellular.remove_address(CELLULAR)


def moves(here: Phone) -> list[tuple[str | None, str]]:
    return [(e.new.interface, e.new.remote[0]) for e in here.heard(trioquic.Migrated)]


def told(here: Phone) -> list[tuple[str, bool]]:
    return [(e.address[0], e.used) for e in here.heard(trioquic.PreferredAddressResult)]


def asked(here: Phone, interface: str) -> set[str]:
    records = here.world.record.select(host="phone", interface=interface)
    return {record.destination[0] for record in records}


@pytest.mark.parametrize("forbids", [False, True])
@pytest.mark.parametrize("cut", ["down", "silent"])
@pytest.mark.parametrize("ipv4", [None, PREFERRED, NOWHERE])
async def test_an_ipv6_only_network_is_asked_for_the_ipv6_address(
    autojump_clock: trio.testing.MockClock, ipv4: str | None, cut: str, forbids: bool
) -> None:
    """Section 9.6.3. Wi-Fi goes before anything was asked there; what it had, IPv4, is gone, and
    with it the original address. The preferred one is moved to when it has answered."""
    options = prefers(ipv4, PREFERRED6, forbids=forbids)
    async with phone(options=options, prepare=ipv6_only, ipv6=True) as here:
        if cut == "down":
            here.world.wifi.down()
        else:
            here.world.wifi.link.blackhole()
        with trio.fail_after(10):
            await here.download(100_000)
        assert moves(here) == [("wwan0", PREFERRED6)]
        assert asked(here, "wwan0") == {PREFERRED6}
        assert told(here)[-1] == (PREFERRED6, True)


async def test_the_address_of_the_family_in_use_is_selected(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Section 9.6.1: one of the two."""
    options = prefers(PREFERRED, PREFERRED6)
    async with phone(options=options, policy=STAY, ipv6=True) as here:
        await here.until(trioquic.PreferredAddressResult)
        await here.download(100_000)
        await trio.sleep(5)
        assert moves(here) == [("wlan0", PREFERRED)]
        assert PREFERRED6 not in asked(here, "wlan0") | asked(here, "wwan0")
        assert told(here) == [(PREFERRED, True)]


async def test_what_is_of_the_other_family_alone_is_selected(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Section 9.6.1: the network in use has both families, and so the path changes its own."""
    async with phone(options=prefers(None, PREFERRED6), policy=STAY, ipv6=True) as here:
        await here.until(trioquic.PreferredAddressResult)
        await here.download(100_000)
        assert moves(here) == [("wlan0", PREFERRED6)]
        assert told(here) == [(PREFERRED6, True)]
        await trio.sleep(1)
        assert {path.remote[0] for path in here.conn.paths} == {PREFERRED6}


async def test_where_one_has_failed_the_original_is_used_and_not_the_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Section 9.6.1: "If path validation fails, the client MUST continue" with the original. Where
    that cannot be reached, the other one is what is left."""
    options = prefers(NOWHERE, PREFERRED6)
    async with phone(options=options, prepare=ipv6_only, policy=STAY, ipv6=True) as here:
        await here.until(trioquic.PreferredAddressResult)
        assert told(here) == [(NOWHERE, False)]
        await trio.sleep(20)
        await here.download(100_000)
        assert moves(here) == []
        assert asked(here, "wlan0") == {SERVER, NOWHERE}
        here.world.wifi.down()
        with trio.fail_after(10):
            await here.download(100_000)
        assert moves(here) == [("wwan0", PREFERRED6)]
        assert told(here) == [(NOWHERE, False), (PREFERRED6, True)]


@dataclass(frozen=True, kw_only=True)
class Watched(trioquic.MigrationPolicy):
    """Keeps whether a preferred address is still to be asked, as the policy is told."""

    pending: list[bool] = field(default_factory=list)

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        self.pending.append(view.preferred_pending)
        return super().decide(view, event, now)


async def test_the_policy_is_told_whether_one_is_still_to_be_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The other one is not asked from where the original address answers, whatever its state."""
    policy = Watched(standby=0)
    options = prefers(NOWHERE, PREFERRED6)
    async with phone(options=options, policy=policy, ipv6=True) as here:
        await here.until(trioquic.PreferredAddressResult)
        assert policy.pending[0]
        await trio.sleep(1)
        assert not policy.pending[-1]
        here.world.wifi.remove_address(WIFI)
        here.world.cellular.remove_address(CELLULAR)
        await here.until(trioquic.PreferredAddressResult, 2)
        assert policy.pending[-2:] == [True, False]
        assert told(here) == [(NOWHERE, False), (PREFERRED6, True)]


async def test_from_one_preferred_address_to_the_other_and_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Section 9.6.3: "a preferred address from the same address family" as the new local one. The
    original address is not used any more (9.6.1)."""
    options = prefers(PREFERRED, PREFERRED6)

    def prepare(world: World) -> None:
        ipv6_only(world)
        for address in [a for a in world.wifi.addresses if ":" in a]:
            world.wifi.remove_address(address)

    async with phone(options=options, prepare=prepare, ipv6=True) as here:
        await here.until(trioquic.PreferredAddressResult)
        await trio.sleep(1)
        assert moves(here) == [("wlan0", PREFERRED)]
        left = trio.current_time()
        here.world.wifi.down()
        await here.download(100_000)
        assert moves(here)[1:] == [("wwan0", PREFERRED6)]
        here.world.wifi.up()
        await here.until(trioquic.Migrated, 3)
        await here.download(100_000)
        assert moves(here)[2:] == [("wlan0", PREFERRED)]
        original = here.world.record.select(host="phone", destination=SERVER)
        assert not [record for record in original if record.time > left]
        assert told(here) == [(PREFERRED, True), (PREFERRED6, True)]


@pytest.mark.parametrize(("server", "nowhere"), [(SERVER, NOWHERE6), (SERVER6, NOWHERE)])
async def test_one_of_the_other_family_that_does_not_answer_is_settled(
    autojump_clock: trio.testing.MockClock, server: str, nowhere: str
) -> None:
    """Section 9.6.1: the path in use is on the same network, and answers at the original address.
    Nothing is sent to the other one any more."""
    ipv4, ipv6 = (None, nowhere) if ":" in nowhere else (nowhere, None)
    options = prefers(ipv4, ipv6)
    async with phone(options=options, policy=STAY, server=server, ipv6=True) as here:
        with trio.fail_after(10):
            await here.until(trioquic.PreferredAddressResult)
        settled = trio.current_time()
        assert told(here) == [(nowhere, False)]
        await trio.sleep(20)
        sent = here.world.record.select(host="phone", destination=nowhere, since=settled)
        assert not sent
        assert [path.remote[0] for path in here.conn.paths] == [server]
        here.world.wifi.down()
        await here.download(50_000)
        assert moves(here) == [("wwan0", server)]


@pytest.mark.parametrize("after", [5.0, 12.0, 20.0])
async def test_it_does_not_hold_the_last_connection_id(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    """When the network goes there is one for the other network, but for while it is asked."""
    monkeypatch.setattr(sim_server, "_Quic", OneSpareId)
    async with phone(options=prefers(None, NOWHERE6), ipv6=True) as here:
        await trio.sleep(after)
        here.world.wifi.down()
        with trio.fail_after(10):
            await here.download(50_000)
        assert moves(here)[-1] == ("wwan0", SERVER)


async def test_a_network_without_the_original_address_says_nothing_about_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Section 9.6.3: that it is silent there may be that network's fault. Here it was."""
    options = prefers(None, PREFERRED6)

    def prepare(world: World) -> None:
        ipv6_only(world)
        world.wifi.remove_address(WIFI6)
        world.cellular.link.blackhole()

    async with phone(options=options, prepare=prepare, ipv6=True) as here:
        await here.until(trioquic.ValidationFailed, 2)
        assert told(here) == []
        here.world.cellular.link.restore()
        await trio.sleep(10)
        here.world.wifi.down()
        with trio.fail_after(10):
            await here.download(50_000)
        assert moves(here) == [("wwan0", PREFERRED6)]
