"""`open_connection` hides a nursery: what the application raises comes out as it went in."""

import traceback
import weakref

import pytest
import trio
import trio.testing

import trioquic
from tests.uncollected import uncollected
from trioquic._groups import hidden_nursery
from trioquic._protocol.connection import ClientConnection
from trioquic._runtime.opening import race

from .world import dial, get, open_sockets, phone_world


class Odd(BaseException):
    """Neither an Exception nor one that Python knows."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyboardInterrupt("x"),
        SystemExit(3),
        Odd("x"),
        StopIteration("x"),
        StopAsyncIteration("x"),
        RuntimeError("x"),
        ExceptionGroup("g", [ValueError("x"), TypeError("y")]),
        BaseExceptionGroup("g", [KeyboardInterrupt("x")]),
        trioquic.InternalError("raised by the application"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_exception_comes_out_as_it_went_in(
    autojump_clock: trio.testing.MockClock, error: BaseException
) -> None:
    async with phone_world() as world:
        with pytest.raises(BaseException) as caught:
            async with dial(world):
                raise error
        assert caught.value is error
        assert error.__cause__ is None
        assert error.__context__ is None
        assert open_sockets(world) == 0
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert "test_an_exception_comes_out_as_it_went_in" in frames


async def test_cause_and_context_are_kept(autojump_clock: trio.testing.MockClock) -> None:
    first = ValueError("first")
    cause = KeyError("cause")
    async with phone_world() as world:

        async def block() -> None:
            async with dial(world):
                try:
                    raise first
                except ValueError:
                    raise TypeError("second") from cause

        with pytest.raises(TypeError) as caught:
            await block()
        assert caught.value.__context__ is first
        assert caught.value.__cause__ is cause


async def test_a_nursery_in_the_block_raises_its_own_group(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def fail() -> None:
        raise ValueError("x")

    async with phone_world() as world:

        async def block() -> None:
            async with dial(world):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fail)
                    nursery.start_soon(trio.sleep_forever)

        with pytest.raises(ExceptionGroup) as caught:
            await block()
        assert [type(e) for e in caught.value.exceptions] == [ValueError]


async def test_cancelled_from_outside(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        with trio.move_on_after(1) as scope:
            async with dial(world):
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert open_sockets(world) == 0


async def test_cancelled_from_outside_and_an_exception(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:

        async def block() -> None:
            with trio.move_on_after(1):
                async with dial(world):
                    try:
                        await trio.sleep_forever()
                    finally:
                        raise ValueError("in spite of the cancellation")

        with pytest.raises(ValueError, match="in spite"):
            await block()
        assert open_sockets(world) == 0


async def test_a_scope_inside_the_block(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            with trio.move_on_after(1) as scope:
                await conn.accept_stream()
            assert scope.cancelled_caught
            assert await get(conn, 1000)


async def test_leaving_early(autojump_clock: trio.testing.MockClock) -> None:
    async def leave(world: object) -> int:
        async with dial(world):  # type: ignore[arg-type]
            return 7

    async with phone_world() as world:
        assert await leave(world) == 7
        for _ in range(3):
            async with dial(world):
                break
        assert open_sockets(world) == 0


async def test_cancelled_while_leaving(autojump_clock: trio.testing.MockClock) -> None:
    """The server's end is cut, so that the drain has to wait; then the caller loses patience."""
    async with phone_world() as world:
        with trio.move_on_after(2) as scope:
            async with dial(world) as conn:
                world.wifi.link.blackhole()
                stream = await conn.open_send_stream()
                await stream.send_all(b"unheard")
                await stream.aclose()
        assert scope.cancelled_caught
        assert trio.current_time() == pytest.approx(2.0)
        assert open_sockets(world) == 0


class PlantedError(Exception):
    """What a bug of ours might raise."""


def break_core(patch: pytest.MonkeyPatch) -> None:
    def receive(*_: object) -> None:
        raise PlantedError("a bug")

    patch.setattr(ClientConnection, "receive", receive)


async def test_a_bug_in_a_task_is_an_internal_error(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phone_world() as world:

        async def block() -> None:
            async with dial(world) as conn:
                await conn.wait_handshake_confirmed()
                break_core(monkeypatch)
                conn.ping()
                await trio.sleep_forever()

        with pytest.raises(trioquic.InternalError) as caught:
            await block()
        assert isinstance(caught.value.__cause__, PlantedError)
        assert open_sockets(world) == 0


async def test_who_handles_quic_errors_does_not_swallow_a_bug(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trioquic.InternalError.__bases__ == (Exception,)

    def transmit(*_: object) -> None:
        raise PlantedError("a bug")

    async with phone_world() as world:

        async def block() -> None:
            async with dial(world) as conn:
                with monkeypatch.context() as patch:
                    patch.setattr(ClientConnection, "transmit", transmit)
                    try:
                        conn.ping()
                    except (trioquic.QuicError, OSError, trio.BrokenResourceError):
                        raise AssertionError("taken for the network's doing") from None

        with pytest.raises(trioquic.InternalError):
            await block()


async def test_a_bug_beats_an_exception_and_keeps_it_as_context(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phone_world() as world:

        async def block() -> None:
            async with dial(world) as conn:
                break_core(monkeypatch)
                conn.ping()
                try:
                    await trio.sleep_forever()
                finally:
                    raise ValueError("of the application")

        with pytest.raises(trioquic.InternalError) as caught:
            await block()
        assert isinstance(caught.value.__cause__, PlantedError)
        assert open_sockets(world) == 0


async def test_after_a_bug_every_call_fails(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def transmit(*_: object) -> None:
        raise PlantedError("a bug")

    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_stream()
            with monkeypatch.context() as patch:
                patch.setattr(ClientConnection, "transmit", transmit)
                with pytest.raises(trioquic.InternalError):
                    conn.ping()
            errors = []
            for call in (stream.receive_some, conn.open_stream, conn.accept_stream):
                with pytest.raises(trioquic.InternalError) as caught:
                    await call()
                errors.append(caught.value)
                assert isinstance(caught.value.__cause__, PlantedError)
            assert len({id(error) for error in errors}) == 3
        assert open_sockets(world) == 0


async def test_a_bug_before_the_block(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phone_world() as world:
        break_core(monkeypatch)
        with pytest.raises(trioquic.InternalError):
            async with dial(world):
                raise AssertionError("connected")
        assert open_sockets(world) == 0
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                await trioquic.connect(nursery, "198.51.100.1", 4433, alpn=["hq-interop"])
        assert caught.group_contains(trioquic.InternalError, depth=1)
        assert open_sockets(world) == 0


async def test_a_bug_before_the_first_attempt(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ways_to(*_: object) -> None:
        raise PlantedError("a bug")

    async with phone_world() as world:
        monkeypatch.setattr(race, "ways_to", ways_to)
        with pytest.raises(trioquic.InternalError, match="a bug in trioquic: Planted") as caught:
            async with dial(world):
                raise AssertionError("connected")
        assert isinstance(caught.value.__cause__, ExceptionGroup)
        assert open_sockets(world) == 0


async def test_a_bug_is_freed_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Without the garbage collector: no frame of its traceback refers to it."""

    async def crash() -> None:
        raise ValueError("a bug")

    with uncollected():
        try:
            async with hidden_nursery() as nursery:
                nursery.start_soon(crash)
                await trio.sleep_forever()
        except trioquic.InternalError as error:
            seen = weakref.ref(error)
        assert seen() is None
