"""For which names a server has been authenticated, beside the one that was asked for.

A certificate may name many hosts, and its owner may answer for each of them (RFC 9110 section
4.3.4). What decides is what decided when the connection was made: with authorities, the names in
the certificate; with a pinned fingerprint or none at all the user knows the server by other means,
and for what it may be asked.
"""

import ipaddress

from .._protocol.tls.config import TlsClientConfig, is_address, normal_name
from .._protocol.tls.verify import names_server


class Authority:
    """The server that one connection was meant for."""

    def __init__(self, host: str, tls: TlsClientConfig) -> None:
        self._host = host
        self._own = {_one_form(name) for name in (host, tls.server_name) if name is not None}
        self._verification = tls.verification

    def covers(self, name: str, certificates: tuple[bytes, ...]) -> bool:
        """Whether the server answers for `name`; `certificates`: none until it is authenticated."""
        if "%" in name:
            # the same address on another link is another host
            return name == self._host
        try:
            wanted = _one_form(name)
        except ValueError:
            return False
        if wanted in self._own:
            return True
        return bool(certificates) and names_server(self._verification, certificates[0], wanted)


def _one_form(name: str) -> str:
    """Whoever is meant is written in one way. Raises ValueError."""
    name = normal_name(name)
    return str(ipaddress.ip_address(name)) if is_address(name) else name.lower()
