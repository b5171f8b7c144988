"""Which URLs a request may have on a connection (RFC 9114 sections 3.1 and 3.3).

The server of a connection answers for the hosts that its certificate names, whatever the port. A
request for another host would hand its URL, and its credentials, to whoever was connected to for
something else; it is refused here, before anything of it is sent.
"""

import base64
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from .. import Connection
from .._checks import without_password
from .errors import NotAuthoritativeError
from .fields import HeaderTypes

# what a path or query may hold as it is (RFC 3986 section 3.3 and 3.4), and the percent sign
_URL_SAFE: Final = "/:@!$&'()*+,;=~?%[]"


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme, authority and path of an https URL, as a request names them (RFC 9114 section 4.3.1);
    letters that a path cannot have are percent-encoded. Raises ValueError, which does not repeat
    what may be a password."""
    try:
        parts = _split(url)
    except ValueError:
        # what is wrong may be a part of the password
        raise ValueError(f"{without_password(url)!r} makes no sense") from None
    if parts.scheme != "https":
        raise ValueError(f"HTTP/3 needs an https URL, not {without_password(url)!r}")
    if not parts.hostname:
        raise ValueError(f"no host in {without_password(url)!r}")
    authority = parts.netloc.rpartition("@")[2]
    path = quote(parts.path or "/", safe=_URL_SAFE)
    if parts.query:
        path += "?" + quote(parts.query, safe=_URL_SAFE)
    return parts.scheme, authority, path


def credentials_of(url: str) -> str | None:
    """The Authorization field for the user that a URL names (RFC 7617), None if it names none."""
    parts = _split(url)
    if not parts.username and not parts.password:
        return None
    user, password = parts.username or "", parts.password or ""
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return "Basic " + base64.b64encode(pair).decode()


async def check_origin(quic: Connection, authority: str) -> None:
    """Wait, where it takes that, until it is known who the server is. Raises ValueError for what is
    no host, `NotAuthoritativeError`, and what ends the handshake."""
    parts = _split(f"https://{authority}")
    host = parts.hostname
    if not host or parts.netloc != authority or "@" in authority:
        # section 4.3.1: without userinfo
        raise ValueError("the authority is not HOST or HOST:PORT")
    if not quic.authenticates(host) and not quic.handshake_complete:
        await quic.wait_handshake()
    if not quic.authenticates(host):
        raise NotAuthoritativeError(
            f"the server was not asked as {host}, and its certificate does not name that: the"
            " request is not for this connection (RFC 9114 section 3.3)"
        )


def check_host_field(authority: str, headers: HeaderTypes) -> None:
    """A Host field says the same as the control data, if there is one (section 4.3.1)."""
    for name, value in headers:
        if _text(name).lower() == "host" and _text(value).lower() != authority.lower():
            raise ValueError(f"the field host is not the authority, {authority!r}")


def _split(url: str) -> SplitResult:
    """Also the port is checked."""
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError("port 0 is none")
    _, bracket, rest = parts.netloc.rpartition("]")
    if bracket and rest[:1] not in ("", ":"):
        raise ValueError("something follows the address of the host")
    return parts


def _text(part: bytes | str) -> str:
    return part if isinstance(part, str) else part.decode("latin-1")
