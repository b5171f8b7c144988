"""The records, and the source that an application feeds."""

import pytest
import trio
import trio.testing

import trioquic
from trioquic.networks import Interface, InterfaceAddress, ManualNetworks, NetworkSource

WIFI = Interface(
    name="wlan0",
    index=3,
    kind="wifi",
    addresses=(InterfaceAddress(address="192.0.2.7", prefix_length=24),),
)
CELLULAR = Interface(name="wwan0", kind="cellular", metered=True)


def test_addresses_are_canonical() -> None:
    address = InterfaceAddress(address="2001:DB8:0::7%eth0", prefix_length=64)
    assert (address.address, address.version) == ("2001:db8::7", 6)
    assert address == InterfaceAddress(address="2001:db8::7", prefix_length=64)
    assert not (address.deprecated or address.temporary or address.tentative or address.home)


@pytest.mark.parametrize(("address", "length"), [("x", 0), ("192.0.2.1", 33), ("::", 129)])
def test_what_is_no_address(address: str, length: int) -> None:
    with pytest.raises(ValueError):
        InterfaceAddress(address=address, prefix_length=length)


def test_what_is_no_interface() -> None:
    with pytest.raises(ValueError, match="kind must be one of"):
        Interface(name="x", kind="wi-fi")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name"):
        Interface(name="")
    with pytest.raises(ValueError, match="two interfaces"):
        ManualNetworks([WIFI, WIFI])
    with pytest.raises(TypeError):
        ManualNetworks().update(["wlan0"])  # type: ignore[list-item]


def test_outside_of_trio() -> None:
    """An application may fill the source before it starts."""
    source = ManualNetworks()
    assert isinstance(source, NetworkSource)
    assert source.snapshot() == ()
    assert source.update([WIFI, CELLULAR])
    assert not source.update([WIFI, CELLULAR])
    assert source.snapshot() == (WIFI, CELLULAR)
    assert source.version == 1


async def returns(source: NetworkSource) -> bool:
    """Whether `wait_changed` returns without anything happening any more."""
    with trio.move_on_after(1):
        await source.wait_changed()
        return True
    return False


async def test_no_update_is_missed(autojump_clock: trio.testing.MockClock) -> None:
    source = ManualNetworks()
    assert not await returns(source)
    # The wait was cancelled. What comes before the next one counts.
    source.update([WIFI])
    assert await returns(source)
    assert not await returns(source)
    source.update([CELLULAR])
    source.update([WIFI])
    # Another part of the task looks, and takes nothing away.
    source.snapshot()
    assert await returns(source)
    assert not await returns(source)
    source.notify()
    assert await returns(source)


async def test_from_the_first_snapshot_on(autojump_clock: trio.testing.MockClock) -> None:
    source = ManualNetworks()
    source.snapshot()
    source.update([WIFI])
    source.snapshot()
    assert await returns(source)
    assert not await returns(source)


async def test_a_wait_is_a_checkpoint_and_can_be_cancelled() -> None:
    source = ManualNetworks()
    source.snapshot()
    source.update([WIFI])
    with trio.CancelScope() as scope:
        scope.cancel()
        await source.wait_changed()
    assert scope.cancelled_caught
    # not consumed by the wait that was cancelled
    with trio.testing.assert_checkpoints():
        await source.wait_changed()


async def test_every_task_hears_of_every_update(autojump_clock: trio.testing.MockClock) -> None:
    """Slow ones as well: they see the newest state, and one wake-up may stand for several."""
    source = ManualNetworks()
    seen: dict[float, list[tuple[float, int]]] = {0.0: [], 2.5: []}

    async def watch(pause: float) -> None:
        while True:
            await source.wait_changed()
            seen[pause].append((trio.current_time() - start, len(source.snapshot())))
            await trio.sleep(pause)

    start = trio.current_time()
    with trio.move_on_after(10):
        async with trio.open_nursery() as nursery:
            for pause in seen:
                nursery.start_soon(watch, pause)
            await trio.sleep(1)
            source.update([WIFI])
            await trio.sleep(1)
            source.update([WIFI, CELLULAR])
            await trio.sleep(1)
            source.update([])
    assert seen == {0.0: [(1, 1), (2, 2), (3, 0)], 2.5: [(1, 1), (3.5, 0)]}


async def test_from_another_thread() -> None:
    source = ManualNetworks()
    token = trio.lowlevel.current_trio_token()

    def platform() -> None:
        trio.from_thread.run_sync(source.update, [WIFI], trio_token=token)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, platform)
        await source.wait_changed()
    assert source.snapshot() == (WIFI,)


def test_a_source_needs_both_methods() -> None:
    class Half:
        def snapshot(self) -> tuple[Interface, ...]:
            return ()

    assert not isinstance(Half(), trioquic.NetworkSource)
    assert isinstance(trioquic.system_networks(), trioquic.NetworkSource)
