"""0-RTT: what a client may send before the server has said anything (RFC 9001 section 4.6).

Its packets are protected by keys that follow from a ticket, and are sent under the limits that the
server gave in the connection that the ticket is from (RFC 9000 section 7.4.1). A server that takes
them holds to these limits; one that does not has read nothing of them, and everything begins anew.
Only data of streams goes this way: who has recorded it can send it to the server again, so it is
for the application to say what may.
"""

from typing import Final

from ..crypto.keys import PacketKeys
from ..errors import PROTOCOL_VIOLATION, BadPacketError
from ..tls.resumption import Resumption
from ..wire.transport_parameters import (
    TransportParameters,
    decode_transport_parameters_untrusted,
    encode_transport_parameters,
)

# the limits that a server which takes early data must not lower
_LIMITS: Final = (
    "active_connection_id_limit",
    "initial_max_data",
    "initial_max_stream_data_bidi_local",
    "initial_max_stream_data_bidi_remote",
    "initial_max_stream_data_uni",
    "initial_max_streams_bidi",
    "initial_max_streams_uni",
    "max_datagram_frame_size",
)
# What else is remembered: not what is for one connection only, among it secrets and addresses
# (RFC 9000 section 7.4.1), nor how versions were negotiated.
_KEPT: Final = ("max_idle_timeout", "max_udp_payload_size", "disable_active_migration")


class ZeroRtt:
    """The keys of 0-RTT packets, from the ClientHello until 1-RTT keys take their place or the
    server rejects them (RFC 9001 section 4.9.3)."""

    def __init__(
        self, cipher_suite: int, secret: bytes, version: int, remembered: TransportParameters
    ) -> None:
        self.keys = PacketKeys.derive(cipher_suite, secret, version)
        # of these packets for good, also if the server changes to another (RFC 9369 section 4.1)
        self.version = version
        self.remembered = remembered


def remember(parameters: TransportParameters) -> bytes:
    """What is kept of the server's parameters."""
    kept = TransportParameters()
    for name in (*_LIMITS, *_KEPT):
        setattr(kept, name, getattr(parameters, name))
    return encode_transport_parameters(kept, None)


def remembered_parameters(resumption: Resumption | None) -> TransportParameters | None:
    """The parameters kept with a ticket; None if there are none that can be read."""
    if resumption is None:
        return None
    try:
        return decode_transport_parameters_untrusted(resumption.transport_parameters)
    except BadPacketError:
        # somebody's store has changed them
        return None


def check_limits_untrusted(old: TransportParameters, new: TransportParameters) -> None:
    """A server that accepts early data must not lower the limits it was sent under (RFC 9000
    section 7.4.1, RFC 9221 section 3)."""
    for name in _LIMITS:
        before: int = getattr(old, name) or 0
        now: int = getattr(new, name) or 0
        if now < before:
            raise BadPacketError(
                PROTOCOL_VIOLATION,
                f"the server took early data and lowered {name} from {before} to {now}",
                0x06,
            )
