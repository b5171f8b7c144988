"""What an Alt-Svc header field says (RFC 7838 section 3): where else an origin can be reached.

Only HTTP/3 is of interest here. A field that is not well-formed says nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PARAMETER: Final = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})")
_ALTERNATIVE: Final = re.compile(
    rf"[ \t,]*({_TOKEN})=({_QUOTED})"
    rf"((?:[ \t]*;(?:[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))?)*)[ \t]*(?:,|$)"
)
_CLEAR: Final = re.compile(r"[ \t,]*clear[ \t]*(?:,|$)")
# a name or an IPv4 address, or an IPv6 address in brackets, or nothing; then the port
_AUTHORITY: Final = re.compile(r"([0-9A-Za-z._~%-]*|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_SECONDS: Final = re.compile(r"[0-9]+")

_DAY: Final = 24 * 3600.0
# more counts as this many seconds (RFC 9111 section 1.2.2)
_MOST_SECONDS: Final = float(1 << 31)
# What a server may make us keep and look through
_MOST_TEXT: Final = 8192
_MOST_ALTERNATIVES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One place where an origin speaks HTTP/3."""

    host: str
    """Empty: the origin's own."""
    port: int
    max_age: float = _DAY
    """Seconds from when the response was made (section 3.1)."""
    persist: bool = False
    """Whether it also holds after the client has moved to another network."""


def parse_alt_svc(values: Iterable[str]) -> tuple[Alternative, ...] | None:
    """The HTTP/3 alternatives that the values of Alt-Svc fields name, best first.

    An empty tuple takes back all that was said before; None says nothing.
    """
    text = ",".join(values).strip(" \t,")
    if not text or len(text) > _MOST_TEXT:
        return None
    found: list[Alternative] = []
    position = 0
    while position < len(text):
        if _CLEAR.match(text, position):
            return ()
        match = _ALTERNATIVE.match(text, position)
        if match is None:
            return None
        position = match.end()
        alternative = _http3(match[1], _unquote(match[2]), match[3])
        if alternative is not None and len(found) < _MOST_ALTERNATIVES:
            found.append(alternative)
    return tuple(found)


def _http3(protocol: str, authority: str, parameters: str) -> Alternative | None:
    """None for other protocols, and for an authority that is none."""
    # section 3: a protocol's name has one spelling only, and "h3" needs no percent-encoding
    match = _AUTHORITY.fullmatch(authority)
    if protocol != "h3" or match is None or not 0 < int(match[2]) < 1 << 16:
        return None
    max_age, persist = _DAY, False
    for name, value in _PARAMETER.findall(parameters):
        value = _unquote(value)
        if name == "ma" and _SECONDS.fullmatch(value):
            max_age = min(float(value), _MOST_SECONDS)
        elif name == "persist":
            # any other value than 1 is to be ignored
            persist = value == "1"
    return Alternative(
        host=match[1].strip("[]").lower(), port=int(match[2]), max_age=max_age, persist=persist
    )


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
