"""Windows' routes, through the IP Helper API.

`GetBestRoute2` answers both questions: without an interface, where packets to an address would go
and from which address; with one, whether that has a route. An error is "no route". A route's metric
counts together with that of its interface (`GetIpInterfaceEntry`), as the system adds them, too.

The library is an argument, so that all this can be tested without Windows.
"""

import ctypes
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ...networks import Interface, Route
from ...paths import Address
from .probed_routes import usable_for

_AF_INET: Final = 2
_AF_INET6: Final = 23
_NO_SUCH_FUNCTION: Final = 120
# SOCKADDR_INET: 28 bytes, for either family
_SOCKADDR: Final = 28
# MIB_IPFORWARD_ROW2: 104 bytes; the interface's number, the metric
_ROW: Final = 104
_ROW_INDEX: Final = 8
_ROW_METRIC: Final = 84
# MIB_IPINTERFACE_ROW: 168 bytes; family, the interface's number, the metric
_INTERFACE_ROW: Final = 168
_INTERFACE_INDEX: Final = 16
_INTERFACE_METRIC: Final = 148
_NUMBER: Final = struct.Struct("<I")


def windows_routes(
    interfaces: Sequence[Interface], servers: Sequence[Address], library: Any = None
) -> tuple[Route, ...] | None:
    """The routes to these servers, whatever the port; None where there is no such library."""
    try:
        loaded = load_ip_helper() if library is None else library
    except OSError:
        return None
    return tuple(route for remote, _ in servers for route in _routes_to(loaded, interfaces, remote))


def _routes_to(library: Any, interfaces: Sequence[Interface], remote: str) -> Iterable[Route]:
    usable, near = usable_for(remote, interfaces)
    if near:
        # here as below, what has no number is no interface that the system knows
        known = {interface.name for interface in usable if interface.index is not None}
        yield from (route for route in near if route.interface in known)
        return
    address = ipaddress.ip_address(remote.partition("%")[0])
    system = _best_route(library, address, 0)
    for interface in usable:
        index = interface.index
        if index is None:
            continue
        chosen = system is not None and system[0] == index
        route = system if chosen else _best_route(library, address, index)
        if route is not None and route[0] == index:
            metric = route[1] + _interface_metric(library, address.version, index)
            source = route[2] if chosen else None
            yield Route(
                remote=remote, interface=interface.name, source=source, metric=metric, chosen=chosen
            )


def _best_route(
    library: Any, address: ipaddress.IPv4Address | ipaddress.IPv6Address, index: int
) -> tuple[int, int, str] | None:
    """Interface, metric and source address of the best route; `index` 0 is any interface."""
    destination = ctypes.create_string_buffer(_sockaddr(address), _SOCKADDR)
    row = ctypes.create_string_buffer(_ROW)
    source = ctypes.create_string_buffer(_SOCKADDR)
    if library.GetBestRoute2(None, index, None, destination, 0, row, source):
        return None
    number = _NUMBER.unpack_from(row.raw, _ROW_INDEX)[0]
    metric = _NUMBER.unpack_from(row.raw, _ROW_METRIC)[0]
    return number, metric, _address_in(source.raw)


def _interface_metric(library: Any, version: int, index: int) -> int:
    """What the interface adds to its routes' metrics; 0 if it is not told."""
    row = ctypes.create_string_buffer(_INTERFACE_ROW)
    family = _AF_INET6 if version == 6 else _AF_INET
    struct.pack_into("<H", row, 0, family)
    _NUMBER.pack_into(row, _INTERFACE_INDEX, index)
    if library.GetIpInterfaceEntry(row):
        return 0
    metric: int = _NUMBER.unpack_from(row.raw, _INTERFACE_METRIC)[0]
    return metric


def _sockaddr(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    if address.version == 6:
        return struct.pack("<HHI", _AF_INET6, 0, 0) + address.packed + bytes(4)
    return struct.pack("<HH", _AF_INET, 0) + address.packed + bytes(20)


def _address_in(sockaddr: bytes) -> str:
    if struct.unpack_from("<H", sockaddr)[0] == _AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])


def load_ip_helper() -> Any:
    """The library of the IP Helper API; OSError on other systems."""
    if sys.platform == "win32":
        return ctypes.WinDLL("iphlpapi")
    raise OSError(_NO_SUCH_FUNCTION, "only Windows has iphlpapi.dll")
