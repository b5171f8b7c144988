"""The connection ends while others wait, raise, or are cancelled themselves."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from aioquic.quic.packet import QuicTransportParameters

import trioquic
from tests.runtime.world import dial, get
from tests.sim_server import ServerOptions, pattern
from tests.sim_world import SERVER
from trioquic._protocol.connection import ClientConnection

from .harness import Bench, Cut, PlantedError, bench, sweep

CODE = 5
TRANSPORT = trioquic.TransportConfig(send_buffer=1000, idle_timeout=1.0)


class Odd(BaseException):
    """Neither an Exception nor one that Python knows."""


KINDS = (PlantedError, KeyboardInterrupt, Odd)


def scanty() -> ServerOptions:
    """A server that allows two streams of each kind and no data on half of them."""

    def limit(parameters: QuicTransportParameters) -> None:
        parameters.initial_max_streams_bidi = 2
        parameters.initial_max_streams_uni = 2
        parameters.initial_max_stream_data_uni = 0

    return ServerOptions(parameters=limit)


def server_closes(b: Bench, conn: trioquic.Connection) -> None:
    b.server.quic.close(error_code=CODE, reason_phrase="that is all")
    b.server.flush()


def network_dies(b: Bench, conn: trioquic.Connection) -> None:
    b.world.wifi.link.blackhole()


def application_closes(b: Bench, conn: trioquic.Connection) -> None:
    async def close() -> None:
        await conn.aclose()

    b.world.phone.start_soon(close)


def bug_shows(b: Bench, conn: trioquic.Connection) -> None:
    def transmit(*_: object) -> None:
        raise PlantedError("a bug")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientConnection, "transmit", transmit)
        with pytest.raises(trioquic.InternalError):
            conn.ping()


ENDS = {
    server_closes: trioquic.PeerClosedError,
    network_dies: trioquic.IdleTimeoutError,
    application_closes: trio.ClosedResourceError,
    bug_shows: trioquic.InternalError,
}
End = Callable[[Bench, trioquic.Connection], None]


async def keep_waiting(
    operation: Callable[[], Awaitable[object]], errors: list[BaseException], times: set[float]
) -> None:
    """An operation that can only end with the connection."""
    try:
        await operation()
    except Exception as error:
        errors.append(error)
        times.add(trio.current_time())
    else:
        raise AssertionError(f"{operation} came to its end")


async def waiting_operations(
    conn: trioquic.Connection,
) -> list[Callable[[], Awaitable[object]]]:
    """Everything that a task can wait for, with nothing that would end the wait."""
    first = await conn.open_stream()
    second = await conn.open_stream()
    await first.send_all(b"WAIT 1000 10\r\n")
    await first.send_eof()
    clogged = await conn.open_send_stream()
    full = await conn.open_send_stream()
    await clogged.send_all(bytes(1000))
    await full.send_all(bytes(1000))
    assert isinstance(second, trioquic.Stream)

    async def closed() -> None:
        raise await conn.wait_closed()

    return [
        closed,
        closed,
        first.receive_some,
        second.receive_some,
        lambda: clogged.send_all(b"more"),
        full.wait_send_all_might_not_block,
        conn.open_stream,
        conn.open_stream,
        conn.open_send_stream,
        conn.accept_stream,
        conn.accept_stream,
    ]


@pytest.mark.parametrize(("end", "kind"), ENDS.items())
async def test_everyone_who_waits_gets_an_error_of_its_own(
    autojump_clock: trio.testing.MockClock, end: End, kind: type[Exception]
) -> None:
    async with bench(scanty()) as b:
        errors: list[BaseException] = []
        times: set[float] = set()
        async with dial(b.world, SERVER, transport=TRANSPORT) as conn:
            operations = await waiting_operations(conn)
            await conn.wait_handshake_confirmed()
            await trio.sleep(0.5)
            if end is not network_dies:
                # A validation is given up before an idle connection is.
                b.world.cellular.link.blackhole()
                path = await conn.add_path(interface="wwan0")
                operations += [path.validate, path.validate]
                operations += [lambda: conn.migrate(interface="wwan0")]
            async with conn.path_events() as events, trio.open_nursery() as nursery:
                for operation in operations:
                    nursery.start_soon(keep_waiting, operation, errors, times)
                await trio.testing.wait_all_tasks_blocked()
                assert errors == []
                end(b, conn)
                # The events end as well, and as an end.
                told = [type(event) async for event in events]
                # The move opens no path of its own: the one that is validated leads there.
                assert told == ([trioquic.PathDegraded] if end is network_dies else [])
        assert len(errors) == len(operations)
        # all of them at once
        assert len(times) == 1
        assert {type(error) for error in errors} == {kind}
        assert len({id(error) for error in errors}) == len(errors)
        # No two share a traceback or a context either.
        assert len({id(error.__traceback__) for error in errors}) == len(errors)
        if kind is trioquic.PeerClosedError:
            assert all(getattr(error, "code", None) == CODE for error in errors)
        b.nothing_open()


@pytest.mark.parametrize("end", [server_closes, application_closes])
async def test_an_exception_while_the_connection_ends(
    autojump_clock: trio.testing.MockClock, end: End
) -> None:
    """The application's own exception beats the loss, whenever it comes."""

    async def case(cut: Cut) -> None:
        planted = KINDS[cut.at % len(KINDS)]("planted")
        async with bench() as b:

            async def block() -> None:
                async with dial(b.world) as conn:
                    await conn.wait_handshake_confirmed()
                    stream = await conn.open_stream()
                    with cut:
                        end(b, conn)
                        try:
                            await stream.receive_some()
                        except (trioquic.PeerClosedError, trio.ClosedResourceError):
                            # until everything has ended
                            await trio.sleep(1)
                    raise planted

            with pytest.raises(type(planted)) as caught:
                await block()
            assert caught.value is planted
            assert planted.__cause__ is None
            assert planted.__context__ is None
            b.nothing_open()

    await sweep(case, least=8)


@pytest.mark.parametrize("end", [server_closes, application_closes])
async def test_cancelled_while_the_connection_ends(
    autojump_clock: trio.testing.MockClock, end: End
) -> None:
    async def case(cut: Cut) -> None:
        async with bench() as b:
            lost = False
            with cut.later():
                try:
                    async with dial(b.world) as conn:
                        await conn.wait_handshake_confirmed()
                        stream = await conn.open_stream()
                        cut.arm()
                        end(b, conn)
                        await stream.receive_some()
                except (trioquic.PeerClosedError, trio.ClosedResourceError):
                    lost = True
            assert cut.caught is not lost
            b.nothing_open()
            await trio.sleep(5)
            assert b.server.terminated is not None

    await sweep(case, least=8)


async def test_whatever_is_raised_at_any_moment(autojump_clock: trio.testing.MockClock) -> None:
    """It comes out as it went in, at once, and the server is told with one datagram."""

    async def case(cut: Cut) -> None:
        planted = KINDS[cut.at % len(KINDS)]("planted")
        moment = 0.0
        async with bench() as b:

            async def block() -> None:
                nonlocal moment
                async with dial(b.world, SERVER) as conn:
                    with cut:
                        assert await get(conn, 2000) == pattern(2000)
                        await conn.migrate(interface="wwan0")
                    moment = trio.current_time()
                    raise planted

            with pytest.raises(type(planted)) as caught:
                await block()
            assert caught.value is planted
            assert planted.__cause__ is None
            assert planted.__context__ is None
            assert trio.current_time() == moment
            await b.nothing_left()

    await sweep(case, least=40)
