"""What the application chooses: trust and TLS in `TLSConfig`, sizes and times in `TransportConfig`.

Both are frozen and check themselves when they are made, so that a mistake shows where it was made
and not in the middle of a handshake. Files are read when a connection is opened.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from . import _checks
from ._deprecation import deprecated
from ._protocol.config import MOST_DATAGRAM as _MOST_DATAGRAM
from ._protocol.path.mtu import BASE as _BASE
from ._protocol.recovery import choice as _choice
from ._protocol.recovery import control as _control
from ._protocol.recovery.control import CongestionControl as CongestionControl
from ._protocol.tls import key_exchange as _key_exchange
from ._protocol.wire import versions as _versions
from ._protocol.wire.frames import MAX_STREAM_COUNT as _MOST_STREAMS

CIPHER_SUITES: Final[dict[str, int]] = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
}
VERSIONS: Final[dict[str, int]] = {"v1": _versions.VERSION_1, "v2": _versions.VERSION_2}
GROUPS: Final[dict[str, int]] = {
    name: number
    for name, number in (
        ("X25519MLKEM768", _key_exchange.X25519MLKEM768),
        ("x25519", _key_exchange.X25519),
        ("secp256r1", _key_exchange.SECP256R1),
        ("secp384r1", _key_exchange.SECP384R1),
    )
    if number in _key_exchange.GROUPS
}
"""With the names of IANA's registry, those that the installed `cryptography` has: its OpenSSL may
be too old for ML-KEM."""
_OLD_GROUPS: Final = {"x25519mlkem768": "X25519MLKEM768"}

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_SHA256_SIZE: Final = 32

StrPath = str | os.PathLike[str]
CongestionChoice: TypeAlias = Literal["cubic", "newreno"] | Callable[[int], CongestionControl]

_DATA: Final = _checks.instance(bytes, str, wanted="bytes or str")
_SUITE_NAMES: Final = _checks.names(CIPHER_SUITES, empty=False)
_GROUP_NAMES: Final = _checks.names(GROUPS, empty=False)


def _fingerprint(name: str, value: object) -> object:
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value.replace(":", ""))
        except ValueError:
            raise ValueError(f"{name} is not hexadecimal") from None
    if not isinstance(value, bytes):
        raise _checks.wrong_type(name, "bytes or str", value)
    if len(value) != _SHA256_SIZE:
        raise ValueError(f"{name} has {len(value)} bytes, a SHA-256 has {_SHA256_SIZE}")
    return value


def _groups(name: str, value: object) -> object:
    named = []
    for one in _checks.texts(name, value):
        if one in _OLD_GROUPS:
            deprecated(f"{one!r} in TLSConfig.{name}", repr(_OLD_GROUPS[one]))
        named.append(_OLD_GROUPS.get(one, one))
    return _GROUP_NAMES(name, named)


def _congestion(name: str, choice: object) -> object:
    names = (_choice.CUBIC, _choice.NEW_RENO)
    if isinstance(choice, str):
        if choice not in names:
            raise ValueError(f"{name}: {choice!r} is none of {', '.join(names)}")
        return choice
    if not callable(choice):
        raise _checks.wrong_type(name, "a name or a callable", choice)
    control = choice(_BASE)
    missing = [member for member in _control.MEMBERS if not hasattr(control, member)]
    if missing:
        raise TypeError(f"{name}: {type(control).__name__} lacks {', '.join(missing)}")
    _checks.whole(-_checks.LARGEST_VARINT)(f"{name}: window", control.window)
    return choice


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSConfig:
    """Whom to trust, and how the TLS 1.3 handshake is made (RFC 9001 section 4).

    Without arguments the server's certificate must lead to one of certifi's roots and carry the
    server's name. At most one of `ca_file`/`ca_data`, `fingerprint` and `verify=False` replaces
    that.
    """

    ca_file: StrPath | None = _checks.checked(None, _checks.path)
    """File with the trusted root certificates, in PEM (one or more) or DER (one). Chains to
    them are judged as OpenSSL does it, and not by the stricter rules of the Web."""
    ca_data: bytes | str | None = _checks.checked(None, _DATA)
    """The same as data; with `ca_file` both count."""
    fingerprint: bytes | str | None = _checks.checked(None, _fingerprint)
    """SHA-256 of the server's own certificate (DER): 32 bytes, or hexadecimal with or without
    colons. Exactly this certificate is accepted, whatever its name, issuer and dates."""
    verify: bool = _checks.checked(True, _checks.flag)
    """False accepts every certificate: encryption without knowing with whom."""
    client_cert: StrPath | None = _checks.checked(None, _checks.path)
    """PEM file with the client's certificate and what leads to its root, sent if asked for."""
    client_key: StrPath | None = _checks.checked(None, _checks.path)
    """PEM file with the key of `client_cert`, not encrypted; default: it is in the same file."""
    keylog_file: StrPath | None = _checks.checked(None, _checks.path)
    """Append the secrets here in SSLKEYLOGFILE format, for debugging: whoever has the file can read
    the connection. Default: the file that the SSLKEYLOGFILE environment variable names, if any."""
    cipher_suites: Sequence[str] = _checks.checked(tuple(CIPHER_SUITES), _SUITE_NAMES)
    """Names of `CIPHER_SUITES`, preferred first."""
    groups: Sequence[str] = _checks.checked(tuple(GROUPS), _groups)
    """Names of `GROUPS`, preferred first; a key share for the first goes out with the first flight.
    With one for X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem) goes one for X25519, if that is named
    here, so that servers without ML-KEM need no other round trip. The first flight then has two
    datagrams."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key without client_cert")
        has_roots = self.ca_file is not None or self.ca_data is not None
        if has_roots + (self.fingerprint is not None) + (not self.verify) > 1:
            raise ValueError("choose one of ca_file/ca_data, fingerprint and verify=False")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """Times in seconds, sizes in bytes. The defaults suit downloads over the Internet.

    A window is what the peer may send before the application has read; it starts at the `initial_*`
    size and grows with what is read, up to the `max_*` size (RFC 9000 section 4.2).
    """

    idle_timeout: float = _checks.checked(30.0, _checks.number())
    """End the connection after this silence (RFC 9000 section 10.1); the server may want less, and
    it is never less than 3 PTO. 0: never."""
    keep_alive: float = _checks.checked(0.0, _checks.number(0.1, never=0.0))
    """Send a PING after this silence, 0.1 at least, so that neither the idle timeout nor a NAT ends
    the connection (RFC 9000 section 10.1.2). 0: never."""
    handshake_timeout: float = _checks.checked(10.0, _checks.number(above=True))
    """How long each of the server's addresses is given to complete the handshake; then it is
    `HandshakeTimeoutError`, if no other one has done better."""
    attempt_delay: float = _checks.checked(0.25, _checks.number(0.01))
    """After how long without success the next of the server's addresses is tried as well, 0.01 at
    least (RFC 8305 section 8, which recommends 0.1 to 2)."""
    drain_timeout: float = _checks.checked(5.0, _checks.number())
    """How long a close waits for finished streams to be acknowledged, and after early data for the
    next ticket. 0: not at all."""
    # RFC 9000 section 18.2: values of 2**14 ms or more are invalid
    max_ack_delay: float = _checks.checked(0.025, _checks.number(0, 16.384, above=True, below=True))
    """How long an acknowledgement may be held back (RFC 9000 section 13.2.1); below 2**14 ms. The
    server is told 5 ms more, as timers may be late (section 18.2)."""
    # Windows grow with what was read, and so not from nothing.
    initial_max_data: int = _checks.checked(2 * _MIB, _checks.whole(1))
    """Window of the whole connection at the start."""
    initial_max_stream_data: int = _checks.checked(_MIB, _checks.whole(1))
    """Window of each stream at the start."""
    max_data: int = _checks.checked(24 * _MIB, _checks.whole(0))
    """The most that the connection's window grows to."""
    max_stream_data: int = _checks.checked(16 * _MIB, _checks.whole(0))
    """The most that a stream's window grows to."""
    max_streams_bidi: int = _checks.checked(100, _checks.whole(0, _MOST_STREAMS))
    """Bidirectional streams that the server may have open at once."""
    max_streams_uni: int = _checks.checked(100, _checks.whole(0, _MOST_STREAMS))
    """Unidirectional streams that the server may have open at once."""
    send_buffer: int = _checks.checked(_MIB, _checks.whole(1))
    """How much of each stream is taken from the application before it is acknowledged."""
    congestion: CongestionChoice = _checks.checked("cubic", _congestion)
    """How fast each path is sent on: "cubic" (RFC 9438, with HyStart++, RFC 9406), "newreno"
    (RFC 9002 section 7), or a callable that makes a `CongestionControl` of your own from the size
    of a full datagram. It is called for every path, and once here to see that it works."""
    max_datagram_size: int | None = _checks.checked(None, _checks.whole(_BASE, _MOST_DATAGRAM))
    """No UDP payload is made larger than this, also where a path would carry it (RFC 9000 section
    14). 1200: every path keeps to that, and nothing is probed. None: what the interface sends."""
    spin_bit: bool = _checks.checked(True, _checks.flag)
    """Let those on the way measure the round-trip time by a bit in each packet (RFC 9000 section
    17.4). On some paths, chosen at random, it says nothing in any case."""
    datagrams: bool = _checks.checked(False, _checks.flag)
    """Let the server send datagrams (RFC 9221). To send some, only the server has to agree."""
    datagram_buffer: int = _checks.checked(256, _checks.whole(1, 1 << 20))
    """Datagrams kept each way; beyond that the oldest is dropped and counted."""
    versions: Sequence[str] = _checks.checked(tuple(VERSIONS), _checks.names(VERSIONS, empty=False))
    """Names of `VERSIONS`, preferred first. A connection begins with "v1" if that is among them;
    the server changes to another in its first answer, without a loss of time (RFC 9368)."""
    path_event_buffer: int = _checks.checked(64, _checks.whole(1, 1 << 20))
    """Path events kept for each subscriber that does not read; more are dropped and counted."""
    qlog_dir: StrPath | None = _checks.checked(None, _checks.path)
    """Write what happens to each connection into a new file in this directory, which must exist, in
    qlog (docs/qlog.md): packets, losses, paths and why they were changed; no keys, and nothing of
    what streams carry. Default: the directory that the QLOGDIR environment variable names, if any.
    A file that cannot be made is an OSError before anything is sent; when the disk is full later,
    the trace ends with a warning and the connection goes on."""
    qlog_limit: int = _checks.checked(64 * _MIB, _checks.whole(64 * _KIB))
    """The most bytes of one trace. Packets are left out, and counted, before path events are."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)
        if self.max_data < self.initial_max_data:
            raise ValueError("max_data is smaller than initial_max_data")
        if self.max_stream_data < self.initial_max_stream_data:
            raise ValueError("max_stream_data is smaller than initial_max_stream_data")
