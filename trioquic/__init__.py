"""A QUIC version 1 client for trio whose connections survive a change of network.

`open_connection` is the way in; everything public is named here.
"""

from . import _variant  # first: it decides which variant of the core everything below imports
from . import events as _events
from ._deprecation import QuicDeprecationWarning
from ._protocol import connection as _core
from ._protocol.datagrams import DatagramOutcome
from ._protocol.path.state import PathState
from ._protocol.tls.state import EarlyData
from ._runtime.connection import Connection
from ._runtime.networks.system_networks import system_networks
from ._runtime.opening.opening import connect, open_connection
from ._runtime.streams.datagrams import DatagramReceipt
from ._runtime.streams.streams import ReceiveStream, SendStream, Stream
from ._runtime.system.interface_binding import bind_to_interface
from .causes import CloseCause, MigrationCause, Refusal
from .config import CongestionControl, TLSConfig, TransportConfig
from .errors import (
    AlpnError,
    ApplicationCodeError,
    CertificateError,
    ConnectionLostError,
    DatagramError,
    HandshakeError,
    HandshakeTimeoutError,
    IdleTimeoutError,
    InternalError,
    LocalAddressError,
    MigrationNotAllowedError,
    NoPathError,
    NoPathReason,
    PathAbandonedError,
    PathError,
    PathNotValidatedError,
    PathValidationError,
    PeerClosedError,
    ProtocolError,
    QuicError,
    StatelessResetError,
    StopSendingError,
    StreamResetError,
    VersionError,
)
from .events import (
    Migrated,
    MigrationRefused,
    PathClosed,
    PathDegraded,
    PathEvent,
    PathOpened,
    PathRecovered,
    PathValidated,
    PreferredAddressResult,
    ServerMoved,
    ValidationFailed,
    WaitingForPath,
)
from .health import ConnectionHealth, HealthState
from .networks import (
    Interface,
    InterfaceAddress,
    ManualNetworks,
    NetworkSource,
    PortRoutingSource,
    Route,
    RoutingSource,
)
from .paths import Path, PathStatistics
from .peer import PeerParameters
from .policy import MigrationPolicy
from .sessions import FileSessions, MemorySessions, SessionFileWarning, SessionStore
from .statistics import ConnectionStatistics

__version__ = "0.1.0"

compiled: bool = _variant.is_compiled(_core)
"""Whether the protocol core runs compiled (by mypyc) or as plain Python; both behave the same."""

__all__ = [
    "AlpnError",
    "ApplicationCodeError",
    "CertificateError",
    "CloseCause",
    "CongestionControl",
    "Connection",
    "ConnectionHealth",
    "ConnectionLostError",
    "ConnectionStatistics",
    "DatagramError",
    "DatagramOutcome",
    "DatagramReceipt",
    "EarlyData",
    "FileSessions",
    "HandshakeError",
    "HandshakeTimeoutError",
    "HealthState",
    "IdleTimeoutError",
    "Interface",
    "InterfaceAddress",
    "InternalError",
    "LocalAddressError",
    "ManualNetworks",
    "MemorySessions",
    "Migrated",
    "MigrationCause",
    "MigrationNotAllowedError",
    "MigrationPolicy",
    "MigrationRefused",
    "NetworkSource",
    "NoPathError",
    "NoPathReason",
    "Path",
    "PathAbandonedError",
    "PathClosed",
    "PathDegraded",
    "PathError",
    "PathEvent",
    "PathNotValidatedError",
    "PathOpened",
    "PathRecovered",
    "PathState",
    "PathStatistics",
    "PathValidated",
    "PathValidationError",
    "PeerClosedError",
    "PeerParameters",
    "PortRoutingSource",
    "PreferredAddressResult",
    "ProtocolError",
    "QuicDeprecationWarning",
    "QuicError",
    "ReceiveStream",
    "Refusal",
    "Route",
    "RoutingSource",
    "SendStream",
    "ServerMoved",
    "SessionFileWarning",
    "SessionStore",
    "StatelessResetError",
    "StopSendingError",
    "Stream",
    "StreamResetError",
    "TLSConfig",
    "TransportConfig",
    "ValidationFailed",
    "VersionError",
    "WaitingForPath",
    "__version__",
    "bind_to_interface",
    "compiled",
    "connect",
    "open_connection",
    "system_networks",
]


def __getattr__(name: str) -> object:
    """Names of the last release."""
    if name != "PathFailed":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_events, name)
