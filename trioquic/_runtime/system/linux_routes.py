"""Linux's routes, asked of the kernel by rtnetlink(7): no privileges, and the answer comes at once.

Two kinds of questions are asked about each of the server's addresses:

- Where would packets go? The plain question, as a socket without any wishes would ask it, so that
  all rules and tables count (a VPN often has a table of its own).
- Does this interface have a route? The same with the interface given, as for a socket that is tied
  to it, and with the flag RTM_F_FIB_MATCH: the answer is then the entry of the table with its
  metric, and an error where there is none. (Without that flag IPv4 supposes that everything is on
  the interface's own link.) Rules may ask for the source address (a table for each network), so
  without an entry each address of the interface is tried as one, and so it is where addresses of
  several networks may belong to several routers (`next_hops.py`).

Rules may also ask for the protocol and its ports, as VPNs for single services do, so each question
is one about UDP from port to port. Where our own port is not known yet it is one of those that the
system gives. Kernels before 4.18 have no such questions, and hardly any have such rules then.

One question takes the kernel a few microseconds.

Routes to this machine itself say nothing about interfaces: each counts then.
"""

import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ...networks import Interface, InterfaceAddress, Route
from ...paths import Address
from . import netlink
from .next_hops import Way, of_next_hop

_GET_ROUTE: Final = 26
_NEW_ROUTE: Final = 24
_REQUEST: Final = 1
_UNICAST: Final = 1  # a route to elsewhere
_LOCAL: Final = 2  # to this machine itself
_FIB_MATCH: Final = 0x2000
_DESTINATION: Final = 1
_SOURCE: Final = 2
_OUTPUT: Final = 4
_GATEWAY: Final = 5
_PRIORITY: Final = 6
_PREFERRED_SOURCE: Final = 7
_MULTIPATH: Final = 9
_VIA: Final = 18  # the gateway, of another family
_PROTOCOL: Final = 27
_SOURCE_PORT: Final = 28
_DESTINATION_PORT: Final = 29
_WORD: Final = 4
# of those that the system gives (/proc/sys/net/ipv4/ip_local_port_range)
_SOME_PORT: Final = 49152
# family, lengths of both prefixes, service, table, protocol, scope, type, flags
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
# of each way of a route that has several: length, flags, weight, interface
_NEXT_HOP: Final = struct.Struct("=HBBi")
_CODE: Final = struct.Struct("=i")
# These are answers; anything else is no answer.
_NO_WAY: Final = (
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EINVAL,
    errno.EACCES,  # a prohibited destination
    errno.ENODEV,
    errno.EADDRNOTAVAIL,
    errno.ESRCH,
)
_RECEIVE_SIZE: Final = 8192


class RouteAnswer(NamedTuple):
    """What the kernel says about one address."""

    local: bool
    """The address is this machine's own."""
    interfaces: tuple[int, ...]
    """The numbers of the interfaces; several if the route has several ways."""
    source: str | None
    metric: int
    way: Way


def ask(
    sock: socket.socket,
    family: int,
    remote: Address,
    *,
    source: Address | None = None,
    interface: int | None = None,
    entry: bool = False,
) -> RouteAnswer | None:
    """Ask one question; a port that nobody knows is 0. None: no route. OSError: no answer."""
    bits = 128 if family == socket.AF_INET6 else 32
    flags = _FIB_MATCH if entry else 0
    body = _ROUTE.pack(family, bits, bits if source else 0, 0, 0, 0, 0, 0, flags)
    body += netlink.attribute(_DESTINATION, _packed(family, remote[0]))
    if source:
        body += netlink.attribute(_SOURCE, _packed(family, source[0]))
    if interface is not None:
        body += netlink.attribute(_OUTPUT, interface.to_bytes(_WORD, sys.byteorder))
    data = _exchange(sock, body + _udp(source[1] if source else 0, remote[1]))
    # A blackhole is told in the same way as a question that is not understood.
    if _error_in(data) == errno.EINVAL and not _knows_ports(sock):
        data = _exchange(sock, body)
    return read(family, data)


def _exchange(sock: socket.socket, question: bytes) -> bytes:
    sock.send(netlink.request(_GET_ROUTE, _REQUEST, question))
    return sock.recv(_RECEIVE_SIZE)


def _udp(source: int, destination: int) -> bytes:
    """What a question says about a datagram but its addresses."""
    words = (
        (_PROTOCOL, bytes([socket.IPPROTO_UDP])),
        (_SOURCE_PORT, (source or _SOME_PORT).to_bytes(2, "big")),
        (_DESTINATION_PORT, destination.to_bytes(2, "big")),
    )
    return b"".join(
        # whose length counts, as the kernel takes no longer ones
        netlink.attribute(kind, value).ljust(netlink.VALUE + _WORD, b"\0")
        for kind, value in words
        if any(value)
    )


def _knows_ports(sock: socket.socket) -> bool:
    """Whether this kernel understands such questions: there is always a way to this machine."""
    here = socket.inet_aton("127.0.0.1")
    body = _ROUTE.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
    body += netlink.attribute(_DESTINATION, here)
    return _error_in(_exchange(sock, body + _udp(_SOME_PORT, _SOME_PORT))) != errno.EINVAL


def _error_in(data: bytes) -> int | None:
    """The number of the error that the kernel tells first, if it tells one."""
    for message, _, body in netlink.messages(data):
        if message == netlink.ERROR and len(body) >= _CODE.size:
            return -int(_CODE.unpack_from(body)[0])
        break
    return None


