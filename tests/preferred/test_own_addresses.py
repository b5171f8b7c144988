"""An address of this machine's as the server's preferred address (RFC 9000 section 21.5.3).

The server could have the client talk to itself: what listens there may trust packets from here. It
may name any address that we have, of the family in use or of the other one, or one that we get only
later.
"""

import pytest
import trio
import trio.testing

import trioquic
from tests.preferred.test_by_hand import ALONE
from tests.preferred.test_two_families import asked, told
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import CELLULAR, CELLULAR6, PREFERRED6, SERVER, WIFI, WIFI6
from tests.supervisor.phone import Phone, phone
from trioquic._protocol.events import Event, PreferredAddressSettled
from trioquic._protocol.path.preferred import PreferredAddress, PreferredState
from trioquic._protocol.wire.transport_parameters import PreferredAddressParameter
from trioquic._runtime.paths.servers import own_of
from trioquic.networks import Interface, InterfaceAddress

# the address behind a NAT64, of 6to4, and of Teredo (the client's address is there with its bits
# inverted)
GATEWAYS = ["64:ff9b::c000:20a", "2002:c000:20a::1", "2001:0:c633:6401::3fff:fdf5"]
OURS = [WIFI, WIFI6, CELLULAR, CELLULAR6, *GATEWAYS]
LATER = "192.0.2.50"


def prefers(address: str, port: int = 7000) -> ServerOptions:
    there = (address, port)
    return ServerOptions(
        preferred_ipv4=None if ":" in address else there,
        preferred_ipv6=there if ":" in address else None,
    )


def sent_to(here: Phone, address: str) -> int:
    return len(here.world.record.select(host="phone", destination=address))


@pytest.mark.parametrize("ours", OURS)
async def test_the_supervisor_never_asks_it(
    autojump_clock: trio.testing.MockClock, ours: str
) -> None:
    async with phone(options=prefers(ours), ipv6=True) as here:
        await here.until(trioquic.PreferredAddressResult)
        (result,) = here.heard(trioquic.PreferredAddressResult)
        assert (result.used, result.reason) == (False, f"{ours} is our own address")
        await trio.sleep(5)
        here.world.wifi.down()
        await here.download(50_000)
        await trio.sleep(5)
        assert sent_to(here, ours) == 0
        assert told(here) == [(ours, False)]
        assert here.conn.active_path is not None
        assert here.conn.active_path.remote == (SERVER, PORT)


@pytest.mark.parametrize("ours", OURS)
async def test_nor_does_the_application(autojump_clock: trio.testing.MockClock, ours: str) -> None:
    async with phone(options=prefers(ours), policy=ALONE, ipv6=True) as here:
        with pytest.raises(ValueError, match="no address of the server's"):
            await here.conn.add_path(server=(ours, 7000))
        path = await here.conn.migrate(interface="wwan0")
        assert path.remote == (SERVER, PORT)
        assert sent_to(here, ours) == 0
        assert told(here) == [(ours, False)]


@pytest.mark.parametrize("policy", [trioquic.MigrationPolicy(), ALONE], ids=["supervised", "alone"])
async def test_an_address_that_becomes_ours(
    autojump_clock: trio.testing.MockClock, policy: trioquic.MigrationPolicy
) -> None:
    """Nobody answered there before. A move asks the original address alone."""
    async with phone(options=prefers(LATER), policy=policy) as here:
        await trio.sleep(1)
        here.world.cellular.add_address(LATER)
        await trio.sleep(0.1)
        since = trio.current_time()
        path = await here.conn.migrate(interface="wwan0", local=CELLULAR)
        assert path.remote == (SERVER, PORT)
        await trio.sleep(5)
        assert not here.world.record.select(host="phone", destination=LATER, since=since)
        assert told(here) == [(LATER, False)]


async def test_the_other_one_is_used(autojump_clock: trio.testing.MockClock) -> None:
    options = ServerOptions(preferred_ipv4=(CELLULAR, 7000), preferred_ipv6=(PREFERRED6, PORT))
    async with phone(options=options, ipv6=True) as here:
        await here.until(trioquic.PreferredAddressResult, 2)
        assert told(here) == [(CELLULAR, False), (PREFERRED6, True)]
        await here.download(50_000)
        assert CELLULAR not in asked(here, "wlan0") | asked(here, "wwan0")


def offered(ipv6: str, events: list[Event] | None = None) -> PreferredAddress:
    preferred = PreferredAddress(True, [] if events is None else events)
    offer = PreferredAddressParameter(
        ipv4=None, ipv6=(ipv6, 443), connection_id=b"12345678", stateless_reset_token=bytes(16)
    )
    preferred.on_confirmed(offer, ("2606:4700::1", 443))
    return preferred


def test_a_server_of_this_machine_may_have_several_of_its_addresses() -> None:
    ours, theirs = "2606:4700::2", "2606:4700::1"
    interfaces = [interface_with(ours, theirs)]
    assert own_of(offered(ours), (theirs, 443), interfaces) == ()
    assert own_of(offered(ours), ("2606:4700::3", 443), interfaces) == ((ours, 443),)
    assert own_of(offered("2606:4700::9"), ("2606:4700::3", 443), interfaces) == ()


def interface_with(*addresses: str) -> Interface:
    ours = tuple(InterfaceAddress(address=one, prefix_length=64) for one in addresses)
    return Interface(name="eth0", addresses=ours)


def test_what_has_answered_is_the_servers_and_what_is_told_is_told_once() -> None:
    events: list[Event] = []
    preferred, there = offered("2606:4700::2", events), ("2606:4700::2", 443)
    preferred.ignore(there, "why")
    preferred.ignore(there, "why")
    assert preferred.state_of(there) is PreferredState.IGNORED
    assert preferred.addresses == ()
    assert events == [PreferredAddressSettled(address=there, used=False, reason="why")]
    preferred = offered("2606:4700::2", events)
    preferred.on_moved(there)
    preferred.ignore(there, "why")
    assert preferred.state_of(there) is PreferredState.REACHED
