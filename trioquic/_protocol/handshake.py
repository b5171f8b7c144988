"""The handshake as QUIC sees it (RFC 9001 section 4, RFC 9000 sections 6, 7 and 17.2.5).

TLS messages travel in the CRYPTO streams of the packet-number spaces; the secrets TLS yields become
packet keys; the transport parameters are checked against the connection IDs that were really used
(section 7.3), so that nobody on the way can have exchanged them. Version Negotiation and Retry are
only believed while no packet of the server was authenticated.
"""

from collections.abc import Callable

from .cid.own import OwnIds
from .cid.peer import PeerIds
from .config import CoreConfig
from .crypto.key_update import OneRttKeys
from .crypto.keys import PacketKeys, initial_secrets
from .crypto.retry import retry_is_authentic
from .datagrams import Datagrams
from .errors import PROTOCOL_VIOLATION, TRANSPORT_PARAMETER_ERROR, BadPacketError
from .events import (
    Ending,
    Event,
    HandshakeCompleted,
    HandshakeConfirmed,
    TicketReceived,
    TokenReceived,
)
from .fixed_bits import FixedBits
from .lifetime import Lifetime
from .negotiation import VersionChoice
from .number_space import NumberSpace
from .path.path import Path
from .path.rules import PathRules
from .recovery.loss import LossDetector
from .space import APPLICATION, HANDSHAKE, INITIAL
from .streams.table import StreamTable
from .tls.alerts import NO_APPLICATION_PROTOCOL, tls_error
from .tls.client import TlsClient
from .tls.state import EarlyData
from .wire.packets import LongHeader
from .wire.transport_parameters import (
    TransportParameters,
    decode_transport_parameters_untrusted,
)
from .zero_rtt import ZeroRtt, check_limits_untrusted, recall, remember

# Initial packets are protected with AES-128-GCM (RFC 9001 section 5.2).
_INITIAL_SUITE = 0x1301
# Section 7.2: the first Destination Connection ID is unpredictable and at least 8 bytes.
_FIRST_ID_LENGTH = 8
# Tickets and tokens of one connection that are passed on, the first ones: later ones are hardly
# better, and a server that gives more and more is not worth the work.
_MOST_TICKETS = 16
_MOST_TOKENS = 16
# A Retry's token goes into every Initial, which has 1200 bytes; some must be left for CRYPTO data.
_LONGEST_TOKEN = 1100
# A token of an earlier connection is only worth its place in every Initial while it leaves half of
# it to the ClientHello.
LONGEST_NEW_TOKEN = 600