def read(family: int, data: bytes) -> RouteAnswer | None:
    """The kernel's answer. None: there is no route. OSError: it is no answer."""
    code = _error_in(data)
    if code is not None:
        if code in _NO_WAY:
            return None
        raise OSError(code, "the kernel does not tell its routes")
    for message, _, body in netlink.messages(data):
        if message == _NEW_ROUTE and len(body) >= _ROUTE.size:
            kind = _ROUTE.unpack_from(body)[7]
            if kind not in (_UNICAST, _LOCAL):
                return None  # a route that says: not there
            return _read_route(family, body, local=kind == _LOCAL)
    raise OSError("no answer from the kernel")


def _read_route(family: int, body: bytes, *, local: bool) -> RouteAnswer:
    interfaces: list[int] = []
    source = None
    metric = 0
    gateway = b""
    for kind, whole in netlink.attributes(body, _ROUTE.size):
        value = whole[netlink.VALUE :]
        if kind == _OUTPUT:
            interfaces.append(int.from_bytes(value, sys.byteorder))
        elif kind == _MULTIPATH:
            interfaces += _next_hops(value)
        elif kind in (_GATEWAY, _VIA):
            gateway = value
        elif kind == _PRIORITY:
            metric = int.from_bytes(value, sys.byteorder)
        elif kind == _PREFERRED_SOURCE:
            source = socket.inet_ntop(family, value)
    return RouteAnswer(local, tuple(interfaces), source, metric, Way(gateway))


def _next_hops(value: bytes) -> Iterable[int]:
    position = 0
    while position + _NEXT_HOP.size <= len(value):
        length, _, _, interface = _NEXT_HOP.unpack_from(value, position)
        if length < _NEXT_HOP.size:
            raise OSError("a next hop of an impossible length")
        yield interface
        position += (length + 3) & -4


def linux_routes(
    interfaces: Sequence[Interface], servers: Sequence[Address]
) -> tuple[Route, ...] | None:
    """The routes to these servers; None if the kernel does not tell."""
    try:
        with netlink.open_for_questions() as sock:
            found: list[Route] = []
            for server in servers:
                found += _routes_to(sock, interfaces, server)
            return tuple(found)
    except OSError:
        return None


def _routes_to(
    sock: socket.socket, interfaces: Sequence[Interface], server: Address
) -> Iterable[Route]:
    remote = server[0]
    plain, _, zone = remote.partition("%")
    version = ipaddress.ip_address(plain).version
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    if not any(a.version == version for i in interfaces for a in i.addresses):
        # A kernel without IPv6 (ipv6.disable=1) answers no question about it, which would leave
        # the other family's unanswered, too.
        return
    usable = [
        (interface, interface.index, sources)
        for interface in interfaces
        if interface.up and interface.index is not None
        if zone in ("", interface.name, str(interface.index))
        if (sources := [a for a in interface.addresses if a.version == version])
    ]
    system = None
    if not zone:
        system = ask(sock, family, server)
        if system is not None and system.local:
            for interface, _, _ in usable:
                yield Route(remote=remote, interface=interface.name)
            return
    choice = None if system is None else next(iter(system.interfaces), None)
    for interface, index, sources in usable:
        if system is None or choice != index:
            entry = _entry_over(sock, family, server, index)
            # or an address of it has one, in a table of its own: such metrics mean nothing here
            if entry or any(_entry_over(sock, family, server, index, a.address) for a in sources):
                yield Route(
                    remote=remote,
                    interface=interface.name,
                    next_hop_sources=_of_next_hop(sock, family, server, index, sources, entry),
                    metric=entry.metric if entry else None,
                    chosen=bool(zone),
                )
    if system is not None and choice is not None:
        # also if the interface has no address of its own: it says whether this is a tunnel
        entry = _entry_over(sock, family, server, choice)
        sources = next((own for _, index, own in usable if index == choice), [])
        yield Route(
            remote=remote,
            interface=_name_of(interfaces, choice),
            source=system.source,
            # only what is in the table is told of an entry
            source_named=entry is not None and entry.source is not None,
            next_hop_sources=_of_next_hop(sock, family, server, choice, sources, entry),
            metric=entry.metric if entry else system.metric,
            chosen=True,
        )


def _of_next_hop(
    sock: socket.socket,
    family: int,
    server: Address,
    index: int,
    sources: Sequence[InterfaceAddress],
    entry: RouteAnswer | None,
) -> tuple[str, ...]:
    """Those of an interface's addresses that belong to the router of this entry."""

    def way_from(source: str) -> Way | None:
        answer = _entry_over(sock, family, server, index, source)
        return None if answer is None else answer.way

    return of_next_hop(sources, None if entry is None else entry.way, way_from)


def _name_of(interfaces: Sequence[Interface], index: int) -> str:
    known = next((interface.name for interface in interfaces if interface.index == index), None)
    return socket.if_indextoname(index) if known is None else known


def _entry_over(
    sock: socket.socket, family: int, server: Address, index: int, source: str | None = None
) -> RouteAnswer | None:
    """The entry of a table that leads over this interface, from this source; None: there is no
    such. An IPv6 route of another interface may be told instead."""
    own = None if source is None else (source, 0)
    answer = ask(sock, family, server, source=own, interface=index, entry=True)
    return None if answer is None or index not in answer.interfaces else answer


def _packed(family: int, address: str) -> bytes:
    return socket.inet_pton(family, address.partition("%")[0])
