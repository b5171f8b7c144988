"""Cancelled while a name is asked for: whoever asks the same meanwhile connects all the same."""

import copy
import socket
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.test_lookup import LATER, UNKNOWN, Slow
from tests.runtime.world import dial
from tests.sim_server import NAME
from tests.sim_world import SERVER, SERVER6

from .harness import Cut, bench, sweep

DEAD6 = "2001:db8:1::99"
TRANSPORT = trioquic.TransportConfig(handshake_timeout=0.4)
Answer = tuple[float, Any]


@pytest.mark.parametrize(
    ("ipv6", "ipv4"),
    [
        # one family, and then the other one
        ((0.02, [SERVER6]), (1.0, [SERVER])),
        ((1.0, [SERVER6]), (0.02, [SERVER])),
        ((0.1, [DEAD6]), (0.12, [SERVER])),
        # one is not there, or cannot be asked for
        ((0.02, UNKNOWN), (0.04, [SERVER])),
        ((0.04, LATER), (0.02, [SERVER])),
    ],
)
async def test_one_of_two_who_ask(
    autojump_clock: trio.testing.MockClock, ipv6: Answer, ipv4: Answer
) -> None:
    async def case(cut: Cut) -> None:
        async with bench() as b:
            inner = trio.socket.set_custom_hostname_resolver(None)
            assert inner is not None
            resolver = Slow(inner, ipv6=ipv6, ipv4=ipv4)
            trio.socket.set_custom_hostname_resolver(resolver)
            others = 0

            async def other() -> None:
                nonlocal others
                async with dial(b.world, NAME, transport=TRANSPORT):
                    others += 1

            entered = False
            async with trio.open_nursery() as nursery:
                nursery.start_soon(other)
                with cut:
                    async with dial(b.world, NAME, transport=TRANSPORT):
                        entered = True
            assert cut.caught or entered
            assert others == 1
            await trio.testing.wait_all_tasks_blocked()
            assert resolver.under_way == 0
            b.nothing_open()

    await sweep(case, least=20)


async def test_nobody_knows_the_name(autojump_clock: trio.testing.MockClock) -> None:
    async def case(cut: Cut) -> None:
        async with bench() as b:
            inner = trio.socket.set_custom_hostname_resolver(None)
            assert inner is not None
            resolver = Slow(inner, ipv6=(0.02, UNKNOWN), ipv4=(0.04, copy.copy(LATER)))
            trio.socket.set_custom_hostname_resolver(resolver)
            error: socket.gaierror | None = None
            with cut:
                try:
                    async with dial(b.world, NAME):
                        raise AssertionError("connected")
                except socket.gaierror as raised:
                    error = raised
            assert cut.caught is (error is None)
            assert error is None or error.errno == socket.EAI_AGAIN
            await trio.testing.wait_all_tasks_blocked()
            assert resolver.under_way == 0
            b.nothing_open()

    await sweep(case, least=5)
