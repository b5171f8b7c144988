"""What the caller decides about one connection. Times in seconds, sizes in bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .cid.peer import MOST_PEER_IDS
from .datagrams import ACCEPTED_SIZE
from .recovery.choice import CUBIC, Choice
from .streams.config import StreamConfig
from .tls.config import TlsClientConfig
from .tls.resumption import Resumption
from .wire.transport_parameters import TransportParameters, encode_transport_parameters
from .wire.versions import SPOKEN, VERSION_1, reserved_version

# RFC 9000 section 18.2: 2^3 microseconds is the default unit of our ACK Delay fields
ACK_DELAY_EXPONENT: Final = 3
# Timers of an event loop are late by a millisecond or more when it has much to do: the server is
# told that much more than what an ACK is held back (section 18.2).
_TIMER_SLACK: Final = 5  # ms
_MOST_ACK_DELAY: Final = (1 << 14) - 1  # ms
_MOST_GREASE: Final = 16
# the most that UDP over IPv6 can carry (RFC 9000 section 18.2)
MOST_DATAGRAM: Final = 65527


@dataclass(slots=True, kw_only=True, eq=False)
class CoreConfig:
    tls: TlsClientConfig
    streams: StreamConfig
    idle_timeout: float = 30.0
    keep_alive: float = 0.0
    max_ack_delay: float = 0.025
    # the search for larger datagrams than 1200 bytes ends here (path/mtu.py)
    max_datagram_size: int = MOST_DATAGRAM
    degraded_after: int = 3
    spin_bit: bool = True
    use_preferred_address: bool = True
    congestion: Choice = CUBIC
    datagrams: bool = False
    datagram_buffer: int = 256
    # whether anybody wants to hear of tickets
    keep_tickets: bool = False
    # the session to resume
    resumption: Resumption | None = None
    # whether streams may send before the server has answered, if the session allows it
    early_data: bool = False
    # from a NEW_TOKEN frame of an earlier connection (RFC 9000 section 8.1.3); empty: none
    token: bytes = field(default=b"", repr=False)
    # the versions to offer, best first
    versions: tuple[int, ...] = SPOKEN
    # the version to begin with, as what is resumed came from it (RFC 9369 section 5); 0: any
    first_version: int = 0
    # the version to begin with since a Version Negotiation packet offered it; 0: there was none
    renegotiated: int = 0

    @property
    def original_version(self) -> int:
        """The version to begin with: the one that most servers know, as they can change it."""
        chosen = self.renegotiated or self.first_version
        if chosen:
            return chosen
        return VERSION_1 if VERSION_1 in self.versions else self.versions[0]

    def parameters(
        self, source_connection_id: bytes, more_versions: tuple[int, ...] = ()
    ) -> TransportParameters:
        """Our transport parameters (RFC 9000 section 18.2); they name `more_versions` as well."""
        streams = self.streams
        return TransportParameters(
            max_idle_timeout=round(self.idle_timeout * 1000),
            initial_max_data=streams.initial_max_data,
            initial_max_stream_data_bidi_local=streams.initial_max_stream_data,
            initial_max_stream_data_bidi_remote=streams.initial_max_stream_data,
            initial_max_stream_data_uni=streams.initial_max_stream_data,
            initial_max_streams_bidi=streams.initial_max_streams_bidi,
            initial_max_streams_uni=streams.initial_max_streams_uni,
            ack_delay_exponent=ACK_DELAY_EXPONENT,
            max_ack_delay=min(round(self.max_ack_delay * 1000) + _TIMER_SLACK, _MOST_ACK_DELAY),
            active_connection_id_limit=MOST_PEER_IDS,
            initial_source_connection_id=source_connection_id,
            max_datagram_frame_size=ACCEPTED_SIZE if self.datagrams else None,
            grease_quic_bit=True,
            version_information=(self.original_version, (*self.versions, *more_versions)),
        )

    def encode_parameters(self, source_connection_id: bytes, rng: Callable[[int], bytes]) -> bytes:
        """The same for the ClientHello, with a version and a parameter that do not exist, so that
        servers go on to ignore what they do not know (RFC 9000 sections 15 and 18.1)."""
        parameters = self.parameters(source_connection_id, (reserved_version(rng(4)),))
        dice = rng(_MOST_GREASE + 3)
        identifier = 31 * int.from_bytes(dice[:2], "big") + 27
        value = dice[3 : 3 + dice[2] % (_MOST_GREASE + 1)]
        return encode_transport_parameters(parameters, (identifier, value))
