"""What the protocol tells its caller, through `next_event()`. Keyed by path and stream number."""

from dataclasses import dataclass
from enum import Enum

from .tls.resumption import Resumption
from .tls.state import EarlyData


class Event:
    """Base of everything that `next_event()` returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeCompleted(Event):
    """The server is authenticated; streams may be used (RFC 9001 section 4.1.1)."""

    alpn: str
    cipher_suite: int
    group: int
    peer_certificates: tuple[bytes, ...]
    resumed: bool
    ocsp_response: bytes | None
    signed_certificate_timestamps: bytes | None
    early_data: EarlyData


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketReceived(Event):
    """The server gave a ticket, with which another connection can resume the session."""

    resumption: Resumption


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeConfirmed(Event):
    """Migration becomes possible (RFC 9001 section 4.1.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOpened(Event):
    """The peer opened a stream."""

    stream_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReadable(Event):
    """There is data, an end or a reset to be seen by the reader."""

    stream_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWritable(Event):
    """The writer should look again: room in the buffer, stopped by the peer, all acknowledged."""

    stream_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsAvailable(Event):
    """The peer raised the number of streams of one kind that may be opened."""

    bidirectional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramReadable(Event):
    """A datagram came in (RFC 9221)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramSettled(Event):
    """It is known now what became of a datagram; somebody waits for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReceived(Event):
    """The server gave a token for a later connection from the same address (RFC 9000, 8.1.3)."""

    token: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionIdsAvailable(Event):
    """The number of unused connection IDs of the peer has grown: a path may be possible now."""

    spare: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PathEvent(Event):
    """Base of what happens to one path."""

    path_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PathValidated(PathEvent):
    """A PATH_RESPONSE matched: `path_id` carries packets both ways (RFC 9000 section 8.2)."""

    rtt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationFailed(PathEvent):
    """Validation was given up (RFC 9000 section 8.2.4). The connection goes on, and so does the
    path."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PathReset(PathEvent):
    """A stateless reset came for the ID of this path alone: whoever is at its other end does not
    know the connection. The path is abandoned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMisled(PathEvent):
    """Something came in on a path in doubt that cannot be opened, as if from a worker of the server
    that does not know the connection. Nobody vouches for that: it is a hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMoved(PathEvent):
    """The server keeps sending what is no probe to a path that is not active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSilent(PathEvent):
    """A PTO passed on the active path without an answer: time to ask elsewhere as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSilent(Event):
    """What was asked at `since` has had no answer on any path for three PTOs, nor has anything
    else come in."""

    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHeard(Event):
    """The server is heard again, after `ServerSilent`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathDegraded(PathEvent):
    """The active path has not answered for several PTOs."""

    pto_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRecovered(PathEvent):
    """The active path answers again after it was silent, and perhaps `degraded`."""

    degraded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated(Event):
    """Packets of the connection now go out on `new` (RFC 9000 section 9.2)."""

    old: int
    new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredAddressSettled(Event):
    """It is known what became of one of the server's preferred addresses (RFC 9000 section 9.6)."""

    address: tuple[str, int]
    used: bool
    reason: str


class Ending(Enum):
    """Why a connection came to its end."""

    LOCAL_CLOSE = "closed by this side"
    PEER_CLOSE = "closed by the peer"
    IDLE_TIMEOUT = "idle timeout"
    GIVEN_UP = "given up by this side, without a word"
    STATELESS_RESET = "stateless reset"
    PROTOCOL_ERROR = "the peer broke the protocol"
    TLS_ERROR = "the handshake failed"
    VERSION = "no common version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated(Event):
    """The connection is over for the application; closing or draining may still go on."""

    ending: Ending
    code: int
    frame_type: int | None
    reason: str
    application: bool
