"""The application moves the connection while the supervisor does."""

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import get
from tests.sim_server import PORT, ServerOptions, pattern
from tests.sim_world import CELLULAR, PREFERRED, SERVER

from .phone import phone


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.12])
async def test_a_move_while_the_preferred_address_is_reached(
    autojump_clock: trio.testing.MockClock, delay: float
) -> None:
    """The path to the original address is given up in the middle of its validation (RFC 9000
    section 9.6.2); the move goes on with one to the preferred address."""
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    async with phone(options=options) as here:
        await trio.sleep(delay)
        path = await here.conn.migrate(local=CELLULAR)
        assert here.conn.active_path is path
        assert path.local[0] == CELLULAR
        assert await get(here.conn, 5000) == pattern(5000)
        await here.until(trioquic.PreferredAddressResult)
        assert here.conn.active_path.remote[0] in (SERVER, PREFERRED)
