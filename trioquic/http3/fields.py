"""Header and trailer fields: what may be sent, and what makes a response malformed.

RFC 9114 sections 4.1.2, 4.2 and 4.3; RFC 9110 section 5 for the characters. A malformed response is
a stream error, never repaired: repairing is how requests get smuggled. Blanks around a value are no
part of it, whoever wrote them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from .. import _checks
from .errors import ErrorCode, MalformedResponseError

HeaderTypes: TypeAlias = Sequence[tuple[bytes | str, bytes | str]]
"""Header fields as a caller may give them, in order."""
Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header fields as this library gives them: lower-case names, in the order of arrival."""

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-zA-Z]+")
_LOWER_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# RFC 9110 section 5.5; RFC 9114 section 10.3 asks to refuse NUL, CR, LF and other controls
_VALUE: Final = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_BLANKS: Final = b" \t"
_STATUS: Final = re.compile(rb"[1-9][0-9][0-9]")
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
# section 4.2: what says something about one connection has no place in HTTP/3
CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
# beside its letters, what a field counts as (section 4.2.2), and an entry of QPACK's dynamic table
# (RFC 9204 section 3.2.1)
FIELD_OVERHEAD: Final = 32
TEXT: Final = _checks.instance(str)
_MAYBE_TEXT: Final = _checks.optional(TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """A response without its content."""

    status: int
    """The status code (RFC 9110 section 15)."""
    headers: Headers
    informational: "tuple[ResponseHead, ...]" = ()
    """The interim (1xx) responses that came before, in order."""

    def header(self, name: str, default: str | None = None) -> str | None:
        """The value of the first field of that name, in whichever letters; `default` if there is
        none. Bytes are letters of Latin-1 (RFC 9110 section 5.5)."""
        _checks.check(TEXT, "name", name)
        wanted = name.lower().encode("latin-1")
        found = (value.decode("latin-1") for key, value in self.headers if key == wanted)
        return next(found, default)


def section_size(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """How large a field section counts as (section 4.2.2)."""
    return sum(len(name) + len(value) + FIELD_OVERHEAD for name, value in fields)


def header_fields(name: str, value: object) -> object:
    """A row for `HeaderTypes`: pairs of texts, in a sequence."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        hint = "write list(headers.items())" if isinstance(value, Mapping) else ""
        raise _checks.wrong_type(name, "a sequence of (name, value) pairs", value, hint)
    for pair in value:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"each of {name} must be a (name, value) pair, not {pair!r:.60}")
        for part in pair:
            if not isinstance(part, bytes | str):
                raise _checks.wrong_type(f"each name and value in {name}", "bytes or str", part)
    return value


def request_fields(headers: HeaderTypes) -> list[tuple[bytes, bytes]]:
    """A caller's header or trailer fields as they go on the wire. Raises ValueError, TypeError."""
    _checks.check(header_fields, "headers", headers)
    fields = []
    for given_name, given_value in headers:
        # no name has a question mark
        name = _bytes(given_name, "replace").lower()
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"not a field name: {given_name!r}")
        value = _value(name, given_value)
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name.decode()} has a character that is not allowed")
        if name in CONNECTION_SPECIFIC or (name == b"te" and value.lower() != b"trailers"):
            raise ValueError(f"{name.decode()}: {value!r} has no place in HTTP/3")
        fields.append((name, value))
    return fields


def check_length(fields: Iterable[tuple[bytes, bytes]], length: int | None) -> int | None:
    """The length of its content that a request's fields say, if they do. Raises ValueError if they
    say it more than once (RFC 9110 section 5.3), or not the one that it has, in bytes, if that is
    known (section 4.1.2)."""
    lengths = [field for field in fields if field[0] == b"content-length"]
    if len(lengths) > 1:
        raise ValueError("a request can have one content-length only")
    announced = _announced_length(lengths)
    if None not in (announced, length) and announced != length:
        raise ValueError(f"content-length says {announced}, and the content has {length} bytes")
    return announced


def completed(
    fields: list[tuple[bytes, bytes]], authorization: str | None, content: object
) -> Headers:
    """With the fields that a URL's user and a content of known length bring along, where the caller
    has given none. Raises ValueError for a content-length that is not the content's."""
    known = b"" if content is None else content
    check_length(fields, len(known) if isinstance(known, bytes) else None)
    given = {name for name, _ in fields}
    more = []
    if authorization is not None and b"authorization" not in given:
        more.append((b"authorization", authorization.encode("ascii")))
    if isinstance(content, bytes) and b"content-length" not in given:
        more.append((b"content-length", b"%d" % len(content)))
    return (*fields, *more)


