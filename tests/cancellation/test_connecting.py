"""Cancelled while connecting: names, dead and refusing addresses, the handshake itself."""

from collections.abc import Callable

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import ALPN, dial, get
from tests.sim_server import NAME, PORT, pattern
from tests.sim_world import SERVER, SERVER6
from trioquic.networks import InterfaceKind

from .harness import BY_HAND, SETTLED, Bench, Cut, PlantedError, bench, sweep

DEAD = "198.51.100.99"
SHUT = "198.51.100.98"
TRANSPORT = trioquic.TransportConfig(handshake_timeout=0.4)


def one_address(b: Bench) -> None:
    b.world.net.name("here.example", SERVER)


def name_takes_time(b: Bench) -> None:
    b.world.net.name("here.example", SERVER6, SERVER)
    b.world.net.set_resolver_delay(0.1)


def first_is_dead(b: Bench) -> None:
    b.world.net.name("here.example", DEAD, SERVER)


def first_is_unreachable(b: Bench) -> None:
    b.world.net.name("here.example", "2001:db8:9::1", SERVER)
    for address in (a for a in b.world.wifi.addresses if ":" in a):
        b.world.wifi.remove_address(address)
    for address in (a for a in b.world.cellular.addresses if ":" in a):
        b.world.cellular.remove_address(address)


def first_refuses(b: Bench) -> None:
    b.world.net.host("shut").add_interface("eth0", SHUT)
    b.world.net.name("here.example", SHUT, SERVER)


def only_the_last_answers(b: Bench) -> None:
    b.world.net.host("shut").add_interface("eth0", SHUT)
    b.world.net.name("here.example", "2001:db8:9::1", SHUT, DEAD, SERVER)


def nobody_listens(b: Bench) -> None:
    b.world.net.host("shut").add_interface("eth0", SHUT)
    b.world.net.name("here.example", SHUT)


def all_fail(b: Bench) -> None:
    b.world.net.host("shut").add_interface("eth0", SHUT)
    b.world.net.name("here.example", SHUT, DEAD)


SITUATIONS = [
    one_address,
    name_takes_time,
    first_is_dead,
    first_is_unreachable,
    first_refuses,
    only_the_last_answers,
]
Situation = Callable[[Bench], None]


async def connect(nursery: trio.Nursery, b: Bench) -> trioquic.Connection:
    tls = trioquic.TLSConfig(ca_data=b.world.server.options.credentials.ca_pem)
    return await trioquic.connect(
        nursery,
        "here.example",
        PORT,
        alpn=[ALPN],
        server_name=NAME,
        tls=tls,
        transport=TRANSPORT,
        migration=BY_HAND,
    )


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_open_connection(
    autojump_clock: trio.testing.MockClock, situation: Situation
) -> None:
    async def case(cut: Cut) -> None:
        async with bench() as b:
            situation(b)
            entered = False
            with cut:
                async with dial(b.world, "here.example", server_name=NAME, transport=TRANSPORT):
                    entered = True
                    assert len(b.sockets.open) == 1
            assert cut.caught or entered
            await b.nothing_left()

    await sweep(case, least=20)


@pytest.mark.parametrize(
    ("situation", "transport", "attempts"),
    # each address over two networks
    [(all_fail, TRANSPORT, 4), (nobody_listens, trioquic.TransportConfig(), 2)],
)
async def test_no_address_answers(
    autojump_clock: trio.testing.MockClock,
    situation: Situation,
    transport: trioquic.TransportConfig,
    attempts: int,
) -> None:
    async def case(cut: Cut) -> None:
        async with bench() as b:
            situation(b)
            error: trioquic.HandshakeError | None = None
            with cut:
                try:
                    async with dial(b.world, "here.example", transport=transport):
                        raise AssertionError("connected")
                except trioquic.HandshakeError as raised:
                    error = raised
            assert cut.caught is (error is None)
            assert error is None or len(error.attempts) == attempts
            b.nothing_open()

    await sweep(case, least=20)


