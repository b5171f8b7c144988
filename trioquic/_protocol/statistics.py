"""What `statistics()` of a connection counts in the core.

`trioquic.ConnectionStatistics` adds what others count; the sentences are the documentation's. (A
class with subclasses elsewhere cannot be compiled, so this file is not.)
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreStatistics:
    """Counters of one connection since its beginning."""

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
