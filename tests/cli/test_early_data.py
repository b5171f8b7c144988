"""Downloads that begin before the server has answered, in the simulator."""

from typing import Any

import pytest
import trio.testing

import trioquic
from tests.sim_server import NAME, pattern
from tests.sim_world import PREFERRED, SERVER
from trioquic.cli import failures

from .test_downloads import Memory, web

Clock = trio.testing.MockClock
pytestmark = pytest.mark.usefixtures("calendar")


async def test_too_early_is_asked_again_later(autojump_clock: Clock) -> None:
    """RFC 8470 section 5.2."""
    async with web(session_tickets=True) as here:
        sessions = trioquic.MemorySessions()
        for early_data, asked in ((True, 1), (False, 1), (True, 2)):
            job, (connection,) = await here.fetch(
                "/late", Memory(), sessions=sessions, early_data=early_data
            )
            assert job.error is None
            assert len(here.servers[-1].asked) == asked
        assert connection["early_data"] == "accepted"


async def test_a_server_that_is_not_where_it_was(autojump_clock: Clock) -> None:
    async with web(session_tickets=True) as here:
        sessions = trioquic.MemorySessions()
        transport = trioquic.TransportConfig(handshake_timeout=2)
        options: dict[str, Any] = {"sessions": sessions, "early_data": True, "transport": transport}
        await here.fetch("/bytes/5000", Memory(), **options)
        here.world.server_interface.remove_address(SERVER)
        here.world.server_host.icmp = False
        here.world.net.name(NAME, SERVER, PREFERRED)
        sink = Memory()
        job, (connection,) = await here.fetch("/bytes/5000", sink, copies=10, **options)
        assert job.error is None
        assert sink.content == pattern(5000)
        assert connection["early_data"] == "none"
        [line] = here.shown.lines
        assert line.startswith(f"no connection with early data to {NAME}:4433: ")
        assert len(here.servers) == 2

        here.world.server_interface.remove_address(PREFERRED)
        job, connections = await here.fetch("/bytes/5000", Memory(), **options)
        assert (job.exit_code, connections) == (failures.NO_CONNECTION, [])
