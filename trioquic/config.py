"""What the application chooses: trust and TLS in `TLSConfig`, sizes and times in `TransportConfig`.

Both are frozen and check themselves when they are made, so that a mistake shows where it was made
and not in the middle of a handshake. Files are read when a connection is opened.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ._protocol.config import MOST_DATAGRAM as _MOST_DATAGRAM
from ._protocol.path.mtu import BASE as _BASE
from ._protocol.recovery import choice as _choice
from ._protocol.recovery.control import CongestionControl as CongestionControl
from ._protocol.tls import key_exchange as _key_exchange
from ._protocol.wire import versions as _versions

CIPHER_SUITES: Final[dict[str, int]] = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
}
VERSIONS: Final[dict[str, int]] = {"v1": _versions.VERSION_1, "v2": _versions.VERSION_2}
GROUPS: Final[dict[str, int]] = {
    name: number
    for name, number in (
        ("x25519mlkem768", _key_exchange.X25519MLKEM768),
        ("x25519", _key_exchange.X25519),
        ("secp256r1", _key_exchange.SECP256R1),
        ("secp384r1", _key_exchange.SECP384R1),
    )
    if number in _key_exchange.GROUPS
}
"""Those that the installed `cryptography` has: its OpenSSL may be too old for ML-KEM."""

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_LARGEST_VARINT: Final = (1 << 62) - 1
_MOST_STREAMS: Final = 1 << 60
_SHA256_SIZE: Final = 32

StrPath = str | os.PathLike[str]
CongestionChoice: TypeAlias = Literal["cubic", "newreno"] | Callable[[int], CongestionControl]


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSConfig:
    """Whom to trust, and how the TLS 1.3 handshake is made (RFC 9001 section 4).

    Without arguments the server's certificate must lead to one of certifi's roots and carry the
    server's name. At most one of `ca_file`/`ca_data`, `fingerprint` and `verify=False` replaces
    that.
    """

    ca_file: StrPath | None = None
    """File with the trusted root certificates, in PEM (one or more) or DER (one)."""
    ca_data: bytes | str | None = None
    """The same as data; with `ca_file` both count."""
    fingerprint: bytes | str | None = None
    """SHA-256 of the server's own certificate (DER): 32 bytes, or hexadecimal with or without
    colons. Exactly this certificate is accepted, whatever its name, issuer and dates."""
    verify: bool = True
    """False accepts every certificate: encryption without knowing with whom."""
    client_cert: StrPath | None = None
    """PEM file with the client's certificate and what leads to its root, sent if asked for."""
    client_key: StrPath | None = None
    """PEM file with the key of `client_cert`, not encrypted; default: it is in the same file."""
    keylog_file: StrPath | None = None
    """Append the secrets here in SSLKEYLOGFILE format, for debugging: whoever has the file can read
    the connection. Default: the file that the SSLKEYLOGFILE environment variable names, if any."""
    cipher_suites: Sequence[str] = tuple(CIPHER_SUITES)
    """Names of `CIPHER_SUITES`, preferred first."""
    groups: Sequence[str] = tuple(GROUPS)
    """Names of `GROUPS`, preferred first; a key share for the first goes out with the first flight.
    With one for X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem) goes one for X25519, if that is named
    here, so that servers without ML-KEM need no other round trip. The first flight then has two
    datagrams."""

    def __post_init__(self) -> None:
        for name in ("ca_file", "client_cert", "client_key", "keylog_file"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str | os.PathLike):
                raise TypeError(f"{name} must be a path, not {type(value).__name__}")
        if self.ca_data is not None and not isinstance(self.ca_data, bytes | str):
            raise TypeError(f"ca_data must be bytes or str, not {type(self.ca_data).__name__}")
        if not isinstance(self.verify, bool):
            raise TypeError(f"verify must be a bool, not {type(self.verify).__name__}")
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key without client_cert")
        has_roots = self.ca_file is not None or self.ca_data is not None
        if has_roots + (self.fingerprint is not None) + (not self.verify) > 1:
            raise ValueError("choose one of ca_file/ca_data, fingerprint and verify=False")
        object.__setattr__(self, "fingerprint", _fingerprint(self.fingerprint))
        for name, known in (("cipher_suites", CIPHER_SUITES), ("groups", GROUPS)):
            object.__setattr__(self, name, _names(name, getattr(self, name), known))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """Times in seconds, sizes in bytes. The defaults suit downloads over the Internet.

    A window is what the peer may send before the application has read; it starts at the `initial_*`
    size and grows with what is read, up to the `max_*` size (RFC 9000 section 4.2).
    """

    idle_timeout: float = 30.0
    """End the connection after this silence (RFC 9000 section 10.1); the server may want less, and
    it is never less than 3 PTO. 0: never."""
    keep_alive: float = 0.0
    """Send a PING after this silence, so that neither the idle timeout nor a NAT ends the
    connection (RFC 9000 section 10.1.2). 0: never."""
    handshake_timeout: float = 10.0
    """How long each of the server's addresses is given to complete the handshake."""
    attempt_delay: float = 0.25
    """After how long without success the next of the server's addresses is tried as well (RFC 8305
    section 8: from 0.1 to 2)."""
    drain_timeout: float = 5.0
    """How long a close waits for finished streams to be acknowledged, and after early data for the
    next ticket. 0: not at all."""
    max_ack_delay: float = 0.025
    """How long an acknowledgement may be held back (RFC 9000 section 13.2.1); below 2**14 ms."""
    initial_max_data: int = 2 * _MIB
    """Window of the whole connection at the start."""
    initial_max_stream_data: int = _MIB
    """Window of each stream at the start."""
    max_data: int = 24 * _MIB
    """The most that the connection's window grows to."""
    max_stream_data: int = 16 * _MIB
    """The most that a stream's window grows to."""
    max_streams_bidi: int = 100
    """Bidirectional streams that the server may have open at once."""
    max_streams_uni: int = 100
    """Unidirectional streams that the server may have open at once."""
    send_buffer: int = _MIB
    """How much of each stream is taken from the application before it is acknowledged."""
    congestion: CongestionChoice = "cubic"
    """How fast each path is sent on: "cubic" (RFC 9438, with HyStart++, RFC 9406), "newreno"
    (RFC 9002 section 7), or a callable that makes a `CongestionControl` of your own from the size
    of a full datagram. It is called for every path, and once here to see that it works."""
    max_datagram_size: int | None = None
    """No UDP payload is made larger than this, also where a path would carry it (RFC 9000 section
    14). 1200: every path keeps to that, and nothing is probed. None: what the interface sends."""
    datagrams: bool = False
    """Let the server send datagrams (RFC 9221). To send some, only the server has to agree."""
    datagram_buffer: int = 256
    """Datagrams kept each way; beyond that the oldest is dropped and counted."""
    versions: Sequence[str] = tuple(VERSIONS)
    """Names of `VERSIONS`, preferred first. A connection begins with "v1" if that is among them;
    the server changes to another in its first answer, without a loss of time (RFC 9368)."""
    path_event_buffer: int = 64
    """Path events kept for each subscriber that does not read; more are dropped and counted."""
    qlog_dir: StrPath | None = None
    """Write what happens to each connection into a new file in this directory, which must exist, in
    qlog (docs/qlog.md): packets, losses, paths and why they were changed; no keys, and nothing of
    what streams carry. Default: the directory that the QLOGDIR environment variable names, if any.
    A file that cannot be made is an OSError before anything is sent; when the disk is full later,
    the trace ends with a warning and the connection goes on."""
    qlog_limit: int = 64 * _MIB
    """The most bytes of one trace. Packets are left out, and counted, before path events are."""

    def __post_init__(self) -> None:
        for name in ("idle_timeout", "keep_alive", "drain_timeout"):
            _check_seconds(name, getattr(self, name), allow_zero=True)
        for name in ("handshake_timeout", "attempt_delay", "max_ack_delay"):
            _check_seconds(name, getattr(self, name), allow_zero=False)
        if self.max_ack_delay >= 16.384:
            raise ValueError("max_ack_delay must be below 16.384 (RFC 9000 section 18.2)")
        for name in ("initial_max_data", "initial_max_stream_data", "max_data", "max_stream_data"):
            _check_integer(name, getattr(self, name), 0, _LARGEST_VARINT)
        for name in ("max_streams_bidi", "max_streams_uni"):
            _check_integer(name, getattr(self, name), 0, _MOST_STREAMS)
        _check_integer("send_buffer", self.send_buffer, 1, _LARGEST_VARINT)
        if not isinstance(self.datagrams, bool):
            raise TypeError(f"datagrams must be a bool, not {type(self.datagrams).__name__}")
        object.__setattr__(self, "versions", _names("versions", self.versions, VERSIONS))
        _check_integer("datagram_buffer", self.datagram_buffer, 1, 1 << 20)
        _check_integer("path_event_buffer", self.path_event_buffer, 1, 1 << 20)
        if self.qlog_dir is not None and not isinstance(self.qlog_dir, str | os.PathLike):
            raise TypeError(f"qlog_dir must be a path, not {type(self.qlog_dir).__name__}")
        _check_integer("qlog_limit", self.qlog_limit, 64 * _KIB, _LARGEST_VARINT)
        if self.max_datagram_size is not None:
            _check_integer("max_datagram_size", self.max_datagram_size, _BASE, _MOST_DATAGRAM)
        _check_congestion(self.congestion)
        if self.max_data < self.initial_max_data:
            raise ValueError("max_data is smaller than initial_max_data")
        if self.max_stream_data < self.initial_max_stream_data:
            raise ValueError("max_stream_data is smaller than initial_max_stream_data")


