"""Which hosts a request may have on a connection (RFC 9114 sections 3.1 and 3.3).

The server of a connection answers for the hosts that its certificate names, whatever the port. A
request for another host would hand its URL, and its credentials, to whoever was connected to for
something else; it is refused here, before anything of it is sent. So is what names no host at all.
"""

from functools import lru_cache

from .. import Connection
from .errors import NotAuthoritativeError
from .url import parse_url


async def check_origin(quic: Connection, authority: str) -> None:
    """Wait, where it takes that, until it is known who the server is. Raises ValueError for what is
    no host, `NotAuthoritativeError`, and what ends the handshake."""
    host = _host_of(authority)
    if not quic.authenticates(host) and not quic.handshake_complete:
        await quic.wait_handshake_complete()
    if not quic.authenticates(host):
        raise NotAuthoritativeError(
            f"the server was not asked as {host}, and its certificate does not name that: the"
            " request is not for this connection (RFC 9114 section 3.3)"
        )


def check_authority(authority: str, fields: list[tuple[bytes, bytes]], *, is_tunnel: bool) -> None:
    """Raises ValueError for what is no authority of a request with these fields. That of a tunnel
    (a plain CONNECT) names a port (RFC 9110 section 9.3.6)."""
    _check_host_field(authority, fields)
    if is_tunnel and not authority.rpartition(":")[2].isdigit():
        raise ValueError(f"CONNECT needs HOST:PORT (RFC 9110 section 9.3.6), not {authority!r}")
    try:
        _host_of(authority)
    except ValueError as error:
        raise ValueError(f"the authority names no host and port: {error}") from None


@lru_cache
def _host_of(authority: str) -> str:
    """Raises ValueError for what is no authority of a request."""
    if any(mark in authority for mark in "/@?#"):
        # section 4.3.1: without userinfo
        raise ValueError("the authority is not HOST or HOST:PORT")
    return parse_url(f"https://{authority}").origin.host


def _check_host_field(authority: str, fields: list[tuple[bytes, bytes]]) -> None:
    """A Host field says the same as the control data, if there is one (section 4.3.1)."""
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1:
        raise ValueError("a request can have one field host only")
    if hosts and hosts[0].decode("latin-1").lower() != authority.lower():
        raise ValueError(f"the field host is not the authority, {authority!r}")
