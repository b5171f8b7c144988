"""Routes may depend on the server's port, so whoever asks for them says which that is."""

from collections.abc import Sequence

import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import CELLULAR, PREFERRED, SERVER
from trioquic.networks import routes_of

from .world import dial, phone_world

OTHER = 4433


class Ports:
    """The system's networks, with what was asked of their routes."""

    def __init__(self) -> None:
        self._inner = trioquic.system_networks()
        self.snapshot = self._inner.snapshot
        self.wait_changed = self._inner.wait_changed
        self.asked: set[tuple[str, int]] = set()

    def routes_to(self, servers: Sequence[tuple[str, int]]) -> tuple[trioquic.Route, ...] | None:
        self.asked.update(servers)
        return routes_of(self._inner, servers)


async def test_each_question_has_the_port(autojump_clock: trio.testing.MockClock) -> None:
    """At the beginning, for a path that is asked for by address or not at all, and for the server's
    preferred address, which has a port of its own."""
    options = ServerOptions(preferred_ipv4=(PREFERRED, OTHER))
    async with phone_world(options, ipv6=False) as world:
        networks = Ports()
        policy = trioquic.MigrationPolicy(only_interfaces=["wlan0", "wwan0"])
        async with dial(world, networks=networks, migration=policy) as conn:
            assert networks.asked == {(SERVER, PORT)}
            await conn.wait_handshake_confirmed()
            await trio.sleep(1)
            assert networks.asked == {(SERVER, PORT), (PREFERRED, OTHER)}
            networks.asked.clear()
            await (await conn.add_path()).validate()
            await (await conn.add_path(local=CELLULAR)).validate()
            assert {port for address, port in networks.asked if address == SERVER} <= {PORT}
            assert 0 not in {port for _, port in networks.asked}
