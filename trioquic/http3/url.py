"""URLs that can be asked for: what the application gives, and where servers redirect to.

Everything about a URL is checked here, before any part of it reaches a name server, a handshake or
a terminal. What is told to people has no password in it.
"""

import base64
import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, unquote_to_bytes, urljoin, urlsplit

import idna

from .._checks import without_password

_PORT: Final = 443
_LONGEST_NAME: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_BRACKETED: Final = re.compile(r"(?:^|@)\[[^][@]+\](?::[0-9]*)?$")
_UNSAFE: Final = re.compile(rb"[\x80-\xff]")
# what a path or query may hold as it is (RFC 3986 section 3.3 and 3.4), and the percent sign
_SAFE: Final = "/:@!$&'()*+,;=~?%[]"
_PLAIN: Final = re.compile(rf"[A-Za-z0-9_.\-{re.escape(_SAFE)}]*")


class Origin(NamedTuple):
    """An https origin (RFC 6454): a host in ASCII, or an address with its zone, and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request goes."""

    origin: Origin
    url: str
    """As the server is asked: the host in ASCII, without zone and userinfo."""
    authorization: str | None
    """What the userinfo of the URL becomes (RFC 7617)."""
    authority: str
    """As a request names it (RFC 9114 section 4.3.1)."""
    path: str
    """Path and query; letters that these cannot have are percent-encoded."""


def parse_url(url: str) -> Target:
    """Raises ValueError, which does not repeat what may be a password."""
    if _CONTROL.search(url):
        raise ValueError(f"{without_password(url)!r} has blanks or control characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        # what is wrong may be a part of the password
        raise ValueError(f"{without_password(url)!r} makes no sense") from None
    if parts.scheme != "https":
        raise ValueError(f"HTTP/3 needs an https URL, not {without_password(url)!r}")
    port = _port(parts)
    if not parts.hostname:
        raise ValueError(f"{without_password(url)!r} has no host")
    host = _host(parts.hostname)
    name, _, _ = host.partition("%")
    if "[" in parts.netloc and (":" not in name or not _BRACKETED.search(parts.netloc)):
        raise ValueError(f"only IPv6 addresses have brackets, not {name!r}")
    netloc = host_and_port(name, parts.port)
    return Target(
        origin=Origin(host, port),
        url=parts._replace(netloc=netloc, fragment="").geturl(),
        authorization=_authorization(parts),
        authority=netloc,
        path=_quoted(parts.path or "/") + (f"?{_quoted(parts.query)}" if parts.query else ""),
    )


def host_and_port(host: str, port: int | None) -> str:
    """As in a URL, and in an Alt-Used field (RFC 7838 section 5)."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def unescaped(host: str) -> str:
    """An address with the zone as the system writes it, of one as in a URL (RFC 6874), or as people
    write it there; any other host as it is."""
    address, percent, zone = host.partition("%")
    if not percent or ":" not in address:
        return host
    return f"{address}%{unquote(zone.removeprefix('25') or zone)}"


def without_zone(authority: str) -> str:
    """What a server gets to know: the zone of an address means something on this machine only."""
    address, percent, zone = authority.partition("%")
    if not percent or not address.startswith("["):
        return authority
    return f"{address}]{zone.rpartition(']')[2]}"


def _port(parts: SplitResult) -> int:
    """Raises ValueError, also for the beginning of a password with a slash in it."""
    try:
        port = _PORT if parts.port is None else parts.port
    except ValueError:
        shown = without_password(parts.geturl())
        raise ValueError(f"{shown!r} makes no sense: ports are numbers up to 65535") from None
    if port == 0:
        raise ValueError(f"{without_password(parts.geturl())!r} has port 0, which is none")
    return port


def _quoted(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else quote(part, safe=_SAFE)


def joined(url: str, location: bytes) -> str:
    """Where a Location field leads from a URL (RFC 9110 section 10.2.2). Raises ValueError."""
    try:
        text = location.decode()
    except UnicodeDecodeError:
        text = _UNSAFE.sub(lambda byte: b"%%%02X" % byte[0][0], location).decode("ascii")
    try:
        return urljoin(url, text)
    except ValueError:
        raise ValueError(f"{without_password(text)!r} makes no sense") from None


def _authorization(parts: SplitResult) -> str | None:
    userinfo = parts.netloc.rpartition("@")[0]
    user, _, password = userinfo.partition(":")
    if not user and not password:
        return None
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _host(host: str) -> str:
    """A host as name servers know it (RFC 5890), or an address, its zone as in RFC 6874 or as
    people write it. Raises ValueError."""
    if len(host) > _LONGEST_NAME:
        raise ValueError(f"{host[:20]!r}... is too long to be a host")
    if ":" in host:
        address, percent, zone = unescaped(host).partition("%")
        try:
            return str(ipaddress.IPv6Address(address)) + percent + zone
        except ValueError as error:
            raise ValueError(f"{host!r} is no IPv6 address: {error}") from None
    try:
        # an IDN is longer in ASCII
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{host!r} is no host name: {error}") from None
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{host!r} is no host name")
    if labels[-1].isdigit():
        # what looks like an address is one
        try:
            ipaddress.IPv4Address(name)
        except ValueError as error:
            raise ValueError(f"{host!r} is no IPv4 address: {error}") from None
    return name
