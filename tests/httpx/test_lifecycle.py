"""The transport as a block: how it is entered and left, and what comes out of it."""

import asyncio
import traceback
from contextlib import AsyncExitStack

import httpx
import pytest
import trio
import trio.testing
from trio.testing import MockClock

import trioquic
from trioquic.http3 import ErrorCode
from trioquic.httpx import HTTP3Transport

from .site import Site, pool_of, simulated_site, website
from .test_discovery import Around, options
from .test_void import lose_everything


async def test_it_works_in_a_block_only() -> None:
    client = httpx.AsyncClient(transport=HTTP3Transport())
    with pytest.raises(RuntimeError, match=r"async with.*nursery="):
        await client.get("https://127.0.0.1:1/")
    await client.aclose()
    transport = HTTP3Transport()
    await transport.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        async with transport:
            raise AssertionError("entered")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyboardInterrupt("x"),
        ExceptionGroup("g", [ValueError("x"), TypeError("y")]),
        httpx.ReadTimeout("x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_exception_comes_out_as_it_went_in(error: BaseException) -> None:
    async with website() as site:

        async def block() -> None:
            async with site.client() as client:
                async with client.stream("GET", "/part"):
                    raise error

        with pytest.raises(BaseException) as caught:
            await block()
        assert caught.value is error
        assert error.__cause__ is None
        assert error.__context__ is None
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert "block" in frames
        await site.applications[0].connection.closed.wait()


async def test_cancelled_from_outside() -> None:
    async with website() as site:
        with trio.move_on_after(60) as scope:
            async with site.client() as client:
                async with client.stream("GET", "/part"):
                    scope.cancel()
                    await trio.sleep_forever()
        assert scope.cancelled_caught
        await site.applications[0].connection.closed.wait()


async def test_cancelled_from_outside_and_an_exception() -> None:
    async with website() as site:

        async def block() -> None:
            with trio.CancelScope() as scope:
                async with site.client() as client:
                    await client.get("/bytes/1")
                    scope.cancel()
                    try:
                        await trio.sleep_forever()
                    finally:
                        raise ValueError("in spite of the cancellation")

        with pytest.raises(ValueError, match="in spite"):
            await block()
        await site.applications[0].connection.closed.wait()


async def test_a_graceful_end() -> None:
    async with website() as site:
        async with site.client() as client:
            await client.get("/bytes/1")
        connection = site.applications[0].connection
        await connection.closed.wait()
        assert connection.terminated is not None
        assert connection.terminated.error_code == ErrorCode.H3_NO_ERROR


async def test_the_end_with_a_response_open() -> None:
    async with website() as site:
        async with site.client() as client:
            response = await client.send(client.build_request("GET", "/part"), stream=True)
        with pytest.raises(httpx.ReadError) as caught:
            await response.aread()
        assert isinstance(caught.value.__cause__, trio.ClosedResourceError)
        with pytest.raises(RuntimeError):
            await client.get("/bytes/1")


async def test_closed_while_others_use_it() -> None:
    """Those who wait for a response or a connection are told."""
    async with website() as site, site.client(limits=httpx.Limits(max_connections=1)) as client:
        errors: list[httpx.TransportError] = []

        async def get(url: str) -> None:
            with pytest.raises(httpx.TransportError) as caught:
                await client.get(url)
            errors.append(caught.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(get, "/wait")
            while not site.applications or not site.applications[0].exchanges:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(get, "https://127.0.0.1:1/")
            await trio.testing.wait_all_tasks_blocked()
            await client.aclose()
        assert {type(error) for error in errors} == {httpx.ReadError, httpx.ConnectError}
        assert all(isinstance(error.__cause__, trio.ClosedResourceError) for error in errors)
        assert pool_of(client).connections == ()


async def test_one_transport_for_several_clients() -> None:
    """Connections are kept from one client to the next, and for several patterns of one client."""
    async with website() as site:
        async with site.transport() as transport:
            for _ in range(2):
                mounts = {"https://127.0.0.1": transport, "https://other.example": transport}
                async with httpx.AsyncClient(mounts=mounts) as client:
                    assert (await client.get(site.url + "/bytes/1")).status_code == 200
        assert len(site.applications) == 1
        await site.applications[0].connection.closed.wait()


async def get_from_both(client: httpx.AsyncClient, *sites: Site) -> None:
    for site in sites:
        assert (await client.get(site.url + "/bytes/1")).status_code == 200


@pytest.mark.parametrize("entered", [False, True])
async def test_two_transports_in_one_client(entered: bool) -> None:
    """httpx leaves them in the order in which it entered them, which nurseries cannot be left in;
    and blocks of their own do not mind."""
    async with website() as site, website() as other, AsyncExitStack() as stack:
        first, second = site.transport(), other.transport()
        if entered:
            await stack.enter_async_context(first)
            await stack.enter_async_context(second)
        mounts = {f"https://127.0.0.1:{other.port}": second}
        async with httpx.AsyncClient(transport=first, mounts=mounts) as client:
            await get_from_both(client, site, other)
        await stack.aclose()
        # those of the two sites
        assert len(trio.lowlevel.current_task().child_nurseries) == 2
        assert len(site.applications) == len(other.applications) == 1
        for each in (site, other):
            await each.applications[0].connection.closed.wait()


async def test_an_exception_with_two_transports() -> None:
    async with website() as site, website() as other:
        error = ValueError("x")
        mounts = {f"https://127.0.0.1:{other.port}": other.transport()}

        async def block() -> None:
            async with httpx.AsyncClient(transport=site.transport(), mounts=mounts) as client:
                await get_from_both(client, site, other)
                raise error

        with pytest.raises(ValueError, match="x") as caught:
            await block()
        assert caught.value is error
        for each in (site, other):
            await each.applications[0].connection.closed.wait()


async def test_cancelled_with_two_transports() -> None:
    async with website() as site, website() as other:
        mounts = {f"https://127.0.0.1:{other.port}": other.transport()}
        with trio.move_on_after(60) as scope:
            async with httpx.AsyncClient(transport=site.transport(), mounts=mounts) as client:
                await get_from_both(client, site, other)
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        for each in (site, other):
            await each.applications[0].connection.closed.wait()


async def test_transports_that_overlap() -> None:
    """The first one goes, the second one works on in the nursery that the first one brought."""
    async with website() as site, website() as other:
        first, second = site.transport(), other.transport()
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__()
        async with httpx.AsyncClient(transport=second) as client:
            await get_from_both(client, other)
        await second.__aexit__()
        async with site.client() as client:
            await get_from_both(client, site)


async def test_closed_by_another_task() -> None:
    async with website() as site, trio.open_nursery() as nursery:
        async with site.client() as client:
            async with client.stream("GET", "/part") as response:
                nursery.start_soon(client.aclose)
                with pytest.raises(httpx.ReadError):
                    await response.aread()
            with pytest.raises(RuntimeError, match="closed"):
                await client._transport.handle_async_request(client.build_request("GET", "/"))


async def test_a_client_that_is_never_entered() -> None:
    """With a nursery of the application's it is as with httpx itself: any task begins, any closes,
    and the nursery waits for that."""
    async with website() as site:
        async with trio.open_nursery() as nursery:
            transport = site.transport(nursery=nursery)
            client = httpx.AsyncClient(transport=transport, base_url=site.url, timeout=20)
            async with trio.open_nursery() as others:
                for _ in range(5):
                    others.start_soon(client.get, "/bytes/1")
            nursery.start_soon(get_and_close, client)
        (application,) = site.applications
        await application.connection.closed.wait()
        assert application.connection.terminated is not None
        assert application.connection.terminated.error_code == ErrorCode.H3_NO_ERROR


async def get_and_close(client: httpx.AsyncClient) -> None:
    assert (await client.get("/bytes/1")).status_code == 200
    await client.aclose()
    await client.aclose()


async def test_entered_here_and_left_there() -> None:
    async with website() as site, trio.open_nursery() as nursery, trio.open_nursery() as others:
        transport = site.transport(nursery=nursery)
        client = httpx.AsyncClient(transport=transport, base_url=site.url)
        others.start_soon(client.__aenter__)
        while not transport._home._depth:
            await trio.lowlevel.checkpoint()
        assert (await client.get("/bytes/1")).status_code == 200
        others.start_soon(client.__aexit__, None, None, None)


async def test_the_nursery_is_cancelled() -> None:
    """Then nobody has to close it, and requests say so."""
    async with website() as site:
        async with trio.open_nursery() as nursery:
            transport = site.transport(nursery=nursery)
            client = httpx.AsyncClient(transport=transport, base_url=site.url)
            await client.get("/bytes/1")
            nursery.cancel_scope.cancel()
        with pytest.raises(RuntimeError, match="closed"):
            await client.get("/bytes/1")
        await client.aclose()


def test_asyncio_is_told() -> None:
    """In one sentence, before anything is started."""

    async def enter() -> None:
        async with httpx.AsyncClient(transport=HTTP3Transport()):
            raise AssertionError("entered")

    async def get() -> None:
        await httpx.AsyncClient(transport=HTTP3Transport()).get("https://127.0.0.1:1/")

    for wrong in (enter, get):
        with pytest.raises(RuntimeError, match=r"on trio only: .*trio.run"):
            asyncio.run(wrong())


async def test_it_belongs_to_one_task() -> None:
    async def enter() -> None:
        with pytest.raises(RuntimeError, match="task"):
            async with transport:
                raise AssertionError("entered")

    async with HTTP3Transport() as transport, trio.open_nursery() as nursery:
        nursery.start_soon(enter)


class Entered(httpx.AsyncBaseTransport):
    """A fallback that counts."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def __aenter__(self) -> "Entered":
        self.log.append("enter")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.log.append("exit")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=str(request.url))


async def test_the_fallback_is_entered_and_left_once() -> None:
    fallback = Entered()
    async with httpx.AsyncClient(transport=HTTP3Transport(fallback=fallback)) as client:
        assert fallback.log == ["enter"]
        # an http URL is none of HTTP/3's business
        assert (await client.get("http://127.0.0.1/x")).text == "http://127.0.0.1/x"
    assert fallback.log == ["enter", "exit"]


async def test_cancelled_while_it_begins() -> None:
    """Only whoever was cancelled suffers from it; others begin anew."""

    class Slow(Entered):
        def __init__(self) -> None:
            super().__init__()
            self.hindered = True
            self.scope = trio.CancelScope()

        async def __aenter__(self) -> "Slow":
            await super().__aenter__()
            if self.hindered:
                await trio.sleep_forever()
            # in the moment in which it has begun
            self.scope.cancel()
            return self

    fallback = Slow()
    async with trio.open_nursery() as nursery:
        transport = HTTP3Transport(fallback=fallback, nursery=nursery)
        client = httpx.AsyncClient(transport=transport)
        with trio.move_on_after(0.01) as scope:
            await client.get("http://127.0.0.1/x")
        assert scope.cancelled_caught
        fallback.hindered = False
        with fallback.scope:
            await client.get("http://127.0.0.1/x")
        assert fallback.log == ["enter", "enter", "exit"]
        assert (await client.get("http://127.0.0.1/x")).text == "http://127.0.0.1/x"
        await client.aclose()
    assert fallback.log == ["enter", "enter", "exit", "enter", "exit"]


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("patient", [True, False])
async def test_closed_by_another_task_while_it_begins(given: bool, patient: bool) -> None:
    """Closing ends when all has ended, and whoever begins is told."""
    begins, may_begin = trio.Event(), trio.Event()

    class Slow(Entered):
        async def __aenter__(self) -> "Slow":
            begins.set()
            await may_begin.wait()
            await super().__aenter__()
            return self

        async def __aexit__(self, *_: object) -> None:
            await trio.lowlevel.checkpoint()
            await super().__aexit__()

    fallback = Slow()

    async def begin() -> None:
        with pytest.raises(RuntimeError, match="closed"):
            await transport.__aenter__()

    async def close() -> None:
        await begins.wait()
        with trio.CancelScope() as scope:
            if not patient:
                scope.cancel()
            await transport.aclose()
            assert fallback.log == ["enter", "exit"]

    async with trio.open_nursery() as nursery:
        transport = HTTP3Transport(fallback=fallback, nursery=nursery if given else None)
        nursery.start_soon(begin)
        nursery.start_soon(close)
        await trio.testing.wait_all_tasks_blocked()
        may_begin.set()
    assert fallback.log == (["enter", "exit"] if patient else [])
    await transport.aclose()


async def test_a_nursery_that_takes_no_more_tasks() -> None:
    async with trio.open_nursery() as nursery:
        transport = HTTP3Transport(nursery=nursery)
    with pytest.raises(RuntimeError, match="Nursery is closed"):
        await httpx.AsyncClient(transport=transport).get("http://127.0.0.1/x")
    await transport.aclose()


@pytest.mark.parametrize("outage", [False, True])
async def test_nothing_goes_around_http3_after_the_end(
    autojump_clock: MockClock, outage: bool
) -> None:
    """Neither a request that waits for a connection nor one that looks for a way out of an outage:
    nobody would close what they open."""
    around = Around()
    async with simulated_site() as site, trio.open_nursery() as nursery:
        transport = site.transport(nursery=nursery, **options(around, site, head_start=4.0))
        client = httpx.AsyncClient(transport=transport, base_url=site.url, timeout=9)
        if outage:
            await client.get("/bytes/1")
        lose_everything(site)
        around.error = httpx.ConnectError
        end = trio.current_time() + 2

        async def get() -> None:
            with pytest.raises(httpx.TransportError):
                await client.get("/bytes/1")
            assert trio.current_time() - end < 1.0

        nursery.start_soon(get)
        await trio.sleep_until(end)
        around.times.clear()
        await client.aclose()
        await trio.sleep(20)
        assert around.times == []


async def test_failed_while_it_begins() -> None:
    class Broken(Entered):
        async def __aenter__(self) -> "Broken":
            await super().__aenter__()
            if len(self.log) == 1:
                raise OSError("not yet")
            return self

    async with trio.open_nursery() as nursery:
        client = httpx.AsyncClient(transport=HTTP3Transport(fallback=Broken(), nursery=nursery))
        with pytest.raises(OSError, match="not yet"):
            await client.get("http://127.0.0.1/x")
        assert (await client.get("http://127.0.0.1/x")).status_code == 200
        await client.aclose()


def test_arguments() -> None:
    with pytest.raises(ValueError, match="mode"):
        HTTP3Transport(mode="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fallback"):
        HTTP3Transport(mode="only", fallback=Entered())
    pinned = trioquic.TLSConfig(fingerprint=bytes(32))
    with pytest.raises(ValueError, match="fingerprint"):
        HTTP3Transport(tls=pinned)
    assert repr(HTTP3Transport(tls=pinned, mode="only")) == "<HTTP3Transport only>"
    HTTP3Transport(tls=pinned, fallback=Entered())


async def test_it_is_not_left_inside_a_nursery_opened_after_it() -> None:
    """trio would end the whole run with "Nursery misnesting"; the transport is as it was."""
    async with simulated_site() as site:
        transport = site.transport()
        client = httpx.AsyncClient(transport=transport, base_url=site.url)
        await transport.__aenter__()
        async with trio.open_nursery():
            with pytest.raises(RuntimeError, match="opened after it"):
                await transport.__aexit__(None, None, None)
            assert (await client.get("/bytes/1")).status_code == 200
        await transport.__aexit__(None, None, None)
        with pytest.raises(RuntimeError, match="closed"):
            await client.get("/bytes/1")


async def test_of_two_the_first_is_left_inside_a_later_nursery() -> None:
    async with simulated_site() as site:
        first, second = site.transport(), site.transport()
        await first.__aenter__()
        await second.__aenter__()
        async with trio.open_nursery():
            await first.__aexit__(None, None, None)
        await second.__aexit__(None, None, None)
