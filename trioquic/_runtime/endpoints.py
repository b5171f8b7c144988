"""Addresses, ports and names of interfaces as the application gives them, checked."""

import ipaddress
from typing import Final

from .. import _checks
from .._protocol.tls.config import is_address

PORT: Final = _checks.whole(1, 65535)
_LOCAL_PORT: Final = _checks.whole(0, 65535)
_TEXT: Final = _checks.optional(_checks.instance(str))
_HOST: Final = _checks.instance(str)
_INTERFACE: Final = _checks.optional(_checks.text)


def check_local(interface: str | None, local: str | None, local_port: int = 0) -> None:
    """An interface name and an IP address, both optional; port 0 lets the system choose."""
    _checks.check(_INTERFACE, "interface", interface)
    _checks.check(_TEXT, "local", local)
    if local is not None and not is_address(local):
        raise ValueError(f"local must be an IP address, not {local!r}")
    _checks.check(_LOCAL_PORT, "local_port", local_port)


def check_server(server: object) -> None:
    """None, or an address of the server's as `Connection.peer` tells it."""
    if server is None:
        return
    if not (isinstance(server, tuple) and len(server) == 2):
        raise _checks.wrong_type("server", "a tuple of an IP address and a port", server)
    _checks.check(_HOST, "server's address", server[0])
    _checks.check(PORT, "server's port", server[1])


def ip_version(address: str) -> int:
    """4 or 6."""
    return ipaddress.ip_address(address).version
