"""Addresses of the simulated network in one canonical form.

Inside, an endpoint is `(text, port)` with the shortest text of the address, so that a dictionary
finds it whatever spelling a program used; the empty text is the wildcard. At the sockets' edge
addresses take the shapes of the `socket` module: 2-tuples for IPv4, 4-tuples for IPv6.
"""

import functools
import ipaddress
import socket
from typing import TypeAlias

Endpoint: TypeAlias = tuple[str, int]
"""Canonical address text and port."""

IPV4_OVERHEAD = 20 + 8
IPV6_OVERHEAD = 40 + 8


@functools.lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The one spelling of a numeric address; ValueError if it is none."""
    return ipaddress.ip_address(text).compressed


@functools.lru_cache(maxsize=4096)
def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6 of a canonical address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@functools.lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address).is_loopback


@functools.lru_cache(maxsize=4096)
def is_routable(address: str) -> bool:
    """Whether the simulated core would carry a datagram to this address at all."""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_multicast or parsed.is_link_local or parsed.is_unspecified)


def overhead(address: str) -> int:
    """Bytes of IP and UDP header that go before a payload to or from this address."""
    return IPV6_OVERHEAD if ":" in address else IPV4_OVERHEAD


def split_prefix(text: str) -> tuple[str, int]:
    """Canonical address and prefix length of `192.0.2.1`, `192.0.2.1/24` or `2001:db8::1/64`.

    Without a prefix length the customary one is taken: 24 bits for IPv4, 64 for IPv6.
    """
    address, slash, length = text.partition("/")
    interface = ipaddress.ip_interface(text)
    default = 64 if interface.version == 6 else 24
    return canonical(address), int(length) if slash else default


def to_sockaddr(family: int, endpoint: Endpoint) -> tuple[str, int] | tuple[str, int, int, int]:
    """An endpoint as the `socket` module would show it."""
    address, port = endpoint
    if family == socket.AF_INET6:
        return (address or "::", port, 0, 0)
    return (address or "0.0.0.0", port)


def from_sockaddr(family: int, address: object) -> Endpoint:
    """The endpoint that a program named; raises what the `socket` module would raise.

    Only numeric addresses are understood: names go through `trio.socket.getaddrinfo`.
    """
    if not isinstance(address, tuple) or len(address) < 2:
        raise TypeError(f"an internet address must be a tuple, not {address!r}")
    host, port = address[0], address[1]
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError(f"expected (host: str, port: int), not {address!r}")
    if not 0 <= port <= 65535:
        raise OverflowError("port must be 0-65535")
    if not host:
        return "", port
    try:
        text = canonical(host.partition("%")[0])
    except ValueError:
        raise socket.gaierror(
            socket.EAI_NONAME, f"{host!r} is not a numeric address; resolve it first"
        ) from None
    if family_of(text) != family:
        raise socket.gaierror(socket.EAI_FAMILY, f"{host!r} does not fit the socket's family")
    return ("" if ipaddress.ip_address(text).is_unspecified else text), port
