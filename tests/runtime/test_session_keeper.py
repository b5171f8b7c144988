"""Which network a connection is on: what counts as the same one. And when a ticket came."""

import dataclasses
import ipaddress
import socket as stdlib_socket
import time
from functools import partial

import pytest
import trio

from tests.sessions.records import DAY, HOUR, ticket
from trioquic import Interface, InterfaceAddress, ManualNetworks, MemorySessions
from trioquic._protocol.events import TicketReceived
from trioquic._protocol.path.mtu import ETHERNET
from trioquic._protocol.sending.outgoing import Batch
from trioquic._runtime.networks.system_networks import system_networks
from trioquic._runtime.opening.session_keeper import SessionKeeper, network_of
from trioquic._runtime.sockets.binding import bind_socket, connect_socket
from trioquic._runtime.sockets.sockets import DatagramSocket, Received, Remote
from trioquic.sessions import Resumption, SessionKey


class NoSocket(DatagramSocket):
    """A socket's addresses, without the socket."""

    def __init__(self, local: str, interface: str | None = None) -> None:
        super().__init__((local, 50000), ("198.51.100.1", 443), interface, ETHERNET)

    def receive_nowait(self) -> Received | None:
        raise AssertionError

    async def receive(self) -> Received:
        raise AssertionError

    def send_nowait(self, batch: Batch) -> bool:
        raise AssertionError

    async def send(self, batch: Batch) -> None:
        raise AssertionError

    def _close(self) -> None:
        raise AssertionError


def networks(*addresses: str) -> ManualNetworks:
    """Each interface with an address and the length of its prefix: `wlan0 10.0.0.1/24`."""
    found = []
    for text in addresses:
        name, _, address = text.partition(" ")
        parsed = ipaddress.ip_interface(address)
        entry = InterfaceAddress(address=str(parsed.ip), prefix_length=parsed.network.prefixlen)
        found.append(Interface(name=name, addresses=(entry,)))
    return ManualNetworks(found)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        # only one network in the world has this prefix
        ("wlan0 8.8.8.8/24", "wlan0/8.8.8.0/24"),
        ("wlan0 2600::1:2:3:4/64", "wlan0/2600::/64"),
        ("wlan0 fd12:3456:789a:1::7/64", "wlan0/fd12:3456:789a:1::/64"),
        # and these are everywhere
        ("wlan0 192.168.1.7/24", "wlan0/192.168.1.7"),
        ("wlan0 10.1.2.3/8", "wlan0/10.1.2.3"),
        ("wwan0 100.64.1.2/30", "wwan0/100.64.1.2"),
        ("wlan0 fe80::1/64", "wlan0/fe80::1"),
        ("lo 127.0.0.1/8", "lo/127.0.0.1"),
    ],
)
def test_a_prefix_stands_for_a_network_if_it_is_the_only_one(address: str, network: str) -> None:
    local = address.partition(" ")[2].partition("/")[0]
    assert network_of(NoSocket(local), networks(address)) == network


def test_the_interface_that_the_socket_is_tied_to_counts() -> None:
    both = networks("wlan0 192.168.1.7/24", "eth0 192.168.1.7/24")
    assert network_of(NoSocket("192.168.1.7", "eth0"), both) == "eth0/192.168.1.7"
    assert network_of(NoSocket("192.168.1.7"), both) == "wlan0/192.168.1.7"


def test_a_network_that_nobody_knows() -> None:
    assert network_of(NoSocket("8.8.8.8"), networks()) == "/8.8.8.8"
    assert network_of(NoSocket("8.8.8.8", "tun0"), networks()) == "tun0/8.8.8.8"
    assert network_of(NoSocket("fe80::1%wlan0"), networks()) == "/fe80::1"


