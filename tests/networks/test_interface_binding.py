"""Which option ties a socket to an interface, on which system."""

import errno
import os
import socket
import struct
import sys

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import phone_world
from trioquic._runtime.sockets import binding
from trioquic._runtime.system.interface_binding import (
    InterfaceBinder,
    bind_by_name,
    bind_on_apple,
    bind_on_windows,
    binder_for,
    no_binding,
    send_through,
    try_to_bind,
)
from trioquic.networks import Interface, InterfaceAddress, ManualNetworks


class FakeSocket:
    """Notes the options it is given, or refuses them."""

    def __init__(self, refusal: int = 0) -> None:
        self.options: list[tuple[int, int, int | bytes]] = []
        self.refusal = refusal

    def setsockopt(self, level: int, optname: int, value: int | bytes, /) -> None:
        if self.refusal:
            raise OSError(self.refusal, os.strerror(self.refusal))
        self.options.append((level, optname, value))


# The numbers are those of the systems' headers: IPPROTO_IP is 0, IPPROTO_IPV6 is 41 everywhere.
@pytest.mark.parametrize(
    ("binder", "family", "option"),
    [
        (bind_by_name, socket.AF_INET, (socket.SOL_SOCKET, 25, b"wlan0")),
        (bind_by_name, socket.AF_INET6, (socket.SOL_SOCKET, 25, b"wlan0")),
        (bind_on_apple, socket.AF_INET, (0, 25, 258)),
        (bind_on_apple, socket.AF_INET6, (41, 125, 258)),
        (bind_on_windows, socket.AF_INET, (0, 31, b"\x00\x00\x01\x02")),
        (bind_on_windows, socket.AF_INET6, (41, 31, 258)),
    ],
)
def test_options(
    binder: InterfaceBinder, family: int, option: tuple[int, int, int | bytes]
) -> None:
    sock = FakeSocket()
    assert try_to_bind(binder, sock, family, "wlan0", 258)
    assert sock.options == [option]


def test_linux_without_the_right_to_bind() -> None:
    """IP_UNICAST_IF and IPV6_UNICAST_IF of Linux, both in network byte order (ip(7), ipv6(7))."""
    sock = FakeSocket()
    send_through(sock, socket.AF_INET, 258)
    send_through(sock, socket.AF_INET6, 258)
    assert sock.options == [(0, 50, b"\x00\x00\x01\x02"), (41, 76, b"\x00\x00\x01\x02")]


def test_the_host_order_of_windows_ipv6_is_that_of_an_int() -> None:
    """`setsockopt` packs an int as C does, so only IPv4's value needs packing by hand."""
    assert struct.pack("@i", 258) == (258).to_bytes(4, sys.byteorder)


@pytest.mark.parametrize("binder", [bind_on_apple, bind_on_windows])
def test_an_interface_without_a_number(binder: InterfaceBinder) -> None:
    sock = FakeSocket()
    assert not try_to_bind(binder, sock, socket.AF_INET, "wlan0", None)
    assert sock.options == []


@pytest.mark.parametrize(
    "refusal", [errno.EPERM, errno.EACCES, errno.ENOPROTOOPT, errno.ENODEV, errno.ENXIO]
)
@pytest.mark.parametrize("binder", [bind_by_name, bind_on_apple, bind_on_windows])
def test_refusals_that_leave_the_address(binder: InterfaceBinder, refusal: int) -> None:
    assert not try_to_bind(binder, FakeSocket(refusal), socket.AF_INET, "wlan0", 3)


def test_other_refusals_are_errors() -> None:
    with pytest.raises(OSError):
        try_to_bind(bind_by_name, FakeSocket(errno.EBADF), socket.AF_INET, "wlan0", 3)
    assert not try_to_bind(no_binding, FakeSocket(), socket.AF_INET, "wlan0", 3)


def test_each_system_has_its_way() -> None:
    for platform, binder in (
        ("linux", bind_by_name),
        ("android", bind_by_name),
        ("darwin", bind_on_apple),
        ("ios", bind_on_apple),
        ("win32", bind_on_windows),
        ("freebsd14", no_binding),
    ):
        assert binder_for(platform) is binder


def address(text: str, length: int, **flags: bool) -> InterfaceAddress:
    return InterfaceAddress(address=text, prefix_length=length, **flags)


NETWORKS = ManualNetworks(
    [
        Interface(
            name="Wi-Fi",
            index=258,
            addresses=(
                address("127.0.0.7", 8, tentative=True),
                address("127.0.0.8", 8, deprecated=True),
                address("127.0.0.9", 8),
                address("127.0.0.10", 8, temporary=True),
            ),
        )
    ]
)


async def bind(name: str) -> tuple[str, int]:
    sock = await binding.bind_socket(
        socket.AF_INET, interface=name, local=None, local_port=0, networks=NETWORKS
    )
    with sock:
        local: tuple[str, int] = sock.getsockname()
        return local


async def test_the_number_comes_from_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system whose option wants a number."""
    asked: list[tuple[int, str, int | None]] = []

    def note(sock: object, family: int, name: str, index: int | None, /) -> None:
        asked.append((family, name, index))

    monkeypatch.setattr(binding, "binder_for", lambda platform: note)
    assert (await bind("Wi-Fi"))[0] == "0.0.0.0"
    assert asked == [(socket.AF_INET, "Wi-Fi", 258)]


async def test_a_name_that_only_the_application_knows() -> None:
    """The best of the interface's addresses does: none that cannot be used (RFC 4862), none that
    is deprecated, a temporary one first (RFC 6724, rules 3 and 7)."""
    assert (await bind("Wi-Fi"))[0] == "127.0.0.10"
    with pytest.raises(trioquic.LocalAddressError) as caught:
        await bind("nowhere")
    assert caught.value.errno == errno.ENODEV


async def test_a_simulated_socket_is_tied_by_name_on_every_system(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(binding, "binder_for", lambda platform: no_binding)
    async with phone_world() as world:
        sock = await binding.bind_socket(
            socket.AF_INET, interface="wwan0", local=None, local_port=0, networks=world.phone
        )
        assert sock.getsockopt(socket.SOL_SOCKET, 25, 16) == b"wwan0"
        sock.close()
