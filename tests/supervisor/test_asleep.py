"""The machine sleeps, or the program is stopped: what is done first when it is back."""

import errno

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import World
from trioquic import HealthState
from trioquic._runtime import asleep
from trioquic._runtime.paths import adding
from trioquic.testing import Host

from .phone import Phone, phone
from .test_tunnel import phone_with_vpn

IDLE = trioquic.TransportConfig(idle_timeout=30.0)


class Sleep:
    """Lets the machine sleep: the clock that trio has stands still, the other goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._offset = 1000.0
        monkeypatch.setattr(asleep, "boot_offset", lambda: self._offset)

    def sleep(self, seconds: float) -> None:
        self._offset += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Sleep:
    return Sleep(monkeypatch)


def sent(here: Phone, since: float) -> list[str | None]:
    records = here.world.record.select(host="phone", since=since)
    return [record.interface for record in records]


def test_what_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = iter([5.0, 5.0, 5.2, 65.2, 65.2, 60.0, 60.1])
    with monkeypatch.context() as patch:
        patch.setattr(asleep, "boot_offset", lambda: next(offsets))
        noticed = asleep.Asleep()
        assert [noticed.take() for _ in range(7)] == [0, 0, 0, pytest.approx(60.2), 0, 0, 0]
    noticed = asleep.Asleep()
    assert [noticed.take(), noticed.take()] == [0, 0]


@pytest.mark.parametrize("kind", ["asleep", "stopped"])
async def test_a_connection_that_expired_meanwhile_ends_without_a_word(
    autojump_clock: trio.testing.MockClock, machine: Sleep, kind: str
) -> None:
    """The server has forgotten it: whatever was sent would go into the void."""
    async with phone(transport=IDLE) as here:
        await here.until(trioquic.PathValidated)
        await here.download(1000)
        await trio.sleep(2)
        stream = await here.conn.open_stream()
        before = trio.current_time()
        if kind == "asleep":
            machine.sleep(60)
        else:
            autojump_clock.jump(60)
        now = trio.current_time()
        # before any timer has had its turn
        assert here.conn.health.state is HealthState.OVER
        with pytest.raises(trioquic.IdleTimeoutError):
            await stream.receive_some()
        with pytest.raises(trioquic.IdleTimeoutError):
            await stream.send_all(b"GET 10\r\n")
        assert trio.current_time() - now < 0.01
        assert sent(here, before + 0.001) == []


@pytest.mark.parametrize("kind", ["asleep", "stopped"])
async def test_time_asleep_is_no_silence(
    autojump_clock: trio.testing.MockClock, machine: Sleep, kind: str
) -> None:
    """Nobody listened. It goes on where it was, at once, and every path is asked."""
    async with phone(transport=IDLE) as here:
        await here.until(trioquic.PathValidated)
        pause = 0.0

        async def download() -> None:
            nonlocal pause
            pause = await here.download(1_000_000)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(download)
            await trio.sleep(0.2)
            if kind == "asleep":
                machine.sleep(10)
            else:
                autojump_clock.jump(10)
            woken = trio.current_time()
            assert here.conn.health.state is HealthState.GOOD
            await trio.sleep(0.2)
            assert {"wlan0", "wwan0"} <= set(sent(here, woken))
        assert pause < (0.2 if kind == "asleep" else 10.2)
        assert here.conn.health.state is HealthState.GOOD
        for unwanted in (
            trioquic.Migrated,
            trioquic.PathDegraded,
            trioquic.PathClosed,
            trioquic.ValidationFailed,
        ):
            assert here.heard(unwanted) == []


class Untold:
    """A phone's networks, as they are; but nobody tells of changes."""

    def __init__(self) -> None:
        self._host: Host | None = None

    def prepare(self, world: World) -> None:
        self._host = world.phone

    def snapshot(self) -> tuple[trioquic.Interface, ...]:
        assert self._host is not None
        return self._host.snapshot()

    async def wait_changed(self) -> None:
        await trio.sleep_forever()


async def test_the_networks_are_looked_at_before_anything_is_sent(
    autojump_clock: trio.testing.MockClock, machine: Sleep
) -> None:
    """Wi-Fi went meanwhile, and nobody has told of it yet."""
    networks = Untold()
    async with phone(transport=IDLE, networks=networks, prepare=networks.prepare) as here:
        await here.until(trioquic.PathValidated)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 1_000_000)
            await trio.sleep(0.2)
            here.world.wifi.down()
            autojump_clock.jump(10)
            woken = trio.current_time()
            await here.until(trioquic.Migrated)
            assert trio.current_time() - woken < 0.01
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.reason == "the active path is gone: wlan0 is down"
        assert moved.old.statistics().socket_errors == 0
        assert "wlan0" not in sent(here, woken)


async def test_a_wait_for_a_network_is_not_over_before_a_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(no_path_timeout=5.0)
    async with phone(policy=policy, transport=IDLE) as here:
        here.world.cellular.down()
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        here.world.wifi.up()
        autojump_clock.jump(10)
        await here.conn.wait_healthy()
        await here.download(1000)


async def test_what_is_written_first_waits_for_the_look(
    autojump_clock: trio.testing.MockClock, machine: Sleep
) -> None:
    """Nothing of it is tried on a network that went meanwhile."""
    networks = Untold()
    async with phone(transport=IDLE, networks=networks, prepare=networks.prepare) as here:
        await here.until(trioquic.PathValidated)
        await trio.sleep(2)
        path = here.conn.active_path
        assert path is not None
        sent_before = path.statistics().bytes_sent
        here.world.wifi.down()
        machine.sleep(10)
        woken = trio.current_time()
        # before anybody else has had a turn
        here.conn.ping()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 1000)
            await here.until(trioquic.Migrated)
        assert trio.current_time() - woken < 0.3
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.reason == "the active path is gone: wlan0 is down"
        assert moved.old is path
        assert path.statistics().bytes_sent == sent_before


async def test_whatever_the_supervisor_waits_for_the_look_comes_first(
    autojump_clock: trio.testing.MockClock, machine: Sleep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may wait for a connection ID when the program is stopped."""
    async with phone(transport=IDLE) as here:
        await here.until(trioquic.PathValidated)
        await trio.sleep(2)
        asked = trio.Event()

        async def no_room(*_: object) -> None:
            asked.set()
            await trio.sleep(3)
            raise trioquic.LocalAddressError(errno.ENETUNREACH, "there was none")

        with monkeypatch.context() as patch:
            patch.setattr(adding.PathAdder, "add_candidate", no_room)
            here.world.phone.add_interface("eth0", "192.0.2.200", kind="ethernet")
            here.world.cellular.down()
            await asked.wait()
        machine.sleep(10)
        woken = trio.current_time()
        await here.download(1000)
        assert trio.current_time() - woken < 0.3


async def test_nothing_is_asked_outside_the_tunnel(
    autojump_clock: trio.testing.MockClock, machine: Sleep
) -> None:
    """Where the application has a path for itself: nothing goes there by itself."""
    async with phone_with_vpn() as (here, _):
        path = await here.conn.add_path(interface="wlan0")
        await path.validate()
        await trio.sleep(2)
        machine.sleep(10)
        woken = trio.current_time()
        assert here.conn.health.state is HealthState.GOOD
        await trio.sleep(0.5)
        assert set(sent(here, woken)) == {"tun0"}
