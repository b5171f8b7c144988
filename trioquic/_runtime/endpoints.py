"""Addresses, ports and names of interfaces as the application gives them, checked."""

import ipaddress
from typing import Final

from .. import _checks

_TEXT: Final = _checks.instance(str)


def check_local(interface: str | None, local: str | None) -> None:
    """An interface name and an IP address, both optional."""
    if interface is not None:
        _checks.check(_TEXT, "interface", interface)
        if not interface or "\0" in interface:
            raise ValueError(f"{interface!r} is no name of an interface")
    if local is not None:
        _checks.check(_TEXT, "local", local)
        if not is_address(local):
            raise ValueError(f"local must be an IP address, not {local!r}")


def check_port(name: str, port: int, *, least: int) -> None:
    """A UDP port; `least` is 0 where the system may choose."""
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{name} must be an integer, not {type(port).__name__}")
    if not least <= port <= 65535:
        raise ValueError(f"{name} must be from {least} to 65535, not {port}")


def is_address(text: str) -> bool:
    """Whether this is an IP address and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ip_version(address: str) -> int:
    """4 or 6."""
    return ipaddress.ip_address(address).version
