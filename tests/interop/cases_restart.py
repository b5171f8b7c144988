"""The server goes away and comes back, at once or gracefully."""

import os
import signal
from contextlib import AsyncExitStack
from typing import Final

import trio

import trioquic
from tests.servers.kinds import H3
from trioquic import http3

from .bench import Bench, Site, children
from .cases_begin import SMALL
from .cases_transfer import MEGABYTE

_PATIENCE: Final = 10.0
_IN_FLIGHT: Final = 5
_LARGE: Final = 8 * MEGABYTE


async def restart(bench: Bench) -> str:
    """The server's process is killed and started again while a connection is idle: what does the
    next request on it find, and does a client that may make connections get its answer?"""
    name, content = bench.file(SMALL)
    async with bench.serving() as site, AsyncExitStack() as stack:
        talk = await stack.enter_async_context(site.talk())
        assert await talk.get(name) == content
        client = None
        if site.kind.alpn == H3:
            transport = trioquic.TransportConfig(**site.transport)
            client = await stack.enter_async_context(
                http3.Client(tls=site.tls, transport=transport)
            )
            assert (await client.get(site.url(name))).content == content
        await site.kill()
        await site.begin()
        begun = trio.current_time()
        if client is not None:
            with trio.fail_after(_PATIENCE):
                assert (await client.get(site.url(name))).content == content
        took = trio.current_time() - begun
        try:
            with trio.fail_after(_PATIENCE):
                await talk.get(name)
            found = "it answers"
        except (trioquic.ConnectionLostError, http3.HTTP3ConnectionError) as error:
            found = f"`{type(error.__cause__ or error).__name__}`"
        except trio.TooSlowError:
            found = f"no answer; its health is {talk.conn.health.state.value}"
        if client is None:
            async with site.talk() as again:
                assert await again.get(name) == content
            return f"the old connection: {found}; a new one works"
        return f"the old connection: {found}; `http3.Client` had its answer after {took:.1f} s"


async def _restart_gracefully(site: Site) -> None:
    """As whoever manages the machine does it, with what the server has for that."""
    package = site.kind.package
    if package == "nginx":
        master = site.server.process
        before = children(master.pid)
        site.signal(signal.SIGHUP)
        while not children(master.pid) - before:
            assert master.poll() is None, "it has ended"
            await trio.sleep(0.01)
    elif package == "haproxy":
        old = site.server.process
        await site.begin("-sf", str(old.pid))
        site.retired.append(old)
    else:
        # two processes at one port would share it, and the old one gets new connections, too
        words = ["reload" if word == "run" else word for word in site.launch.command]
        env = {**os.environ, **site.launch.env}
        await trio.run_process([*words, "--force"], env=env, capture_stderr=True)


async def graceful(bench: Bench) -> str:
    """Five responses are under way, and flow control keeps them there, while the server is told to
    make room for its successor. Then they are read to the end, and another request is made."""
    name, content = bench.file(_LARGE)
    small, little = bench.file(SMALL)
    complete = 0
    ends: list[str] = []
    async with (
        bench.serving() as site,
        http3.Client(tls=site.tls, transport=trioquic.TransportConfig(**site.transport)) as client,
    ):
        waiting = [trio.Event() for _ in range(_IN_FLIGHT)]
        go_on = trio.Event()

        async def one(begun: trio.Event) -> None:
            nonlocal complete
            try:
                async with client.stream("GET", site.url(name)) as response:
                    received = bytearray(await response.receive_some())
                    begun.set()
                    await go_on.wait()
                    async for piece in response:
                        received += piece
                assert received == content
                complete += 1
            except (trioquic.QuicError, http3.HTTP3Error, trio.ClosedResourceError) as error:
                begun.set()
                ends.append(type(error).__name__)

        with trio.fail_after(3 * _PATIENCE):
            async with trio.open_nursery() as nursery:
                for begun in waiting:
                    nursery.start_soon(one, begun)
                for begun in waiting:
                    await begun.wait()
                await _restart_gracefully(site)
                go_on.set()
                assert (await client.get(site.url(small))).content == little
    text = f"{complete} of {_IN_FLIGHT} responses came to their end"
    assert not ends, f"{text}; the others: {ends[0]}; the next request was answered"
    return f"{text}; the next request was answered"
