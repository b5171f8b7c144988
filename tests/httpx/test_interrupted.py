"""Ctrl-C and the like in a program that opens no nursery: what comes out is that, and no group."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trioquic
from trioquic._groups import hidden_nursery
from trioquic.cli import console
from trioquic.http3 import connection, open_http3
from trioquic.http3.client.connection import PooledConnection
from trioquic.httpx import _tcp
from trioquic.httpx._tcp import Backend
from trioquic.testing import SimulatedNetwork

from .site import simulated_site
from .test_tcp import Everywhere

KINDS = [KeyboardInterrupt, SystemExit]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["_close_on_fault", "_watch_health"])
async def test_in_a_task_of_the_transport(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
    where: str,
) -> None:
    """trio delivers Ctrl-C in whatever task runs, the hidden ones of each layer included."""

    async def interrupted(*_: Any) -> None:
        await trio.sleep(1)
        raise kind

    if where == "_watch_health":
        monkeypatch.setattr(PooledConnection, where, interrupted)
    else:
        monkeypatch.setattr(connection, where, interrupted)

    async def work() -> None:
        async with simulated_site() as site, site.client() as client:
            while True:
                await client.get("/bytes/100000")

    with pytest.raises(kind):
        await work()


@pytest.mark.parametrize("kind", KINDS)
async def test_in_a_task_of_http3(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    async def interrupted(*_: Any) -> None:
        await trio.sleep(1)
        raise kind

    async def work() -> None:
        async with simulated_site() as site:
            tls = trioquic.TLSConfig(verify=False)
            async with (
                trioquic.open_connection(site.host, site.port, alpn=["h3"], tls=tls) as quic,
                open_http3(quic) as http,
                http.request("GET", f"{site.url}/part", any_origin=True) as response,
            ):
                await response.read()

    monkeypatch.setattr(connection, "_close_on_fault", interrupted)
    with pytest.raises(kind):
        await work()


@pytest.mark.parametrize("kind", KINDS)
async def test_while_the_fallback_connects(
    monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    async def interrupted(*_: Any) -> None:
        raise kind

    monkeypatch.setattr(_tcp, "_connected", interrupted)
    with pytest.raises(kind):
        await Backend(Everywhere()).connect_tcp("127.0.0.1", 9, timeout=1)


async def test_cancelled_as_the_block_ends() -> None:
    async def work() -> None:
        async with hidden_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            scope.cancel()

    with trio.CancelScope() as scope:
        with pytest.raises(trio.Cancelled):
            await work()


async def test_in_a_task_of_a_simulated_host(autojump_clock: MockClock) -> None:
    async def interrupted() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyboardInterrupt

    async def failed() -> None:
        await trio.sleep(1)
        raise ValueError

    async def work() -> None:
        async with SimulatedNetwork() as net:
            net.host("a").start_soon(failed)
            net.host("b").start_soon(interrupted)
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        await work()


def test_in_a_command_beside_something_else() -> None:
    async def work() -> None:
        raise BaseExceptionGroup("of a nursery", [ValueError(), KeyboardInterrupt()])

    with pytest.raises(SystemExit) as caught:
        console.run(work)
    assert caught.value.code == console.INTERRUPTED
