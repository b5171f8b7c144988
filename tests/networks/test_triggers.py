"""Which news each system has, with made-up systems; netlink for real.

The BSDs' routing socket is one end of a pair of sockets here, and Windows' library an object with
its three functions, which really are called through ctypes.
"""

import ctypes
import errno
import gc
import socket
import struct
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing

from trioquic._runtime.networks import windows_news
from trioquic._runtime.networks.adapter_reader import AdapterReader
from trioquic._runtime.networks.change_triggers import (
    CallbackTrigger,
    ChangeTrigger,
    Clock,
    SocketTrigger,
    has_network_route,
    open_trigger,
)
from trioquic._runtime.networks.system_networks import SystemNetworks

from .fakes import FakeAdapter, v4

INTERVAL = 2.0
pair_of_sockets = pytest.mark.skipif(
    sys.platform == "win32", reason="needs socketpair of datagrams"
)


def forbidden(*_: object) -> socket.socket:
    raise PermissionError(errno.EACCES, "not on this phone")


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
def test_netlink_is_linux_trigger() -> None:
    trigger = open_trigger("linux", INTERVAL)
    assert isinstance(trigger, SocketTrigger)
    trigger.close()


@pytest.mark.parametrize("platform", ["linux", "android", "darwin", "ios", "freebsd14"])
def test_where_news_are_forbidden_a_clock_is_the_trigger(platform: str) -> None:
    assert isinstance(open_trigger(platform, INTERVAL, make_socket=forbidden), Clock)


@pytest.mark.parametrize("platform", ["openbsd7", "sunos5", "wasi"])
def test_other_systems_have_a_clock(platform: str) -> None:
    assert isinstance(open_trigger(platform, INTERVAL), Clock)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has the library")
async def test_windows_without_its_library_has_a_clock() -> None:
    assert isinstance(open_trigger("win32", INTERVAL), Clock)


async def times_out(trigger: ChangeTrigger) -> bool:
    """Whether a wait ends by the clock and with no news."""
    start = trio.current_time()
    news = await trigger.wait()
    return not news and trio.current_time() - start == pytest.approx(INTERVAL)


# -- the BSDs --------------------------------------------------------------------------------------

RTM_ADD, RTM_DELETE, RTM_NEWADDR = 1, 2, 12
GATEWAY, HOST = 0x2, 0x4


def routing_message(kind: int, flags: int) -> bytes:
    """As <net/route.h> of macOS and FreeBSD lays it out; 92 bytes, then addresses."""
    head = struct.pack("=HBBHHiiiii", 108, 5, kind, 4, 0, flags, 0x7, 0, 0, 0)
    return head.ljust(92, b"\0") + bytes(16)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (routing_message(RTM_ADD, GATEWAY), True),
        (routing_message(RTM_DELETE, GATEWAY | 0x801), True),
        (routing_message(RTM_ADD, GATEWAY | HOST), False),
        # a VPN's network through its own interface, and the hosts on a link
        (routing_message(RTM_ADD, 0x1), True),
        (routing_message(RTM_ADD, 0x401 | HOST), False),
        (routing_message(RTM_NEWADDR, GATEWAY), False),
        (routing_message(RTM_ADD, GATEWAY)[:11], False),
        (b"", False),
    ],
)
def test_routes_in_messages_of_a_routing_socket(data: bytes, found: bool) -> None:
    assert has_network_route(data) is found


@contextmanager
def routing_socket(platform: str) -> Iterator[tuple[ChangeTrigger, socket.socket]]:
    """A trigger for this system, and the kernel's end of its socket."""
    asked = []
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def make(family: int, kind: int, protocol: int, /) -> socket.socket:
        asked.append((family, kind, protocol))
        return ours

    trigger = open_trigger(platform, INTERVAL, make_socket=make)
    with kernel:
        yield trigger, kernel
        trigger.close()
    # PF_ROUTE is 17 on macOS and FreeBSD; protocol 0: every address family
    assert asked == [(17, socket.SOCK_RAW, 0)]
    assert ours.fileno() == -1


@pair_of_sockets
@pytest.mark.parametrize("platform", ["darwin", "ios", "freebsd14"])
async def test_a_routing_socket_tells_at_once(platform: str) -> None:
    with routing_socket(platform) as (trigger, kernel):
        with trio.fail_after(INTERVAL / 2):
            kernel.send(routing_message(RTM_NEWADDR, 0))
            assert not await trigger.wait()
            kernel.send(routing_message(RTM_NEWADDR, 0))
            kernel.send(routing_message(RTM_ADD, GATEWAY))
            assert await trigger.wait()


