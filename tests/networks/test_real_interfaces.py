"""The watcher on real interfaces: a pair of virtual Ethernet ends that come, change and go.

They have names of their own and addresses for documentation, in this process's network namespace.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import trio

import trioquic
from tests.programs import needs, needs_root, program
from trioquic import Interface, ManualNetworks, NetworkSource
from trioquic._runtime.networks.fingerprint import read_fingerprint
from trioquic._runtime.sockets.binding import bind_socket, connect_socket
from trioquic._runtime.sockets.sockets import Remote
from trioquic._runtime.system.route import outgoing_interface

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Linux's netlink"),
    needs_root(),
    needs("ip"),
]

# Well below the polling interval, which must not be what notices
SOON = 1.0


def ip(*words: str) -> None:
    subprocess.run([program("ip"), *words], check=True, capture_output=True)


@pytest.fixture
def veth() -> Iterator[str]:
    """The name of an interface that is down, without addresses; its peer's name ends in `p`."""
    name = f"tq{os.getpid()}"
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot make virtual interfaces: {error.stderr.decode().strip()}")
    try:
        yield name
    finally:
        subprocess.run([program("ip"), "link", "del", name], check=False, capture_output=True)


def find(source: NetworkSource, name: str) -> Interface | None:
    return next((i for i in source.snapshot() if i.name == name), None)


async def until(source: NetworkSource, condition: Callable[[], bool]) -> None:
    """Wait for changes until the condition holds. One change may come in several steps."""
    with trio.fail_after(SOON):
        while not condition():
            await source.wait_changed()


async def test_a_link_that_comes_changes_and_goes(veth: str) -> None:
    source = trioquic.system_networks()

    def state() -> tuple[bool, set[str]] | None:
        found = find(source, veth)
        if found is None:
            return None
        return found.up, {a.address for a in found.addresses if a.version == 4}

    async def run(*words: str) -> None:
        await trio.to_thread.run_sync(ip, *words)

    async def after(expected: tuple[bool, set[str]] | None, *words: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, *words)
            await until(source, lambda: state() == expected)

    assert state() == (False, set())
    await run("link", "set", f"{veth}p", "up")
    await after((True, set()), "link", "set", veth, "up")
    await after((True, {"192.0.2.99"}), "address", "add", "192.0.2.99/32", "dev", veth)
    # the other end's carrier is this one's
    await after((False, {"192.0.2.99"}), "link", "set", f"{veth}p", "down")
    await after((True, {"192.0.2.99"}), "link", "set", f"{veth}p", "up")
    await after((True, set()), "address", "del", "192.0.2.99/32", "dev", veth)
    found = find(source, veth)
    assert found is not None
    assert (found.kind, found.metered) == ("ethernet", None)
    await after(None, "link", "del", veth)


async def test_a_change_while_nobody_waits(veth: str) -> None:
    source = trioquic.system_networks()
    assert find(source, veth)
    ip("address", "add", "192.0.2.98/32", "dev", veth)
    with trio.fail_after(SOON):
        await source.wait_changed()
    found = find(source, veth)
    assert found is not None
    assert "192.0.2.98" in [a.address for a in found.addresses]


async def test_the_flags_of_addresses(veth: str) -> None:
    source = trioquic.system_networks()
    ip("link", "set", veth, "up")
    # without a carrier the test for duplicates does not end
    ip("address", "add", "2001:db8:77::1/64", "dev", veth)
    ip("address", "add", "2001:db8:77::2/64", "dev", veth, "nodad", "preferred_lft", "0")
    found = find(source, veth)
    assert found is not None
    flags = {a.address: (a.tentative, a.deprecated, a.temporary) for a in found.addresses}
    assert flags["2001:db8:77::1"] == (True, False, False)
    assert flags["2001:db8:77::2"] == (False, True, False)


async def test_a_quiet_system_wakes_nobody(veth: str) -> None:
    """The wait sleeps in the kernel: no message, no look."""
    source = trioquic.system_networks()
    ip("link", "set", veth, "up")
    with trio.move_on_after(0.3):
        while True:
            await source.wait_changed()
    looks = 0
    original = source._look  # type: ignore[attr-defined]

    def count() -> tuple[Interface, ...]:
        nonlocal looks
        looks += 1
        result: tuple[Interface, ...] = original()
        return result

    source._look = count  # type: ignore[attr-defined]
    with trio.move_on_after(0.3):
        while True:
            await source.wait_changed()
    # bounded even if something else on this machine changes its interfaces meanwhile
    assert 1 <= looks <= 20


async def test_a_socket_tied_to_an_interface_does_not_leave_by_another(veth: str) -> None:
    """No route leads to the peer through the interface; the system's default would win."""
    ip("link", "set", f"{veth}p", "up")
    ip("link", "set", veth, "up")
    ip("address", "add", "192.0.2.97/32", "dev", veth)
    sock = await bind_socket(
        socket.AF_INET,
        interface=veth,
        local=None,
        local_port=0,
        networks=trioquic.system_networks(),
    )
    with sock:
        await sock.connect(("198.51.100.97", 9))
        assert sock.getsockname()[0] == "192.0.2.97"


async def test_a_socket_without_an_interface_is_tied_to_the_one_it_uses(veth: str) -> None:
    """When that goes, its packets must not leave through another one (RFC 9000 section 9.5)."""
    ip("addr", "add", "203.0.113.65/28", "dev", veth)
    ip("link", "set", veth, "up")
    ip("link", "set", f"{veth}p", "up")
    remote = Remote(socket.AF_INET, ("203.0.113.66", 9))
    for tie in (True, False):
        bound = await bind_socket(
            socket.AF_INET, interface=None, local=None, local_port=0, networks=ManualNetworks()
        )
        connected = await connect_socket(bound, remote, None, networks=ManualNetworks(), tie=tie)
        try:
            assert connected.local[0] == "203.0.113.65"
            assert connected.interface == (veth if tie else None)
        finally:
            connected.close()


def test_the_fingerprint_changes_with_whatever_a_snapshot_shows(veth: str) -> None:
    steps = (
        ("link", "set", f"{veth}p", "up"),
        ("link", "set", veth, "up"),
        ("link", "set", veth, "mtu", "1400"),
        ("address", "add", "192.0.2.96/32", "dev", veth),
        ("address", "add", "2001:db8:77::3/64", "dev", veth, "nodad"),
        ("address", "change", "2001:db8:77::3/64", "dev", veth, "preferred_lft", "0"),
        ("link", "set", f"{veth}p", "down"),
        ("address", "del", "192.0.2.96/32", "dev", veth),
        ("link", "del", veth),
    )
    seen = [read_fingerprint()]
    for step in steps:
        ip(*step)
        seen.append(read_fingerprint())
        assert seen[-1] is not None
        assert seen[-1] != seen[-2], step


def test_this_machine_itself_is_behind_no_interface() -> None:
    here = ("127.0.0.1", 9)
    assert outgoing_interface(socket.AF_INET, here, here) is None
    assert outgoing_interface(socket.AF_INET6, ("::1", 9), ("::1", 9)) is None
