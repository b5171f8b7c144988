"""Where a redirect leads, and with which request (RFC 9110 section 15.4)."""

from dataclasses import replace
from typing import Final

from ..errors import RedirectError
from ..fields import Headers
from ..url import joined, parse_url
from .call import Call

REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_SEE_OTHER: Final = 303
# With these, nobody has ever sent a POST again (sections 15.4.2 and 15.4.3)
_BECOMES_GET: Final = frozenset((301, 302))
# What was for one origin only: secrets
_OF_ORIGIN: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))
# and its name, which may be spelt with its port or without (RFC 9114 section 4.3.1)
_OF_AUTHORITY: Final = frozenset((b"host",))
# What was about the content (section 8)
_OF_CONTENT: Final = frozenset(
    b"content-%s" % name for name in (b"encoding", b"language", b"length", b"location", b"type")
)


def after_redirect(call: Call, url: str, status: int, location: bytes) -> tuple[Call, str]:
    """The request that follows a redirect of the one for `url`, and its URL. Raises
    `RedirectError`."""
    try:
        target = parse_url(joined(url, location))
    except ValueError as error:
        raise RedirectError(f"redirected to what cannot be asked for: {error}") from None
    method, fields, content = call.method, call.fields, call.content
    gets = status == _SEE_OTHER or (status in _BECOMES_GET and method == "POST")
    if gets and method not in ("GET", "HEAD"):
        method, content = "GET", None
        fields = _without(fields, _OF_CONTENT)
    if content is not None and not isinstance(content, bytes):
        raise RedirectError("redirected, and the content is not there to be sent once more")
    if target.origin != call.origin:
        fields = _without(fields, _OF_ORIGIN)
    if target.authority != call.authority:
        fields = _without(fields, _OF_AUTHORITY)
    origin, authority, path = target.origin, target.authority, target.path
    call = replace(call, origin=origin, authority=authority, path=path)
    return replace(call, method=method, fields=fields, content=content), target.url


def _without(fields: Headers, names: frozenset[bytes]) -> Headers:
    return tuple((name, value) for name, value in fields if name not in names)
