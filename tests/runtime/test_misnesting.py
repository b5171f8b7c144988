"""Cancel scopes that the application closes out of turn: trio says so, and nobody calls that a bug
in trioquic. Nothing hangs, and no socket stays open.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import httpx
import pytest
import trio
import trio.testing

import trioquic
from tests.httpx.site import Site, simulated_site
from tests.sim_server import credentials
from trioquic.http3 import open_http3

from .world import open_sockets

Block = Callable[[Site], AbstractAsyncContextManager[None]]
Misnest = Callable[[AbstractAsyncContextManager[None]], Awaitable[None]]
CORRUPTED = "Cancel scope stack corrupted"


@asynccontextmanager
async def connection(site: Site) -> AsyncIterator[None]:
    """With something to send, so that tasks have work to do when it happens."""
    tls = trioquic.TLSConfig(ca_data=credentials().ca_pem)
    async with trioquic.open_connection(site.host, site.port, alpn=["h3"], tls=tls) as conn:
        stream = await conn.open_stream()
        await stream.send_all(b"x")
        yield


@asynccontextmanager
async def http3(site: Site) -> AsyncIterator[None]:
    tls = trioquic.TLSConfig(ca_data=credentials().ca_pem)
    async with (
        trioquic.open_connection(site.host, site.port, alpn=["h3"], tls=tls) as conn,
        open_http3(conn) as http,
        http.request("GET", f"{site.url}/part", any_origin=True),
    ):
        yield


@asynccontextmanager
async def client(site: Site) -> AsyncIterator[None]:
    async with site.client() as opened:
        assert (await opened.get("/bytes/1")).status_code == httpx.codes.OK
        yield


async def outside_in(block: AbstractAsyncContextManager[None]) -> None:
    scope = trio.CancelScope()
    scope.__enter__()
    async with block:
        scope.__exit__(None, None, None)


async def outside_in_unheard(block: AbstractAsyncContextManager[None]) -> None:
    scope = trio.CancelScope()
    scope.__enter__()
    async with block:
        with suppress(RuntimeError):
            scope.__exit__(None, None, None)
        await trio.lowlevel.checkpoint()


async def inside_out(block: AbstractAsyncContextManager[None]) -> None:
    scope = trio.CancelScope()
    async with block:
        scope.__enter__()
    scope.__exit__(None, None, None)


def raised(block: Block, misnest: Misnest) -> BaseException | None:
    """What comes out of a task of its own, which trio cannot use any more afterwards."""
    found: list[BaseException] = []

    async def attempt(site: Site) -> None:
        try:
            await misnest(block(site))
        except Exception as error:
            found.append(error)

    async def main() -> None:
        async with simulated_site() as site:
            assert site.world is not None
            with trio.fail_after(100):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(attempt, site)
            assert open_sockets(site.world) == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return found[0] if found else None


@pytest.mark.parametrize("misnest", [outside_in, inside_out])
@pytest.mark.parametrize("block", [connection, http3, client])
def test_trio_says_it(block: Block, misnest: Misnest) -> None:
    error = raised(block, misnest)
    assert type(error) is RuntimeError
    assert str(error).startswith(CORRUPTED)


@pytest.mark.parametrize("block", [connection, http3, client])
def test_who_does_not_hear_that_is_told_of_no_bug_either(block: Block) -> None:
    error = raised(block, outside_in_unheard)
    assert not isinstance(error, trioquic.InternalError)
