"""What the server says about moving, under the supervisor: nobody calls `migrate`.

Points 2 and 19 of what must hold for a path (docs/paths.md).
"""

from itertools import pairwise

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED, PREFERRED6, SERVER, SERVER6, WIFI, World
from tests.supervisor.phone import Phone, phone

# addresses that nobody has
NOWHERE = "198.51.100.77"
NOWHERE6 = "2001:db8:1::77"
FAMILIES = [(SERVER, PREFERRED, NOWHERE), (SERVER6, PREFERRED6, NOWHERE6)]
STAY = trioquic.MigrationPolicy(standby=0)


def prefers(address: str, *, disabled: bool = False) -> ServerOptions:
    here = (address, PORT)
    return ServerOptions(
        preferred_ipv4=None if ":" in address else here,
        preferred_ipv6=here if ":" in address else None,
        disable_active_migration=disabled,
    )


def sent(here: Phone, interface: str) -> dict[str, float]:
    """Where the phone sent to over an interface, and when first."""
    first: dict[str, float] = {}
    for record in here.world.record.select(host="phone", interface=interface):
        first.setdefault(record.destination[0], record.time)
    return first


# 2. disable_active_migration: nothing, not even a probe, from a new local address (18.2).


async def test_02_not_even_a_probe_from_another_network(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whatever happens to the first one: it dies in silence, it goes when there is no other, it
    returns. The connection waits, and goes on where it was, on the same port. (With another it ends
    at once: tests/supervisor/test_forbidden.py.)"""
    options = ServerOptions(disable_active_migration=True)
    async with phone(options=options) as here:
        await here.download(100_000)
        here.world.cellular.down()
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        await trio.sleep(5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 50_000)
            await trio.sleep(1)
            here.world.wifi.up()
        here.world.cellular.up()
        here.world.wifi.link.blackhole()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 50_000)
            await here.until(trioquic.PathDegraded)
            here.world.wifi.link.restore()
        records = here.world.record.select(host="phone")
        assert len({record.source for record in records}) == 1
        assert not here.heard(trioquic.Migrated)


async def test_02_the_wait_for_the_only_network_ends_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(no_path_timeout=4.0)
    options = ServerOptions(disable_active_migration=True)
    async with phone(options=options, policy=policy) as here:
        here.world.cellular.down()
        here.world.wifi.down()
        gone = trio.current_time()
        with pytest.raises(trioquic.NoPathError, match="no_path_timeout") as caught:
            await here.download(1000)
        assert caught.value.reason is trioquic.NoPathReason.NO_NETWORK
        assert "idle timeout" not in str(caught.value)
        assert trio.current_time() - gone == pytest.approx(4.0, abs=0.1)
        assert not sent(here, "wwan0")


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
async def test_02_from_a_new_address_only_the_preferred_one_is_asked(
    autojump_clock: trio.testing.MockClock, server: str, preferred: str, nowhere: str
) -> None:
    """Wi-Fi dies before the preferred address was reached: section 9.6.3 without the original."""
    options = prefers(preferred, disabled=True)
    async with phone(options=options, server=server) as here:
        here.world.wifi.link.blackhole()
        await here.download(200_000)
        assert set(sent(here, "wwan0")) == {preferred}
        (moved,) = here.heard(trioquic.Migrated)
        assert (moved.new.interface, moved.new.remote[0]) == ("wwan0", preferred)


async def test_02_and_nobody_if_the_preferred_address_does_not_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(options=prefers(NOWHERE, disabled=True)) as here:
        here.world.wifi.link.blackhole()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 50_000)
            await trio.sleep(10)
            here.world.wifi.link.restore()
        assert set(sent(here, "wwan0")) == {NOWHERE}
        assert not here.heard(trioquic.Migrated)


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("standby", [0, 1])
async def test_02_the_preferred_address_allows_what_was_disabled(
    autojump_clock: trio.testing.MockClock, server: str, preferred: str, nowhere: str, standby: int
) -> None:
    """After the move there the connection may go anywhere (section 9), with or without standby."""
    policy = trioquic.MigrationPolicy(standby=standby)
    options = prefers(preferred, disabled=True)
    async with phone(options=options, policy=policy, server=server) as here:
        await here.until(trioquic.Migrated)
        await trio.sleep(1)
        here.world.wifi.down()
        await here.download(100_000)
        assert set(sent(here, "wwan0")) == {preferred}


# 19. The preferred address is validated and moved to, or the connection stays (9.6).


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
async def test_19_the_preferred_address_is_moved_to_after_one_validation(
    autojump_clock: trio.testing.MockClock, server: str, preferred: str, nowhere: str
) -> None:
    async with phone(options=prefers(preferred), policy=STAY, server=server) as here:
        confirmed = trio.current_time()
        await here.until(trioquic.Migrated)
        assert trio.current_time() - confirmed == pytest.approx(0.05, abs=0.005)
        (moved,) = here.heard(trioquic.Migrated)
        assert (moved.new.interface, moved.new.remote[0]) == ("wlan0", preferred)
        (answer,) = here.heard(trioquic.PathValidated)
        assert answer.path is moved.new, "validated before, section 9.6.2"
        await here.until(trioquic.PreferredAddressResult)
        (result,) = here.heard(trioquic.PreferredAddressResult)
        assert result.used and result.reason
        await here.download(100_000)
        assert {path.remote[0] for path in here.conn.paths} == {preferred}
        left = [r.time for r in here.world.record.select(host="phone", destination=server)]
        assert max(left) <= here.first(trioquic.Migrated), "the old path is dropped"


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
async def test_19_the_application_moves_on_from_the_preferred_address(
    autojump_clock: trio.testing.MockClock, server: str, preferred: str, nowhere: str
) -> None:
    """Section 9.6.2: the original address is left for good, whoever asks for the next path."""
    async with phone(options=prefers(preferred), policy=STAY, server=server) as here:
        await here.until(trioquic.PreferredAddressResult)
        for interface in ("wwan0", None, "wlan0"):
            path = await here.conn.migrate(interface)
            assert path.remote[0] == preferred
        await here.download(100_000)
        left = [r.time for r in here.world.record.select(host="phone", destination=server)]
        assert max(left) <= here.first(trioquic.Migrated)


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
async def test_19_a_preferred_address_that_does_not_answer_changes_nothing(
    autojump_clock: trio.testing.MockClock, server: str, preferred: str, nowhere: str
) -> None:
    async with phone(options=prefers(nowhere), policy=STAY, server=server) as here:
        await here.download(200_000)
        await here.until(trioquic.PreferredAddressResult)
        (result,) = here.heard(trioquic.PreferredAddressResult)
        assert not result.used and result.reason
        told = trio.current_time()
        await trio.sleep(25)
        await here.download(200_000)
        assert not here.heard(trioquic.Migrated)
        tries = here.world.record.select(host="phone", destination=nowhere)
        assert {len(record.payload or b"") for record in tries} == {1200}
        assert max(record.time for record in tries) < told, "asked once, and not for ever"
        assert all(b.time - a.time > 0.04 for a, b in pairwise(tries))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(ServerOptions(preferred_ipv6=(PREFERRED6, PORT)), "", id="zeros"),
        pytest.param(prefers("127.0.0.1"), "a loopback address", id="loopback"),
        pytest.param(prefers("169.254.7.7"), "on one link only", id="link-local"),
        pytest.param(prefers("224.0.0.1"), "no address of a host", id="multicast"),
        pytest.param(ServerOptions(preferred_ipv4=(PREFERRED, 0)), "", id="port 0"),
    ],
)
async def test_19_what_is_no_address_to_go_to_is_not_gone_to(
    autojump_clock: trio.testing.MockClock, options: ServerOptions, reason: str
) -> None:
    async with phone(options=options) as here:
        await here.download(100_000)
        await trio.sleep(5)
        assert set(sent(here, "wlan0")) == {SERVER}
        told = here.heard(trioquic.PreferredAddressResult)
        assert [event.used for event in told] == [False] * bool(reason)
        assert all(reason in event.reason for event in told)
        assert set(sent(here, "wwan0")) == {SERVER}


async def test_19_the_preferred_address_is_left_alone_on_wish(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(use_preferred_address=False)
    async with phone(options=prefers(PREFERRED), policy=policy) as here:
        await here.download(100_000)
        assert set(sent(here, "wlan0")) == {SERVER}
        await here.until(trioquic.PreferredAddressResult)
        assert not here.heard(trioquic.PreferredAddressResult)[0].used


async def test_19_a_network_without_the_original_either_says_nothing_about_the_preferred(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Both are silent, as Wi-Fi is dead: when it returns the preferred address is asked again."""
    policy = trioquic.MigrationPolicy(interfaces=["wlan0"], metered=False, new_port=False)
    async with phone(options=prefers(PREFERRED), policy=policy) as here:
        here.world.wifi.link.blackhole()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 20_000)
            await here.until(trioquic.ValidationFailed)
            here.world.wifi.link.restore()
        await here.until(trioquic.Migrated)
        assert here.heard(trioquic.Migrated)[0].new.remote[0] == PREFERRED
        await here.until(trioquic.PreferredAddressResult)
        assert [e.used for e in here.heard(trioquic.PreferredAddressResult)] == [True]


