"""Section 9.6.3 where the application moves the connection, and the server's preferred address was
not reached yet; and where nobody else moves it (`automatic=False`)."""

from collections.abc import Callable

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.checklist.test_server_wishes import NOWHERE, STAY
from tests.checklist.test_two_server_addresses import GIVEN_UP, far
from tests.preferred.test_two_families import asked, ipv6_only, moves, prefers, told
from tests.preferred.world import giving
from tests.runtime.world import dial, phone_world
from tests.sim_server import PORT
from tests.sim_world import CELLULAR6, PREFERRED, PREFERRED6, SERVER, WIFI, WIFI6, World
from tests.supervisor.phone import phone

ALONE = trioquic.MigrationPolicy(automatic=False)
# networks may be used that the system does not send through
LIMITED = trioquic.MigrationPolicy(only_interfaces=("wlan0", "wwan0"), standby=0)


@pytest.mark.parametrize("policy", [STAY, ALONE], ids=["supervised", "alone"])
@pytest.mark.parametrize("forbids", [False, True])
async def test_both_are_asked_and_the_preferred_one_is_moved_to(
    autojump_clock: trio.testing.MockClock, policy: trioquic.MigrationPolicy, forbids: bool
) -> None:
    """It takes a moment longer to answer than the original one, which is asked only where the
    server allows that."""
    options = prefers(PREFERRED, None, forbids=forbids)
    prepare = far((PREFERRED,), 0.03)
    async with phone(options=options, policy=policy, prepare=prepare) as here:
        path = await here.conn.migrate(interface="wwan0")
        assert here.conn.active_path is path
        assert (path.interface, path.remote) == ("wwan0", (PREFERRED, PORT))
        assert asked(here, "wwan0") == ({PREFERRED} if forbids else {SERVER, PREFERRED})
        await here.download(50_000)
        await trio.sleep(5)
        assert here.conn.active_path is path
        assert here.conn.paths == (path,)
        assert told(here) == [(PREFERRED, True)]


@pytest.mark.parametrize("policy", [STAY, ALONE], ids=["supervised", "alone"])
async def test_the_original_one_is_used_where_the_preferred_one_does_not_answer(
    autojump_clock: trio.testing.MockClock, policy: trioquic.MigrationPolicy
) -> None:
    """The move is not held up for longer than a round trip."""
    options = prefers(NOWHERE, None)
    async with phone(options=options, policy=policy) as here:
        began = trio.current_time()
        path = await here.conn.migrate(interface="wwan0")
        assert trio.current_time() - began < 0.25
        assert path.remote == (SERVER, PORT)
        assert asked(here, "wwan0") == {SERVER, NOWHERE}
        await here.download(50_000)
        assert here.conn.active_path is path


async def test_the_preferred_one_alone_answers(autojump_clock: trio.testing.MockClock) -> None:
    """Nor is the move held up by the silence of the original one."""
    options = prefers(PREFERRED, None)
    async with phone(options=options, policy=ALONE) as here:
        here.world.server_interface.remove_address(SERVER)
        began = trio.current_time()
        path = await here.conn.migrate(interface="wwan0")
        assert trio.current_time() - began < 0.25
        assert path.remote == (PREFERRED, PORT)
        await here.download(50_000)


async def test_neither_answers(autojump_clock: trio.testing.MockClock) -> None:
    options = prefers(PREFERRED, None)
    async with phone(options=options, policy=ALONE) as here:
        here.world.cellular.link.blackhole()
        with pytest.raises(trioquic.PathValidationError):
            await here.conn.migrate(interface="wwan0")
        assert len(here.conn.paths) == 1
        await here.download(50_000)


