"""What `Connection.statistics()` returns: one frozen snapshot of counters."""

from dataclasses import dataclass

from .paths import PathStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatistics:
    """Counters since the connection began. What is bounded and overflowed is counted here."""

    packets_sent: int
    packets_received: int
    dropped_malformed: int
    """Packets and datagrams dropped because their form is wrong (RFC 9000 section 17)."""
    dropped_unknown_id: int
    """Dropped because their connection ID is none of ours, or they came from nowhere known."""
    dropped_unauthentic: int
    """Dropped because they do not authenticate (RFC 9001 section 5.5)."""
    dropped_duplicate: int
    dropped_excessive: int
    """Dropped unread, as those before had more frames than bytes can be worth (RFC 9000 section
    21.9)."""
    dropped_no_keys: int
    """Dropped because their keys are gone, or not there yet and the buffer for them is full."""
    dropped_unexpected: int
    """Dropped because they make no sense at this time, such as a late Retry."""
    unmatched_path_responses: int
    key_updates: int
    spare_peer_ids: int
    """Connection IDs of the server that a new path could use now (RFC 9000 section 5.1)."""
    retiring_peer_ids: int
    """Connection IDs of the server whose retirement it has not acknowledged."""
    active_own_ids: int
    """Connection IDs that this side has issued and the server has not retired."""
    session_tickets: int
    """NewSessionTicket messages of the server (RFC 8446 section 4.6.1); none is used yet."""
    stray_packets: int
    """Packets of the server, other than probes, that came in on a path that was not active and were
    newer than all on the active one (RFC 9000 section 9.3)."""
    server_moves: int
    """How often they kept coming: `ServerMoved` tells of each."""
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
