"""From the core's transport parameters to what the application sees of them."""

from .._protocol.connection import ClientConnection
from ..peer import PeerParameters


def peer_parameters(core: ClientConnection) -> PeerParameters:
    """The public form of the server's parameters, which must be there, or those of early data."""
    parameters = core.peer_parameters
    assert parameters is not None
    preferred = parameters.preferred_address
    # The handshake has checked the IDs against those that were used (RFC 9000 section 7.3). Those
    # that early data goes by have none.
    own_id = parameters.initial_source_connection_id or b""
    return PeerParameters(
        retry=parameters.retry_source_connection_id is not None,
        disable_active_migration=parameters.disable_active_migration,
        preferred_ipv4=None if preferred is None else preferred.ipv4,
        preferred_ipv6=None if preferred is None else preferred.ipv6,
        connection_id_length=len(own_id),
        active_connection_id_limit=parameters.active_connection_id_limit,
        max_idle_timeout=parameters.max_idle_timeout / 1000,
        max_udp_payload_size=parameters.max_udp_payload_size,
        initial_max_data=parameters.initial_max_data,
        initial_max_stream_data_bidi_local=parameters.initial_max_stream_data_bidi_local,
        initial_max_stream_data_bidi_remote=parameters.initial_max_stream_data_bidi_remote,
        initial_max_stream_data_uni=parameters.initial_max_stream_data_uni,
        initial_max_streams_bidi=parameters.initial_max_streams_bidi,
        initial_max_streams_uni=parameters.initial_max_streams_uni,
        max_ack_delay=parameters.max_ack_delay / 1000,
        ack_delay_exponent=parameters.ack_delay_exponent,
        max_datagram_frame_size=parameters.max_datagram_frame_size,
    )