async def test_with_one_id_the_original_one_is_asked_after_the_preferred_one(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ID of the path that did not answer is retired, and the server replaces it."""
    monkeypatch.setattr(sim_server, "_Quic", giving(1))
    async with phone(options=prefers(NOWHERE, None), policy=ALONE) as here:
        began = trio.current_time()
        path = await here.conn.migrate(interface="wwan0")
        assert path.remote == (SERVER, PORT)
        assert trio.current_time() - began < GIVEN_UP + 0.5
        times = [r.time for r in here.world.record.select(host="phone", destination=NOWHERE)]
        later = here.world.record.select(host="phone", interface="wwan0", destination=SERVER)
        assert max(times) < later[0].time
        (refused,) = here.heard(trioquic.MigrationRefused)
        assert refused.refusal is trioquic.Refusal.NO_SPARE_ID
        assert SERVER in refused.reason
        await here.download(50_000)
        assert here.conn.active_path is path


async def test_with_one_id_and_no_way_back_it_is_said_what_did_not_answer(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server never hears that its ID is free, and gives no other."""
    monkeypatch.setattr(sim_server, "_Quic", giving(1))
    async with phone(options=prefers(NOWHERE, None), policy=ALONE) as here:
        first = here.conn.active_path
        here.world.wifi.link.blackhole()
        with pytest.raises(trioquic.PathValidationError):
            await here.conn.migrate(interface="wwan0")
        assert here.conn.paths == (first,)
        here.world.wifi.link.restore()
        await here.download(50_000)


async def test_an_ipv6_only_network_by_hand(autojump_clock: trio.testing.MockClock) -> None:
    """The address of the family that the network has, as section 9.6.3 advises."""
    options = prefers(PREFERRED, PREFERRED6)
    async with phone(options=options, policy=ALONE, prepare=ipv6_only, ipv6=True) as here:
        path = await here.conn.migrate(interface="wwan0")
        assert path.remote == (PREFERRED6, PORT)
        assert asked(here, "wwan0") == {PREFERRED6}
        await here.download(50_000)
        assert told(here) == [(PREFERRED6, True)]


def one_family_each(world: World) -> None:
    """Wi-Fi has IPv4 alone, and cellular IPv6 alone."""
    ipv6_only(world)
    world.wifi.remove_address(WIFI6)


def ipv4_on_wifi(world: World) -> None:
    """Cellular has both."""
    world.wifi.remove_address(WIFI6)


def ipv6_elsewhere(world: World) -> None:
    """Both have both, and the system sends IPv6 over cellular."""
    world.wifi.set_routes(["0.0.0.0/0", "::/0"])
    world.cellular.set_routes(["0.0.0.0/0", "2001:db8:1::/48"])


@pytest.mark.parametrize("prepare", [one_family_each, ipv4_on_wifi, ipv6_elsewhere])
@pytest.mark.parametrize("policy", [STAY, ALONE, LIMITED, trioquic.MigrationPolicy()])
async def test_a_new_port_stays_on_the_network(
    autojump_clock: trio.testing.MockClock,
    policy: trioquic.MigrationPolicy,
    prepare: Callable[[World], None],
) -> None:
    """No network is named. A preferred address that another network alone reaches would be moved to
    when it answers, and with that network gone nothing would be left (section 9.6.1)."""
    options = prefers(None, PREFERRED6)
    async with phone(options=options, policy=policy, prepare=prepare, ipv6=True) as here:
        path = await here.conn.migrate()
        assert path.local[0] in (WIFI, WIFI6)
        await trio.sleep(10)
        here.world.cellular.down()
        with trio.fail_after(10):
            await here.download(50_000)


async def test_where_the_supervisor_has_moved_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The application gets the path there. It named no network, so the policy goes on deciding."""
    policy, tls = trioquic.MigrationPolicy(interfaces=("eth0",)), trioquic.TLSConfig(verify=False)
    async with phone_world(prefers(None, PREFERRED6), ipv6=True) as world:
        ipv6_elsewhere(world)
        opening = dial(world, SERVER, migration=policy, networks=world.phone, tls=tls)
        async with opening as conn, conn.path_events() as events:
            await conn.wait_handshake_confirmed()
            path = await conn.migrate()
            async for event in events:
                if isinstance(event, trioquic.Migrated):
                    assert event.new is path
                    assert event.cause is trioquic.MigrationCause.PREFERRED_ADDRESS
                    break
            world.phone.add_interface("eth0", "192.0.2.99", "2001:db8:2::99")
            await trio.sleep(20)
            assert conn.active_path is not None
            assert conn.active_path.interface == "eth0"


async def test_where_the_supervisor_has_moved_to_another_network_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """From the one that was named nothing leads to where the server is now."""

    def ipv4_on_cellular(world: World) -> None:
        world.cellular.remove_address(CELLULAR6)

    options = prefers(None, PREFERRED6)
    async with phone(options=options, prepare=ipv4_on_cellular, ipv6=True) as here:
        with pytest.raises(trioquic.LocalAddressError, match=PREFERRED6):
            await here.conn.migrate(interface="wwan0")
        assert moves(here) == [("wlan0", PREFERRED6)]


async def test_a_new_port_where_the_network_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    """The other network is asked for what it reaches."""
    options = prefers(None, PREFERRED6)
    async with phone(options=options, policy=ALONE, prepare=one_family_each, ipv6=True) as here:
        here.world.wifi.down()
        path = await here.conn.migrate()
        assert (path.local[0], path.remote) == (CELLULAR6, (PREFERRED6, PORT))
        await here.download(50_000)


async def test_a_path_to_an_address_that_is_named(autojump_clock: trio.testing.MockClock) -> None:
    """Step by step, without the supervisor: section 9.6.2."""
    options = prefers(PREFERRED, PREFERRED6)
    async with phone(options=options, policy=ALONE, ipv6=True) as here:
        there = here.conn.peer.preferred_ipv6
        assert there == (PREFERRED6, PORT)
        path = await here.conn.add_path(server=there)
        assert (path.local[0], path.remote) == (WIFI6, there)
        with pytest.raises(trioquic.PathNotValidatedError):
            path.migrate()
        await path.validate()
        path.migrate()
        await here.download(50_000)
        assert moves(here) == [(None, PREFERRED6)]
        # what is added now leads there, too, and the original is left for good
        assert (await here.conn.add_path(interface="wwan0")).remote == there
        with pytest.raises(ValueError, match=r"left for good .*section 9\.6\.1"):
            await here.conn.add_path(server=(SERVER, PORT))


@pytest.mark.parametrize("server", [("192.0.2.99", PORT), (SERVER, 1), ("nowhere", PORT)])
async def test_what_is_no_address_of_the_server(
    autojump_clock: trio.testing.MockClock, server: tuple[str, int]
) -> None:
    async with phone(options=prefers(PREFERRED, None), policy=ALONE) as here:
        with pytest.raises(ValueError, match="no address of the server's"):
            await here.conn.add_path(server=server)
        assert len(here.conn.paths) == 1


@pytest.mark.parametrize("server", [(PREFERRED, PORT), (SERVER, PORT), ("192.0.2.99", PORT)])
@pytest.mark.parametrize("closed", [False, True])
async def test_a_connection_that_ends_before_it_has_told_its_addresses(
    autojump_clock: trio.testing.MockClock, server: tuple[str, int], closed: bool
) -> None:
    """Whoever asks for one of them hears what ended the connection, also afterwards."""
    errors: list[Exception] = []
    async with phone_world(prefers(PREFERRED, None)) as world:
        async with dial(world, SERVER) as conn, trio.open_nursery() as nursery:
            world.wifi.link.blackhole()

            async def ask() -> None:
                for _ in range(2):
                    try:
                        await conn.add_path(server=server)
                    except (trioquic.QuicError, trio.ClosedResourceError) as error:
                        errors.append(error)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            if closed:
                await conn.aclose()
    kind = trio.ClosedResourceError if closed else trioquic.IdleTimeoutError
    assert [type(error) for error in errors] == [kind] * 2


@pytest.mark.parametrize("server", ["198.51.100.1", (SERVER,), (SERVER, "443"), (1, 443)])
async def test_what_is_no_address_at_all(
    autojump_clock: trio.testing.MockClock, server: object
) -> None:
    async with phone(options=prefers(PREFERRED, None), policy=ALONE) as here:
        with pytest.raises(TypeError, match="server"):
            await here.conn.add_path(server=server)  # type: ignore[arg-type]


async def test_what_the_policy_does_not_want_can_be_had_by_hand(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(use_preferred_address=False)
    async with phone(options=prefers(PREFERRED, None), policy=policy) as here:
        path = await here.conn.migrate(interface="wwan0")
        assert path.remote == (SERVER, PORT)
        path = await here.conn.add_path(server=(PREFERRED, PORT))
        await path.validate()
        path.migrate()
        await here.download(50_000)


@pytest.mark.parametrize("steps", range(0, 60, 4))
async def test_cancelled_in_the_middle(autojump_clock: trio.testing.MockClock, steps: int) -> None:
    """Whatever was opened is closed, and the connection stays where it was."""
    options = prefers(PREFERRED, None)
    async with phone(options=options, policy=ALONE) as here:
        first = here.conn.active_path
        spare = here.conn.statistics().spare_peer_ids
        with trio.move_on_after(steps * 0.003) as scope:
            await here.conn.migrate(interface="wwan0")
        if scope.cancelled_caught:
            assert here.conn.active_path is first
            assert here.conn.paths == (first,)
            await trio.sleep(0.5)
            assert here.conn.statistics().spare_peer_ids == spare
        await here.download(50_000)