@pytest.mark.parametrize("kinds", [["wifi", "cellular", "tunnel"], ["wifi", "cellular"]])
async def test_a_tunnel_comes_up_meanwhile(
    autojump_clock: trio.testing.MockClock, kinds: list[InterfaceKind]
) -> None:
    """The attempts outside are left, whether there is a way inside or not; then it goes again."""
    policy = trioquic.MigrationPolicy(kinds=kinds, automatic=False)

    async def case(cut: Cut) -> None:
        async with bench() as b, trio.open_nursery() as nursery:
            only_the_last_answers(b)
            b.world.wifi.link.blackhole()
            b.world.cellular.link.blackhole()
            tunnel = b.world.phone.add_interface("tun0", "10.8.0.2", kind="tunnel", metric=-1)
            tunnel.down()

            async def come_and_go() -> None:
                await trio.sleep(0.2)
                tunnel.up()
                await trio.sleep(1.5)
                tunnel.down()

            nursery.start_soon(come_and_go)
            raised = False
            with cut:
                try:
                    async with dial(
                        b.world, "here.example", server_name=NAME, migration=policy
                    ) as conn:
                        assert conn.active_path is not None
                        assert conn.active_path.local[0] == "10.8.0.2"
                except trioquic.LocalAddressError:
                    raised = True
            assert cut.caught or raised is ("tunnel" not in kinds)
            nursery.cancel_scope.cancel()
            b.nothing_open()

    await sweep(case, least=20)


@pytest.mark.parametrize("situation", [one_address, first_refuses])
async def test_connect(autojump_clock: trio.testing.MockClock, situation: Situation) -> None:
    """The caller's nursery stays as it was, and usable."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            situation(b)
            conn = None
            async with trio.open_nursery() as nursery:
                with cut:
                    conn = await connect(nursery, b)
                assert cut.caught is (conn is None)
                if conn is not None:
                    assert await get(conn, 100) == pattern(100)
                    await conn.aclose()
                assert b.sockets.open == []
                # the task has only its nurseries to leave, which takes no time
                await trio.testing.wait_all_tasks_blocked()
                assert not nursery.child_tasks
                b.nothing_open()
            assert not nursery.cancel_scope.cancel_called
            await b.nothing_left()

    await sweep(case, least=15)


async def test_connect_in_a_nursery_that_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The nursery is another task's; whoever connects is not cancelled, and hears of it."""

    async def keep_nursery(task_status: trio.TaskStatus[trio.Nursery]) -> None:
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            await trio.sleep_forever()

    async def case(cut: Cut) -> None:
        async with bench() as b, trio.open_nursery() as keeper:
            name_takes_time(b)
            nursery: trio.Nursery = await keeper.start(keep_nursery)
            cut.action = nursery.cancel_scope.cancel
            with cut:
                try:
                    conn = await connect(nursery, b)
                    assert await get(conn, 100) == pattern(100)
                except (trio.ClosedResourceError, RuntimeError):
                    # The latter is trio's answer to whoever starts a task in an ended nursery.
                    assert cut.fired
            assert not cut.caught
            nursery.cancel_scope.cancel()
            # let the nursery end, which takes no time
            await trio.testing.wait_all_tasks_blocked()
            b.nothing_open()
            await trio.sleep(SETTLED)
            assert not keeper.child_tasks
            assert all(c.terminated for c in b.world.server.connections)

    await sweep(case, least=30)


@pytest.mark.parametrize("kind", [PlantedError, KeyboardInterrupt, GeneratorExit])
async def test_an_exception_before_any_checkpoint_in_the_block(
    autojump_clock: trio.testing.MockClock, kind: type[BaseException]
) -> None:
    """The connection is not even confirmed then."""
    async with bench() as b:
        planted = kind("planted")
        with pytest.raises(kind) as caught:
            async with dial(b.world):
                raise planted
        assert caught.value is planted
        await b.nothing_left()