@pair_of_sockets
async def test_a_routing_socket_that_says_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Somebody who never tried it there may be wrong: the clock looks as well."""
    with routing_socket("darwin") as (trigger, _):
        assert await times_out(trigger)


# -- Windows ---------------------------------------------------------------------------------------


class FakeLibrary:
    """iphlpapi.dll, with what is subscribed to by handle."""

    def __init__(self, refusing: str = "") -> None:
        self.refusing = refusing
        self.subscribed: dict[int, weakref.ref[Any]] = {}
        self.asked: list[tuple[str, int, object, bool]] = []

    def _notify(
        self, name: str, family: int, callback: Any, context: object, at_once: bool, handle: Any
    ) -> int:
        self.asked.append((name, family, context, at_once))
        if name == self.refusing:
            return 87
        handle._obj.value = number = 0x1_0000_0000 + len(self.asked)
        self.subscribed[number] = weakref.ref(callback)
        return 0

    def NotifyIpInterfaceChange(self, *arguments: Any) -> int:
        return self._notify("NotifyIpInterfaceChange", *arguments)

    def NotifyUnicastIpAddressChange(self, *arguments: Any) -> int:
        return self._notify("NotifyUnicastIpAddressChange", *arguments)

    def NotifyRouteChange2(self, *arguments: Any) -> int:
        return self._notify("NotifyRouteChange2", *arguments)

    def CancelMibChangeNotify2(self, handle: ctypes.c_void_p) -> int:
        assert handle.value is not None
        del self.subscribed[handle.value]
        return 0

    def change(self) -> None:
        """Call everybody, as a thread of the system does."""
        for callback in list(self.subscribed.values()):
            function = callback()
            assert function is not None, "a function that Windows still calls was forgotten"
            function(None, 0x1234, 1)


def windows_trigger(library: FakeLibrary) -> ChangeTrigger:
    return open_trigger(
        "win32", INTERVAL, subscribe=lambda hear: windows_news.subscribe(hear, library)
    )


async def test_windows_calls_from_a_thread() -> None:
    library = FakeLibrary()
    trigger = windows_trigger(library)
    assert isinstance(trigger, CallbackTrigger)
    # both families, no context, nothing at once
    assert library.asked == [
        ("NotifyIpInterfaceChange", 0, None, False),
        ("NotifyUnicastIpAddressChange", 0, None, False),
        ("NotifyRouteChange2", 0, None, False),
    ]
    gc.collect()
    with trio.fail_after(INTERVAL / 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, library.change)
            assert await trigger.wait()
        # news between two waits
        await trio.to_thread.run_sync(library.change)
        await trigger.wait()
    trigger.close()
    assert library.subscribed == {}


async def test_windows_that_says_nothing(autojump_clock: trio.testing.MockClock) -> None:
    trigger = windows_trigger(FakeLibrary())
    assert await times_out(trigger)
    trigger.close()


@pytest.mark.parametrize(
    "name", ["NotifyIpInterfaceChange", "NotifyUnicastIpAddressChange", "NotifyRouteChange2"]
)
async def test_windows_that_refuses_has_a_clock(name: str) -> None:
    library = FakeLibrary(refusing=name)
    assert isinstance(windows_trigger(library), Clock)
    assert library.subscribed == {}


def test_a_call_after_the_end_of_trio_is_harmless() -> None:
    library = FakeLibrary()

    async def subscribe() -> ChangeTrigger:
        return windows_trigger(library)

    trigger = trio.run(subscribe)
    library.change()
    trigger.close()


async def test_the_systems_source_hears_windows() -> None:
    """All together: a call, a look, a change. The trigger is gone after the wait."""
    library = FakeLibrary()
    adapters = [FakeAdapter("{0}", (v4("192.0.2.1", nice_name="Wi-Fi"),))]
    source = SystemNetworks(lambda: adapters, AdapterReader(), lambda: windows_trigger(library))
    source.snapshot()

    def plug_in() -> None:
        adapters.append(FakeAdapter("{1}", (v4("198.51.100.1", nice_name="Ethernet"),)))
        library.change()

    with trio.fail_after(INTERVAL / 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(source.wait_changed)
            await trio.testing.wait_all_tasks_blocked()
            assert len(library.subscribed) == 3
            await trio.to_thread.run_sync(plug_in)
    assert library.subscribed == {}
