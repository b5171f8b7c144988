"""What `Connection.statistics()` returns: one frozen snapshot of counters."""

from dataclasses import dataclass

from ._protocol.statistics import CoreStatistics
from .paths import PathStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatistics(CoreStatistics):
    """Counters since the connection began. What is bounded and overflowed is counted here."""

    datagrams_sent: int
    """DATAGRAM frames (RFC 9221) that went out."""
    datagrams_received: int
    datagrams_lost: int
    """Those sent that were given up for lost; a few of them may have arrived late."""
    datagrams_dropped_sending: int
    """Never sent: pushed out of the full buffer by newer ones, or too large for a new path."""
    datagrams_dropped_receiving: int
    """Received, but pushed out of the full buffer before they were read."""
    path_events_dropped: int
    """Path events that a subscriber's full buffer did not take."""
    paths: tuple[PathStatistics, ...]
    """The open paths, oldest first."""