async def test_of_a_real_socket() -> None:
    remote = Remote(stdlib_socket.AF_INET, ("127.0.0.1", 9))
    with trio.fail_after(5):
        sock = await bind_socket(
            remote.family, interface=None, local=None, local_port=0, networks=system_networks()
        )
        connected = await connect_socket(sock, remote, None, networks=system_networks())
    try:
        name, _, address = network_of(connected, system_networks()).partition("/")
        assert address == "127.0.0.1"
        assert name in {i.name for i in system_networks().snapshot() if i.kind == "loopback"}
    finally:
        connected.close()


def new_keeper() -> SessionKeeper:
    key = partial(SessionKey, server_name="a.example", port=443, trust="")
    return SessionKeeper(MemorySessions(), networks("wlan0 8.8.8.8/24"), key)


async def kept_by(
    keeper: SessionKeeper, record: Resumption, before: Resumption | None = None
) -> Resumption | None:
    """What the next connection takes of a ticket, which came to one that had resumed `before`."""
    socket = NoSocket("8.8.8.8")
    keeper.keep(TicketReceived(resumption=record), "192.0.2.1", socket, 1, before)
    await keeper.finish()
    return (await keeper.take(socket, [1])).taken.ticket


@pytest.mark.parametrize("days", [0, 3, 6.5, 8])
@pytest.mark.parametrize("told", [True, False])
async def test_a_chain_of_tickets_ends_a_week_after_its_certificate(
    days: float, told: bool
) -> None:
    """RFC 8446 section 4.6.1: each ticket of a resumed connection goes back to the same handshake,
    also where an older version of the file says only when the last one came."""
    now = time.time()
    began = now - days * DAY
    before = ticket(authenticated_at=began)
    if not told:
        before = ticket(authenticated_at=0.0, issued_at=began)
    kept = await kept_by(new_keeper(), ticket(expires_at=now + 7 * DAY), before)
    if days > 7:
        assert kept is None
        return
    assert kept is not None
    assert kept.authenticated_at == began
    assert kept.expires_at == pytest.approx(began + 7 * DAY)
    assert kept.issued_at == pytest.approx(now, abs=60)


@pytest.mark.parametrize("days", [0.0, 3.0, 8.0])
@pytest.mark.parametrize(("asleep", "set_back"), [(True, 0.0), (False, 0.0), (False, 2 * DAY)])
async def test_a_week_begins_with_the_handshake_and_not_with_the_ticket(
    monkeypatch: pytest.MonkeyPatch, days: float, asleep: bool, set_back: float
) -> None:
    """A server may give a ticket to a connection that is days old. What was verified then is as
    old, whatever the machine's clocks have counted."""
    keeper = new_keeper()
    wall = time.time()
    now = wall + days * DAY - set_back
    monkeypatch.setattr(time, "time", lambda: now)
    if not asleep:
        running = trio.current_time()
        monkeypatch.setattr(trio, "current_time", lambda: running + days * DAY)
    record = ticket(issued_at=now, expires_at=now + 7 * DAY)
    kept = await kept_by(keeper, record)
    if days > 7:
        assert kept is None
        return
    assert kept is not None
    began = min(wall, now) if asleep else now - days * DAY
    assert kept.authenticated_at == pytest.approx(began, abs=60)
    assert kept.expires_at == pytest.approx(began + 7 * DAY, abs=60)


@pytest.mark.parametrize("late", [0.0, 8 * HOUR, -8 * HOUR])
async def test_a_ticket_comes_when_the_clock_says_so(late: float) -> None:
    """The core counts from the connection's beginning: since then the machine may have slept, or
    its clock may have been set."""
    record = dataclasses.replace(ticket(age=late), expires_at=time.time() + DAY)
    kept = await kept_by(new_keeper(), record)
    assert kept is not None
    assert kept.issued_at == pytest.approx(time.time(), abs=60)
    # no longer than it was going to be good for, nor than the certificate is
    left = kept.expires_at - time.time()
    assert left == pytest.approx(DAY + min(late, 0.0), abs=60)
    assert kept.secret == record.secret
