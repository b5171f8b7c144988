"""What `Connection.peer` returns: what the server told about itself in the handshake."""

from dataclasses import dataclass

from .paths import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerParameters:
    """The server's transport parameters (RFC 9000 section 18.2), and whether it sent a Retry.

    All of it is authenticated by the handshake. Times are seconds, sizes bytes; what the server
    left out has the value that then counts.
    """

    retry: bool
    """Whether the server answered the first packet with a Retry (section 8.1.2)."""
    disable_active_migration: bool
    """The server wants no packets from other addresses of ours than that of the handshake, unless
    they go to its preferred address."""
    preferred_ipv4: Address | None
    """Its preferred IPv4 address and port (section 9.6)."""
    preferred_ipv6: Address | None
    """Its preferred IPv6 address and port."""
    connection_id_length: int
    """The length of the connection ID that it chose for itself; with 0 no migration is possible."""
    active_connection_id_limit: int
    """How many connection IDs of ours it keeps."""
    max_idle_timeout: float
    """Silence after which it gives the connection up; 0: it does not say."""
    max_udp_payload_size: int
    """The largest datagram that it takes."""
    initial_max_data: int
    """What may be sent on all streams together at first."""
    initial_max_stream_data_bidi_local: int
    """What may be sent on each bidirectional stream that the server opens."""
    initial_max_stream_data_bidi_remote: int
    """What may be sent on each bidirectional stream that this side opens."""
    initial_max_stream_data_uni: int
    """What may be sent on each unidirectional stream."""
    initial_max_streams_bidi: int
    """How many bidirectional streams may be opened at first."""
    initial_max_streams_uni: int
    """How many unidirectional streams may be opened at first."""
    max_ack_delay: float
    """How long it may hold an acknowledgement back."""
    ack_delay_exponent: int
    """The unit of its acknowledgement delays is 2 to this power, in microseconds."""
    max_datagram_frame_size: int | None
    """The largest DATAGRAM frame that it takes (RFC 9221 section 3); None: it takes none."""