def pseudo_fields(
    method: str, scheme: str, authority: str, path: str, protocol: str | None
) -> list[tuple[bytes, bytes]]:
    """A request's control data (section 4.3.1; 4.4 and RFC 9220 for CONNECT)."""
    given = {"method": method, "scheme": scheme, "authority": authority, "path": path}
    for name, value in given.items():
        _checks.check(TEXT, name, value)
    _checks.check(_MAYBE_TEXT, "protocol", protocol)
    if not method.isascii() or not _TOKEN.fullmatch(_bytes(method)):
        raise ValueError(f"not a method: {method!r}")
    fields = [(b":method", _bytes(method)), (b":authority", _visible("authority", authority))]
    if method == "CONNECT" and protocol is None:
        return fields
    if not path.startswith("/") and not (method == "OPTIONS" and path == "*"):
        raise ValueError(f"path must begin with a slash, not {path!r}")
    fields.append((b":scheme", _visible("scheme", scheme)))
    fields.append((b":path", _visible("path", path)))
    if protocol is not None:
        if method != "CONNECT":
            raise ValueError("protocol goes with the method CONNECT only")
        fields.append((b":protocol", _visible("protocol", protocol)))
    return fields


def read_response(fields: Sequence[tuple[bytes, bytes]]) -> ResponseHead:
    """The head that a field section makes. Raises MalformedResponseError."""
    if not fields or fields[0][0] != b":status":
        raise malformed("it does not begin with :status")
    status = fields[0][1]
    if not _STATUS.fullmatch(status):
        raise malformed("its status is not a number of three digits")
    if status == b"101":
        raise malformed("status 101 does not exist in HTTP/3 (RFC 9114 section 4.5)")
    return ResponseHead(status=int(status), headers=read_fields(fields[1:]))


def read_fields(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Regular fields, or trailers, without the blanks around their values (RFC 9110 section 5.5).
    Raises MalformedResponseError."""
    read = []
    for field in fields:
        name, given = field
        value = given.strip(_BLANKS)
        if not _LOWER_TOKEN.fullmatch(name):
            raise malformed(f"a field has the name {name[:64]!r}")
        if not _VALUE.fullmatch(value):
            raise malformed(f"the value of {name[:64]!r} has a character that is not allowed")
        if name in CONNECTION_SPECIFIC or name == b"te":
            raise malformed(f"{name.decode()} has no place in HTTP/3")
        # fields may be the same object many times
        read.append(field if value == given else (name, value))
    return tuple(read)


def content_length(headers: Headers) -> int | None:
    """How long the content says it is; None if it does not. Raises MalformedResponseError."""
    try:
        return _announced_length(headers)
    except ValueError as error:
        raise malformed(str(error)) from None


def _announced_length(fields: Iterable[tuple[bytes, bytes]]) -> int | None:
    values = {value for name, value in fields if name == b"content-length"}
    if not values:
        return None
    if len(values) > 1 or not _LENGTH.fullmatch(value := values.pop()):
        raise ValueError("content-length is not one number")
    return int(value)


def malformed(reason: str) -> MalformedResponseError:
    text = f"the response is malformed: {reason}"
    return MalformedResponseError(text, code=ErrorCode.H3_MESSAGE_ERROR)


def _bytes(text: bytes | str, errors: str = "strict") -> bytes:
    return text.encode("latin-1", errors) if isinstance(text, str) else text


def _value(name: bytes, given: bytes | str) -> bytes:
    try:
        return _bytes(given).strip(_BLANKS)
    except UnicodeEncodeError as error:
        letter = error.object[error.start]
        raise ValueError(
            f"the value of {name.decode()} has {letter!r}, which is not in Latin-1 (RFC 9110"
            " section 5.5): encode it first"
        ) from None


def _visible(what: str, text: str) -> bytes:
    """Control data: printable ASCII without spaces."""
    if not text or any(not "!" <= letter <= "~" for letter in text):
        raise ValueError(f"{what} is empty or has a character that is not allowed: {text!r}")
    return text.encode("ascii")
