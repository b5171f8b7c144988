"""Sessions as the text of a file: JSON on one line, whose head says what it is.

The head is fixed text, so that a file of somebody else's is told from one of ours that was damaged.
It has the SHA-256 of the entries: a secret with one wrong bit would make a handshake fail, where a
missing one only makes it longer. That is no protection against those who can write the file.
"""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from typing import Final

from .._protocol.tls.resumption import Resumption
from ._records import AddressToken, Record, SessionKey
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
    """The content of a file."""
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
        return [_decode_entry(_Fields(entry)) for entry in entries]
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"is damaged: {error}") from error


def _encode_entry(entry: Entry) -> dict[str, object]:
    key, record = entry
    return {
        "server_name": key.server_name,
        "port": key.port,
        "version": key.version,
        "network": key.network,
        "trust": key.trust,
        **_encode_record(record),
    }


def _encode_record(record: Record) -> dict[str, object]:
    if isinstance(record, AddressToken):
        return {"token": _text(record.token), "received_at": record.received_at}
    return {
        "ticket": _text(record.ticket),
        "secret": _text(record.secret),
        "cipher_suite": record.cipher_suite,
        "age_add": record.age_add,
        "issued_at": record.issued_at,
        "expires_at": record.expires_at,
        "alpn": record.alpn,
        "peer_certificates": [_text(der) for der in record.peer_certificates],
        "transport_parameters": _text(record.transport_parameters),
        "early_data": record.early_data,
        "address": record.address,
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class _Fields:
    """A JSON object whose fields are asked for by name and type; ValueError for anything else."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise ValueError("an entry is no object")
        self._fields = value

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise ValueError(f"{name} is no text")
        return value

    def integer(self, name: str) -> int:
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name} is no integer")
        return value

    def seconds(self, name: str) -> float:
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is no number")
        # JSON has integers that are larger than any float
        if not -sys.float_info.max <= value <= sys.float_info.max:
            raise ValueError(f"{name} is not finite")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise ValueError(f"{name} is neither true nor false")
        return value

    def octets(self, name: str) -> bytes:
        return base64.b64decode(self.text(name), validate=True)

    def octets_of_each(self, name: str) -> tuple[bytes, ...]:
        value = self._fields.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{name} is no list of texts")
        return tuple(base64.b64decode(item, validate=True) for item in value)


def _decode_entry(fields: _Fields) -> Entry:
    key = SessionKey(
        server_name=fields.text("server_name"),
        port=fields.integer("port"),
        version=fields.integer("version"),
        network=fields.text("network"),
        trust=fields.text("trust"),
    )
    return Entry(key, _decode_record(fields))


def _decode_record(fields: _Fields) -> Record:
    if "token" in fields:
        return AddressToken(token=fields.octets("token"), received_at=fields.seconds("received_at"))
    return Resumption(
        ticket=fields.octets("ticket"),
        secret=fields.octets("secret"),
        cipher_suite=fields.integer("cipher_suite"),
        age_add=fields.integer("age_add"),
        issued_at=fields.seconds("issued_at"),
        expires_at=fields.seconds("expires_at"),
        alpn=fields.text("alpn"),
        peer_certificates=fields.octets_of_each("peer_certificates"),
        transport_parameters=fields.octets("transport_parameters"),
        early_data=fields.flag("early_data"),
        address=fields.text("address") if "address" in fields else "",
    )