def _fingerprint(value: bytes | str | None) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value.replace(":", ""))
        except ValueError:
            raise ValueError("fingerprint is not hexadecimal") from None
    if not isinstance(value, bytes):
        raise TypeError(f"fingerprint must be bytes or str, not {type(value).__name__}")
    if len(value) != _SHA256_SIZE:
        raise ValueError(f"fingerprint has {len(value)} bytes, a SHA-256 has {_SHA256_SIZE}")
    return value


def _names(what: str, value: object, known: dict[str, int]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{what} must be a sequence of names, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{what} is empty")
    for name in value:
        if name not in known:
            raise ValueError(f"{what}: {name!r} is none of {', '.join(known)}")
    if len(set(value)) < len(value):
        raise ValueError(f"{what} has a name twice")
    return tuple(value)


def _check_seconds(name: str, value: object, *, allow_zero: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not allow_zero):
        least = "not negative" if allow_zero else "positive"
        raise ValueError(f"{name} must be finite and {least}, not {value}")


def _check_integer(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}")


def _check_congestion(choice: object) -> None:
    names = (_choice.CUBIC, _choice.NEW_RENO)
    if isinstance(choice, str):
        if choice not in names:
            raise ValueError(f"congestion: {choice!r} is none of {', '.join(names)}")
        return
    if not callable(choice):
        raise TypeError(f"congestion must be a name or a callable, not {type(choice).__name__}")
    control = choice(_BASE)
    missing = [name for name in _choice.MEMBERS if not hasattr(control, name)]
    if missing:
        raise TypeError(f"congestion: {type(control).__name__} lacks {', '.join(missing)}")
    window = control.window
    if isinstance(window, bool) or not isinstance(window, int):
        raise TypeError(f"congestion: window must be an integer, not {type(window).__name__}")
