"""What the server says about moving: disable_active_migration and preferred_address."""

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED, SERVER

from .phone import phone

# an address that nobody has
NOWHERE = "198.51.100.77"


async def test_disabled_migration_is_respected(autojump_clock: trio.testing.MockClock) -> None:
    """Not even a probe goes from another address, whatever happens (section 9)."""
    options = ServerOptions(disable_active_migration=True)
    async with phone(options=options) as here:
        await here.download(100_000)
        await trio.sleep(5)
        assert not here.world.record.select(host="phone", interface="wwan0")
        here.world.wifi.down()
        await trio.sleep(5)
        assert not here.world.record.select(host="phone", interface="wwan0")
        here.world.wifi.up()
        await trio.sleep(1)


async def test_preferred_address_is_used(autojump_clock: trio.testing.MockClock) -> None:
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    async with phone(options=options) as here:
        await here.until(trioquic.Migrated)
        assert here.conn.active_path is not None
        assert here.conn.active_path.remote[0] == PREFERRED
        await here.until(trioquic.PreferredAddressResult)
        assert here.heard(trioquic.PreferredAddressResult)[0].used
        await here.download(500_000)
        await trio.sleep(2)
        assert {path.remote[0] for path in here.conn.paths} == {PREFERRED}


async def test_preferred_address_allows_what_was_disabled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """After the move the server's wish no longer holds (section 9)."""
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT), disable_active_migration=True)
    async with phone(options=options) as here:
        await here.until(trioquic.Migrated)
        await trio.sleep(1)
        here.world.wifi.down()
        await here.download(100_000)
        sent = here.world.record.select(host="phone", interface="wwan0")
        assert sent
        assert {record.destination[0] for record in sent} == {PREFERRED}


async def test_preferred_address_that_cannot_be_reached(
    autojump_clock: trio.testing.MockClock,
) -> None:
    options = ServerOptions(preferred_ipv4=(NOWHERE, PORT))
    async with phone(options=options) as here:
        await here.until(trioquic.PreferredAddressResult)
        result = here.heard(trioquic.PreferredAddressResult)[0]
        assert not result.used
        assert result.reason
        assert here.conn.active_path is not None
        assert here.conn.active_path.remote[0] == SERVER
        await here.download(500_000)


async def test_preferred_address_is_ignored_on_wish(
    autojump_clock: trio.testing.MockClock,
) -> None:
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    policy = trioquic.MigrationPolicy(use_preferred_address=False)
    async with phone(options=options, policy=policy) as here:
        await here.download(500_000)
        assert not [
            r for r in here.world.record.select(host="phone") if r.destination[0] == PREFERRED
        ]


@pytest.mark.parametrize("reachable", [True, False])
async def test_963_both_addresses_are_validated_at_the_same_time(
    autojump_clock: trio.testing.MockClock, reachable: bool
) -> None:
    """Wi-Fi dies before the preferred address was reached: from cellular both are asked, and the
    preferred one is taken if it answers (section 9.6.3)."""
    preferred = PREFERRED if reachable else NOWHERE
    options = ServerOptions(preferred_ipv4=(preferred, PORT))
    async with phone(options=options, policy=trioquic.MigrationPolicy(standby=0)) as here:
        here.world.wifi.link.blackhole()
        await here.download(200_000)
        first: dict[str, float] = {}
        for record in here.world.record.select(host="phone", interface="wwan0"):
            first.setdefault(record.destination[0], record.time)
        assert set(first) == {SERVER, preferred}
        assert abs(first[SERVER] - first[preferred]) < 0.001
        assert here.conn.active_path is not None
        assert here.conn.active_path.interface == "wwan0"
        await trio.sleep(5)
        assert here.conn.active_path.remote[0] == (PREFERRED if reachable else SERVER)