def only_wifi(world: World) -> None:
    world.cellular.down()


@pytest.mark.parametrize("what", ["down", "address lost"])
async def test_19_the_move_to_the_preferred_address_outlives_its_network(
    autojump_clock: trio.testing.MockClock, what: str
) -> None:
    """The only network goes after the move and comes back: the preferred address has answered
    before, so it may be moved to at once from a new port, and nothing goes to the original."""
    async with phone(options=prefers(PREFERRED), prepare=only_wifi) as here:
        await here.until(trioquic.Migrated)
        await trio.sleep(1)
        begun = trio.current_time()
        if what == "down":
            here.world.wifi.down()
        else:
            here.world.wifi.remove_address(WIFI)
        await here.until(trioquic.WaitingForPath)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 20_000)
            await trio.sleep(2)
            if what == "down":
                here.world.wifi.up()
            else:
                here.world.wifi.add_address(WIFI)
        assert not here.world.record.select(host="phone", destination=SERVER, since=begun)
        back = here.heard(trioquic.Migrated)[-1]
        assert back.old is None and back.new.remote[0] == PREFERRED


async def test_19_a_preferred_address_in_a_disguise_is_told_and_never_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The server's address is one of documentation, which reach no further than private ones; this
    one would reach the phone itself, through a NAT64."""
    inside = "64:ff9b::7f00:1"
    async with phone(options=prefers(inside), policy=STAY, server=SERVER6) as here:
        await here.until(trioquic.PreferredAddressResult)
        await trio.sleep(5)
        (told,) = here.heard(trioquic.PreferredAddressResult)
        assert not told.used
        assert told.reason.startswith(f"{inside} is a loopback address")
        await here.download(50_000)
        assert set(sent(here, "wlan0")) == {SERVER6}