class Handshake:
    """Drives TLS, installs and discards keys, authenticates the connection IDs."""

    def __init__(
        self,
        config: CoreConfig,
        spaces: list[NumberSpace],
        peer_ids: PeerIds,
        own_ids: OwnIds,
        rules: PathRules,
        loss: LossDetector,
        streams: StreamTable,
        datagrams: Datagrams,
        lifetime: Lifetime,
        events: list[Event],
        rng: Callable[[int], bytes],
        wall_time: float,
    ) -> None:
        self._spaces = spaces
        self._peer_ids = peer_ids
        self._own_ids = own_ids
        self._rules = rules
        self._loss = loss
        self._streams = streams
        self._datagrams = datagrams
        self._lifetime = lifetime
        self._events = events
        self._remembered = recall(config.resumption) if config.early_data else None
        self._tls = TlsClient(
            config.tls,
            rng=rng,
            wall_time=wall_time,
            transport_parameters=config.encode_parameters(own_ids.first, rng),
            resumption=config.resumption,
            early_data=self._remembered is not None,
        )
        self._early_alpn = "" if config.resumption is None else config.resumption.alpn
        self._keep_tickets = config.keep_tickets
        self._tickets_told = 0
        self._tokens_told: list[bytes] = []
        self._wall_time = wall_time  # when the connection began
        self.fixed_bits = FixedBits(rng)
        self.original_id = rng(_FIRST_ID_LENGTH)
        self.versions = VersionChoice(
            config.versions, config.original_version, config.renegotiated != 0
        )
        # what the Initial keys follow from, and those of another version that the server may take
        self._initial_id = self.original_id
        self._other_keys: dict[int, PacketKeys] = {}
        self._retry_id: bytes | None = None
        self._server_id: bytes | None = None
        # Section 8.1.3: in every Initial packet, until a Retry's token takes its place.
        self.token = config.token if len(config.token) <= LONGEST_NEW_TOKEN else b""
        # as long as early data can be sent
        self.zero_rtt: ZeroRtt | None = None
        self.one_rtt: OneRttKeys | None = None
        self.parameters: TransportParameters | None = None
        self.complete = False
        self.confirmed = False
        self.path: Path | None = None

    @property
    def remembered(self) -> TransportParameters | None:
        """What early data goes by until the server has given its parameters anew."""
        return self._remembered

    @property
    def session_tickets(self) -> int:
        """How many tickets the server has sent (RFC 8446 section 4.6.1)."""
        return self._tls.tickets_received

    # -- going out ---------------------------------------------------------------------------------

    def start(self, path: Path) -> None:
        """Make the ClientHello; `transmit` sends it on this path."""
        self.path = path
        self._peer_ids.set_handshake_id(path.path_id, self.original_id)
        self._install_initial_keys(self.original_id)
        self._tls.start()
        self._pump_untrusted()
        remembered = self._remembered
        if remembered is not None and self._tls.early_data is EarlyData.OFFERED:
            suite, secret = self._tls.early_cipher_suite, self._tls.early_secret
            self._tls.early_secret = b""
            self.zero_rtt = ZeroRtt(suite, secret, self.versions.current, remembered)
            self._streams.apply_peer_limits(remembered)
            self._datagrams.apply_peer_limit(remembered.max_datagram_frame_size)

    def _install_initial_keys(self, connection_id: bytes) -> None:
        version = self.versions.current
        client, server = initial_secrets(connection_id, version)
        space = self._spaces[INITIAL]
        space.write = PacketKeys.derive(_INITIAL_SUITE, client, version)
        space.read = PacketKeys.derive(_INITIAL_SUITE, server, version)
        self._initial_id = connection_id
        self._other_keys.clear()

    def _pump_untrusted(self) -> None:
        for level, data in self._tls.take_output():
            self._spaces[level].crypto.write(data)
        version = self.versions.current
        for secret in self._tls.take_secrets():
            self._spaces[secret.level - 1].crypto.check_consumed_untrusted()
            if secret.level == HANDSHAKE:
                space = self._spaces[HANDSHAKE]
                space.read = PacketKeys.derive(secret.cipher_suite, secret.read, version)
                space.write = PacketKeys.derive(secret.cipher_suite, secret.write, version)
                self._loss.has_handshake_keys = True
            elif secret.level == APPLICATION:
                self.one_rtt = OneRttKeys(secret.cipher_suite, secret.read, secret.write, version)

    # -- coming in ---------------------------------------------------------------------------------

    def server_id_matches(self, connection_id: bytes) -> bool:
        """After the first authentic packet the server's ID stays as it is (section 7.2)."""
        return self._server_id is None or self._server_id == connection_id

    def read_keys(self, header: LongHeader, space: int) -> PacketKeys | None:
        """The keys for a packet of the server's; None if there are none yet."""
        version = header.version
        if version == self.versions.current or space != INITIAL:
            return self._spaces[space].read
        keys = self._other_keys.get(version)
        if keys is None:
            server = initial_secrets(self._initial_id, version)[1]
            keys = self._other_keys[version] = PacketKeys.derive(_INITIAL_SUITE, server, version)
        return keys

    def on_authentic_long_packet(self, header: LongHeader) -> None:
        """A packet of the server could be decrypted: another version is the one to speak, and its
        ID the one to send to."""
        if header.version != self.versions.current:
            self.versions.settle(header.version)
            self._install_initial_keys(self._initial_id)
        if self._server_id is None and self.path is not None:
            self._server_id = header.scid
            self._peer_ids.set_handshake_id(self.path.path_id, header.scid)

    def add_crypto_untrusted(self, space: int, offset: int, data: bytes) -> None:
        """A CRYPTO frame. `read_crypto_untrusted` must follow before any other kind of frame."""
        crypto = self._spaces[space].crypto
        if space < self._tls.level:
            crypto.check_repeated_untrusted(offset, data)
        crypto.on_crypto_untrusted(offset, data)

    def read_crypto_untrusted(self, space: int, now: float) -> None:
        """Hand what CRYPTO frames have brought in order to TLS and see what came of it."""
        if space == INITIAL:
            self.versions.settle(self.versions.current)
        crypto = self._spaces[space].crypto
        if not crypto.readable:
            return
        self._tls.receive_untrusted(space, crypto.read())
        self._pump_untrusted()
        if self.zero_rtt is not None and self._tls.early_data is EarlyData.REJECTED:
            self._take_back_early_data()
        if self._tls.complete and not self.complete:
            self._finish_untrusted(now)
        if self._tls.tickets:
            self._take_tickets(now)

    def _take_back_early_data(self) -> None:
        """The server has read nothing of it: all of it is to be sent again once the handshake is
        complete, under the limits that the server has now (RFC 9001 section 4.6.2)."""
        self.zero_rtt = None
        self._loss.withdraw(APPLICATION)
        self._streams.restart()

    def _check_early_data_untrusted(
        self, early: ZeroRtt | None, parameters: TransportParameters
    ) -> None:
        if early is not None:
            check_limits_untrusted(early.remembered, parameters)
        elif self._tls.early_data is EarlyData.REJECTED and self._tls.alpn != self._early_alpn:
            # The application was told the protocol of the last time, and has written for that.
            raise tls_error(
                NO_APPLICATION_PROTOCOL,
                f"the server refused early data for {self._early_alpn} and chose {self._tls.alpn}",
            )

    def _take_tickets(self, now: float) -> None:
        """Pass on what resumes this session (RFC 8446 section 4.6.1), if anybody wants it."""
        tickets, self._tls.tickets = self._tls.tickets, []
        if not self._keep_tickets:
            return
        room = _MOST_TICKETS - self._tickets_told
        del tickets[room:]
        self._tickets_told += len(tickets)
        wall_time = self._wall_time + (now - self._lifetime.began)
        kept = b"" if self.parameters is None else remember(self.parameters)
        for ticket in tickets:
            if ticket.lifetime:
                resumption = self._tls.resume_with(ticket, wall_time, kept)
                self._events.append(TicketReceived(resumption=resumption))

    def _finish_untrusted(self, now: float) -> None:
        """Server authenticated: check its parameters and let streams run."""
        early, self.zero_rtt = self.zero_rtt, None
        raw = self._tls.peer_transport_parameters
        parameters = decode_transport_parameters_untrusted(raw or b"")
        self.versions.check_untrusted(parameters)
        self.fixed_bits.any_allowed = parameters.grease_quic_bit
        self._check_ids_untrusted(parameters)
        self._check_early_data_untrusted(early, parameters)
        self._remembered = None
        self.parameters = parameters
        self.complete = True
        self._loss.max_ack_delay = parameters.max_ack_delay / 1000
        self._lifetime.on_peer_idle_timeout(parameters.max_idle_timeout / 1000)
        self._lifetime.on_complete()
        self._rules.disabled_by_peer = parameters.disable_active_migration
        limit = min(self._rules.largest_datagram, parameters.max_udp_payload_size)
        self._rules.largest_datagram = limit
        if self.path is not None:
            self.path.search.restrict(limit)
        self._streams.apply_peer_limits(parameters)
        self._datagrams.apply_peer_limit(parameters.max_datagram_frame_size)
        if self.path is not None and parameters.stateless_reset_token is not None:
            self._peer_ids.set_handshake_reset_token(
                self.path.path_id, parameters.stateless_reset_token
            )
        preferred = parameters.preferred_address
        if preferred is not None:
            if self._peer_ids.zero_length:
                raise BadPacketError(
                    TRANSPORT_PARAMETER_ERROR, "preferred_address with a zero-length ID", 0x06
                )
            self._peer_ids.add_preferred(preferred.connection_id, preferred.stateless_reset_token)
        self._own_ids.issue_up_to(parameters.active_connection_id_limit)
        self._events.append(
            HandshakeCompleted(
                alpn=self._tls.alpn or "",
                cipher_suite=self._tls.cipher_suite,
                group=self._tls.group,
                peer_certificates=self._tls.peer_certificates,
                resumed=self._tls.resumed,
                ocsp_response=self._tls.ocsp_response,
                signed_certificate_timestamps=self._tls.signed_certificate_timestamps,
                early_data=self._tls.early_data,
            )
        )

    def _check_ids_untrusted(self, parameters: TransportParameters) -> None:
        """Section 7.3: each ID that was seen on the wire must be confirmed under TLS."""
        for name, given, seen in (
            (
                "original_destination_connection_id",
                parameters.original_destination_connection_id,
                self.original_id,
            ),
            (
                "initial_source_connection_id",
                parameters.initial_source_connection_id,
                self._server_id,
            ),
            (
                "retry_source_connection_id",
                parameters.retry_source_connection_id,
                self._retry_id,
            ),
        ):
            if given != seen:
                raise BadPacketError(
                    TRANSPORT_PARAMETER_ERROR, f"{name} is missing or does not match", 0x06
                )

    def on_new_token_untrusted(self, token: bytes) -> None:
        """NEW_TOKEN: pass it on, unless it is the repair of a loss that was none (section 19.7)."""
        told = self._tokens_told
        if len(token) <= LONGEST_NEW_TOKEN and len(told) < _MOST_TOKENS and token not in told:
            told.append(token)
            self._events.append(TokenReceived(token=token))

    def on_handshake_done_untrusted(self) -> None:
        """HANDSHAKE_DONE confirms the handshake (RFC 9001 section 4.1.2)."""
        if self.confirmed or self.one_rtt is None:
            return
        if not self._spaces[INITIAL].discarded:
            # It can have been kept from before our keys came: we have not even sent our Finished.
            raise BadPacketError(
                PROTOCOL_VIOLATION, "HANDSHAKE_DONE before our Finished was sent", 0x1E
            )
        self.confirmed = True
        self._rules.confirmed = True
        self._loss.handshake_confirmed = True
        self._loss.peer_address_validated = True
        self.one_rtt.confirmed = True
        if self.path is not None:
            self.path.proven = True
        self._discard(HANDSHAKE)
        self._events.append(HandshakeConfirmed())

    def on_handshake_packet_sent(self) -> None:
        """The first Handshake packet ends the use of Initial keys (RFC 9001 section 4.9.1)."""
        if not self._spaces[INITIAL].discarded:
            self._discard(INITIAL)

    def _discard(self, space: int) -> None:
        self._spaces[space].discard()
        self._loss.discard_space(space)

    # -- before the server is known ----------------------------------------------------------------

    def on_retry_untrusted(self, header: LongHeader, datagram: bytes, now: float) -> bool:
        """Retry: start again with the server's token and ID (section 17.2.5). False: ignored."""
        if (
            self.path is None
            or self._server_id is not None
            or self._retry_id is not None
            or not 0 < len(header.token) <= _LONGEST_TOKEN
            or header.scid == self.original_id
            # RFC 9369 section 4.1: a Retry is of the version that the client began with
            or header.version != self.versions.current
            or not retry_is_authentic(
                self.original_id,
                datagram[header.start : header.end - 16],
                header.integrity_tag,
                header.version,
            )
        ):
            return False
        self._retry_id = header.scid
        self.token = header.token
        self._peer_ids.set_handshake_id(self.path.path_id, header.scid)
        self._install_initial_keys(header.scid)
        # RFC 9002 section 6.3: a Retry restarts loss recovery and congestion control as well
        self._loss.requeue_path(self.path.path_id, now)
        self._loss.reset_path(self.path.path_id)
        return True

    def on_version_negotiation_untrusted(self, header: LongHeader, now: float, pto: float) -> bool:
        """Version Negotiation ends the attempt if it is an answer to us and lacks the version that
        we began with (section 6.2). False: ignored."""
        if (
            self._server_id is not None
            or self._retry_id is not None
            or header.scid != self.original_id
            or header.dcid != self._own_ids.first
            or not self.versions.concerns(header)
        ):
            return False
        self.versions.find_alternative(header)
        offered = ", ".join(f"{version:#x}" for version in header.versions[:8])
        self._lifetime.close(
            Ending.VERSION,
            None,
            f"the server speaks none of our versions, only {offered}",
            now,
            pto,
        )
        return True
