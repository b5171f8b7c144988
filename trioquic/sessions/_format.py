"""Sessions as the text of a file: JSON on one line, whose head says what it is.

The head is fixed text, so that a file of somebody else's is told from one of ours that was damaged.
It has the SHA-256 of the entries: a secret with one wrong bit would make a handshake fail, where a
missing one only makes it longer. That is no protection against those who can write the file.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final, cast

from .. import _checks
from .._protocol.tls.resumption import Resumption
from ._records import AddressToken, SessionKey
from ._shelf import LARGEST_RECORD, MOST_RECORDS, Entry

VERSION: Final = 1
# Base64 makes them a third longer; keys and numbers take the rest.
LARGEST_FILE: Final = MOST_RECORDS * (2 * LARGEST_RECORD)

_HEAD: Final = '{"format": "trioquic sessions", "version": '
_OURS: Final = re.compile(re.escape(_HEAD.encode()) + rb"(\d{1,9})")
_WHOLE: Final = re.compile(
    re.escape(f'{_HEAD}{VERSION}, "sha256": "'.encode()) + rb'([0-9a-f]{64})", "entries": (.*)\}\n',
    re.DOTALL,
)


class ForeignError(ValueError):
    """The content is not ours, or of another version: it must not be replaced."""


class DamagedError(ValueError):
    """It was ours once."""


def encode(entries: Sequence[Entry]) -> bytes:
    body = json.dumps([_encode_entry(entry) for entry in entries])
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f'{_HEAD}{VERSION}, "sha256": "{digest}", "entries": {body}}}\n'.encode()


def decode(content: bytes) -> list[Entry]:
    """What `encode` was given; raises ForeignError and DamagedError."""
    if not content.strip(b"\0"):
        # After a power failure some file systems have only the length, or not even that.
        raise DamagedError("is empty")
    ours = _OURS.match(content)
    if ours is None:
        raise ForeignError("has no sessions in it")
    if int(ours[1]) != VERSION:
        raise ForeignError(f"has version {int(ours[1])} of the format, not {VERSION}")
    whole = _WHOLE.fullmatch(content)
    if whole is None or hashlib.sha256(whole[2]).hexdigest().encode() != whole[1]:
        raise DamagedError("is damaged")
    try:
        entries = json.loads(whole[2])
        if not isinstance(entries, list):
            raise ValueError("no list")
        return [_decode_entry(entry) for entry in entries]
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"is damaged: {error}") from error


def _encode_entry(entry: Entry) -> dict[str, object]:
    key, record = entry
    rows = _TOKEN if isinstance(record, AddressToken) else _TICKET
    return {name: _encode_value(getattr(key, name)) for name in _KEY} | {
        name: _encode_value(getattr(record, name)) for name in rows
    }


def _encode_value(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return [_encode_value(one) for one in value] if isinstance(value, tuple) else value


def _decode_entry(fields: object) -> Entry:
    if not isinstance(fields, dict):
        raise ValueError("an entry is no object")
    key = SessionKey(**_decode_values(fields, _KEY))
    if "token" in fields:
        return Entry(key, AddressToken(**_decode_values(fields, _TOKEN)))
    return Entry(key, Resumption(**_decode_values({**_ADDED, **fields}, _TICKET)))


def _decode_values(fields: dict[str, object], rows: dict[str, _checks.Row]) -> dict[str, Any]:
    return {name: read(name, fields.get(name)) for name, read in rows.items()}


def _checked(row: _checks.Row) -> _checks.Row:
    """What is of the wrong type is a wrong value here; any other TypeError is a bug of ours."""

    def read(name: str, value: object) -> object:
        try:
            return row(name, value)
        except TypeError as error:
            raise ValueError(str(error)) from error

    return read


_text: Final = _checked(_checks.instance(str))
_integer: Final = _checked(_checks.whole(-_checks.LARGEST_VARINT))
_number: Final = _checked(_checks.number(-_checks.LONGEST))
_flag: Final = _checked(_checks.flag)


def _seconds(name: str, value: object) -> float:
    # checked first: JSON has integers that are larger than any float
    return float(cast(float, _number(name, value)))


def _octets(name: str, value: object) -> bytes:
    return base64.b64decode(cast(str, _text(name, value)), validate=True)


def _octets_of_each(name: str, value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    return tuple(_octets(f"each of {name}", item) for item in value)


_KEY: Final[dict[str, _checks.Row]] = {
    "server_name": _text,
    "port": _integer,
    "version": _integer,
    "network": _text,
    "trust": _text,
}
_TOKEN: Final[dict[str, _checks.Row]] = {"token": _octets, "received_at": _seconds}
_TICKET: Final[dict[str, _checks.Row]] = {
    "ticket": _octets,
    "secret": _octets,
    "cipher_suite": _integer,
    "age_add": _integer,
    "issued_at": _seconds,
    "expires_at": _seconds,
    "alpn": _text,
    "peer_certificates": _octets_of_each,
    "transport_parameters": _octets,
    "early_data": _flag,
    "authenticated_at": _seconds,
    "address": _text,
}
# what files of older versions do not have
_ADDED: Final[dict[str, object]] = {"authenticated_at": 0.0, "address": ""}
