"""Where a redirect leads, and with which request (RFC 9110 section 15.4)."""

from dataclasses import dataclass, replace
from typing import Final

from ..errors import RedirectError
from ..fields import Headers
from ..response import Content
from ..url import Target, joined, parse_url

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_SEE_OTHER: Final = 303
# With these, nobody has ever sent a POST again (sections 15.4.2 and 15.4.3)
_BECOMES_GET: Final = frozenset((301, 302))
# What was for one origin only: secrets, and its name
_OF_ORIGIN: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"host"))
# What was about the content (section 8)
_OF_CONTENT: Final = frozenset(
    b"content-%s" % name for name in (b"encoding", b"language", b"length", b"location", b"type")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the application wants, or is led to."""

    method: str
    target: Target
    headers: Headers
    content: Content | None
    authorization: str | None
    """That of the user in the URL that the application gave, for the origin of that."""


def is_redirect(status: int) -> bool:
    """Whether a response with a Location sends to another URL."""
    return status in _REDIRECTS


def led_by(status: int, location: bytes, wish: Wish) -> Wish:
    """The request that follows a redirect. Raises `RedirectError`."""
    try:
        target = parse_url(joined(wish.target.url, location))
    except ValueError as error:
        raise RedirectError(f"redirected to what cannot be asked for: {error}") from None
    method, headers = wish.method, wish.headers
    gets = status == _SEE_OTHER or (status in _BECOMES_GET and method == "POST")
    if gets and method not in ("GET", "HEAD"):
        method = "GET"
        headers = _without(headers, _OF_CONTENT)
        wish = replace(wish, content=None)
    if wish.content is not None and not isinstance(wish.content, bytes):
        raise RedirectError("redirected, and the content is not there to be sent once more")
    if target.origin != wish.target.origin:
        headers = _without(headers, _OF_ORIGIN)
        wish = replace(wish, authorization=None)
    return replace(wish, method=method, target=target, headers=headers)


def _without(headers: Headers, names: frozenset[bytes]) -> Headers:
    return tuple((name, value) for name, value in headers if name not in names)
