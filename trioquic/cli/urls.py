"""URLs that can be fetched: what the user gave, and where servers redirect to.

Everything about a URL is checked here, before any part of it reaches a name server, a handshake or
a terminal. What is told to people has no password in it.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import idna

from .._checks import without_password
from ..http3.origin import credentials_of
from . import failures
from .failures import FetchError

Origin = tuple[str, int]

_PORT: Final = 443
_LONGEST_NAME: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_BRACKETED: Final = re.compile(r"(?:^|@)\[[^][@]+\](?::[0-9]*)?$")
_UNSAFE: Final = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request goes."""

    origin: Origin
    """Host, with an address's zone, and port."""
    url: str
    """As the server is asked: the host in ASCII, without zone and userinfo."""
    authorization: str | None
    """What the userinfo of the URL becomes (RFC 7617)."""


def parse_url(url: str) -> Target:
    """Raises `FetchError`."""
    try:
        return _parse(url)
    except ValueError as error:
        raise FetchError(failures.BAD_URL, str(error)) from None


def redirected(url: str, location: bytes) -> Target:
    """Where a Location field leads from a URL (RFC 9110 section 10.2.2). A server names no user.

    Raises `FetchError`.
    """
    try:
        text = location.decode()
    except UnicodeDecodeError:
        text = _UNSAFE.sub(lambda byte: b"%%%02X" % byte[0][0], location).decode("ascii")
    try:
        url = urljoin(url, text)
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise _leads_nowhere(failures.BAD_URL, text, error) from None
    if scheme != "https":
        raise _leads_nowhere(failures.REDIRECTS, url, "which is no https URL")
    try:
        return _parse(url)
    except ValueError as error:
        raise _leads_nowhere(failures.BAD_URL, url, error) from None


def _leads_nowhere(code: int, url: str, why: object) -> FetchError:
    return FetchError(code, f"redirected to {without_password(url)}, {why}")


def is_https(url: str) -> bool:
    """Whether this is a URL that can be fetched, whatever its host is called."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _parse(url: str) -> Target:
    """Raises ValueError."""
    if _CONTROL.search(url):
        raise ValueError("a URL with blanks or control characters")
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise ValueError("not an https URL")
    port = _PORT if parts.port is None else parts.port
    if port == 0:
        raise ValueError("port 0 is none")
    host = _host(parts.hostname or "")
    name, _, _ = host.partition("%")
    if "[" in parts.netloc and (":" not in name or not _BRACKETED.search(parts.netloc)):
        raise ValueError("only IPv6 addresses have brackets")
    netloc = f"[{name}]" if ":" in name else name
    if parts.port is not None:
        netloc += f":{port}"
    return Target(
        origin=(host, port),
        url=parts._replace(netloc=netloc).geturl(),
        authorization=credentials_of(url),
    )


def _host(host: str) -> str:
    """A host as name servers know it (RFC 5890), or an address, its zone as in RFC 6874 or as
    people write it. Raises ValueError."""
    if not 0 < len(host) <= _LONGEST_NAME:
        raise ValueError("the host is missing, or too long to be one")
    if ":" in host:
        address, percent, zone = host.partition("%")
        if percent:
            zone = zone.removeprefix("25") or zone
        return str(ipaddress.IPv6Address(address)) + percent + zone
    # an IDN is longer in ASCII
    name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{host!r} is no host name")
    if labels[-1].isdigit():
        # what looks like an address is one
        ipaddress.IPv4Address(name)
    return name
