"""The network interfaces of this machine, or of a world that the application supplies.

`system_networks()` reads the operating system through ifaddr. Anything with a `snapshot` method can
take its place: a phone that knows more than the system tells, or a simulated network.
"""

import ipaddress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import ifaddr


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceAddress:
    """One IP address of an interface: text, and the length of its network prefix in bits."""

    address: str
    prefix_length: int

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.address).version


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network interface. `index` is the system's number for it, None where there is none."""

    name: str
    index: int | None
    addresses: tuple[InterfaceAddress, ...]


@runtime_checkable
class NetworkSource(Protocol):
    """Where the interfaces come from."""

    def snapshot(self) -> tuple[Interface, ...]:
        """The interfaces as they are now. Must not block for long: it is called from trio."""
        ...


class _SystemNetworks:
    """The interfaces of the operating system."""

    __slots__ = ()

    def snapshot(self) -> tuple[Interface, ...]:
        found = []
        for adapter in ifaddr.get_adapters(include_unconfigured=True):
            addresses = []
            for entry in adapter.ips:
                # IPv6 entries are (address, flow information, scope)
                text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
                addresses.append(InterfaceAddress(address=text, prefix_length=entry.network_prefix))
            found.append(
                Interface(name=adapter.name, index=adapter.index, addresses=tuple(addresses))
            )
        return tuple(found)


def system_networks() -> NetworkSource:
    """The interfaces of this machine, read anew with each `snapshot()`."""
    return _SystemNetworks()
