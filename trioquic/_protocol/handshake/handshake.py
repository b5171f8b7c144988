"""The handshake as QUIC sees it (RFC 9001 section 4, RFC 9000 sections 6, 7 and 17.2.5).

TLS messages travel in the CRYPTO streams of the packet-number spaces; the secrets TLS yields become
packet keys; the transport parameters are checked against the connection IDs that were really used
(section 7.3), so that nobody on the way can have exchanged them. Version Negotiation and Retry are
only believed while no packet of the server was authenticated.
"""

from collections.abc import Callable
from typing import Final

from ..config import CoreConfig
from ..crypto.key_update import OneRttKeys
from ..crypto.keys import INITIAL_SUITE, PacketKeys, initial_secrets
from ..crypto.retry import retry_is_authentic
from ..errors import TRANSPORT_PARAMETER_ERROR, BadPacketError
from ..events import HandshakeCompleted
from ..facts import ConnectionFacts
from ..number_space import NumberSpace
from ..space import APPLICATION, HANDSHAKE, INITIAL
from ..tls.alerts import NO_APPLICATION_PROTOCOL, tls_error
from ..tls.client import TlsClient
from ..tls.state import EarlyData
from ..wire.packets import LongHeader
from ..wire.transport_parameters import TransportParameters, decode_transport_parameters_untrusted
from .future_connections import LONGEST_NEW_TOKEN
from .negotiation import VersionChoice
from .zero_rtt import ZeroRtt, check_limits_untrusted, remembered_parameters

# Section 7.2: the first Destination Connection ID is unpredictable and at least 8 bytes.
_FIRST_ID_LENGTH: Final = 8
# A Retry's token goes into every Initial, which has 1200 bytes; some must be left for CRYPTO data.
_LONGEST_TOKEN: Final = 1100


class Handshake:
    """Drives TLS, installs keys, authenticates the connection IDs. `own_id`: the first of ours.

    It changes nothing but the packet-number spaces: what follows for others is in what its methods
    return, and `establishment.py` applies it."""

    def __init__(
        self,
        config: CoreConfig,
        spaces: list[NumberSpace],
        own_id: bytes,
        facts: ConnectionFacts,
        rng: Callable[[int], bytes],
        wall_time: float,
    ) -> None:
        self._spaces = spaces
        self._facts = facts
        self._own_id = own_id
        # what early data goes by until the server has given its parameters anew
        self.remembered = remembered_parameters(config.resumption) if config.early_data else None
        self.tls = TlsClient(
            config.tls,
            rng=rng,
            wall_time=wall_time,
            transport_parameters=config.encode_parameters(own_id, rng),
            resumption=config.resumption,
            early_data=self.remembered is not None,
        )
        self._early_alpn = "" if config.resumption is None else config.resumption.alpn
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

    def start(self) -> None:
        """Make the ClientHello, and the keys of early data if it offers some."""
        self._install_initial_keys(self.original_id)
        self.tls.start()
        self._pump_untrusted()
        if self.remembered is not None and self.tls.early_data is EarlyData.OFFERED:
            suite, secret = self.tls.early_cipher_suite, self.tls.take_early_secret()
            self.zero_rtt = ZeroRtt(suite, secret, self.versions.current, self.remembered)

    def _install_initial_keys(self, connection_id: bytes) -> None:
        version = self.versions.current
        client, server = initial_secrets(connection_id, version)
        self._spaces[INITIAL].install(INITIAL_SUITE, server, client, version)
        self._initial_id = connection_id
        self._other_keys.clear()

    def _pump_untrusted(self) -> None:
        for level, data in self.tls.take_output():
            self._spaces[level].crypto.write(data)
        version = self.versions.current
        for secret in self.tls.take_secrets():
            self._spaces[secret.level - 1].crypto.check_consumed_untrusted()
            suite = secret.cipher_suite
            if secret.level == HANDSHAKE:
                self._spaces[HANDSHAKE].install(suite, secret.read, secret.write, version)
            elif secret.level == APPLICATION:
                self.one_rtt = OneRttKeys(suite, secret.read, secret.write, self._facts, version)

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
            keys = self._other_keys[version] = PacketKeys.derive(INITIAL_SUITE, server, version)
        return keys

    def on_authentic_long_packet(self, header: LongHeader) -> bool:
        """A packet of the server could be decrypted: another version is the one to speak. True for
        the first: its Source Connection ID is the one to send to (section 7.2)."""
        if header.version != self.versions.current:
            self.versions.settle(header.version)
            self._install_initial_keys(self._initial_id)
        if self._server_id is not None:
            return False
        self._server_id = header.scid
        return True

    def add_crypto_untrusted(self, space: int, offset: int, data: bytes) -> None:
        """A CRYPTO frame. `read_crypto_untrusted` must follow before any other kind of frame."""
        crypto = self._spaces[space].crypto
        if space < self.tls.level:
            crypto.check_repeated_untrusted(offset, data)
        crypto.on_crypto_untrusted(offset, data)

    def read_crypto_untrusted(self, space: int) -> bool:
        """Hand what CRYPTO frames have brought in order to TLS; whether there was any."""
        if space == INITIAL:
            self.versions.settle(self.versions.current)
        crypto = self._spaces[space].crypto
        if not crypto.readable:
            return False
        self.tls.receive_untrusted(space, crypto.read())
        self._pump_untrusted()
        return True

    def take_rejection(self) -> bool:
        """Whether the server has just said that it has read no early data; none can be sent any
        more then."""
        if self.zero_rtt is None or self.tls.early_data is not EarlyData.REJECTED:
            return False
        self.zero_rtt = None
        return True

    def finish_untrusted(self) -> tuple[TransportParameters, HandshakeCompleted]:
        """TLS is complete: what the server says of itself, checked, and what there is to tell."""
        early, self.zero_rtt = self.zero_rtt, None
        parameters = decode_transport_parameters_untrusted(
            self.tls.peer_transport_parameters or b""
        )
        self.versions.check_untrusted(parameters)
        self._check_ids_untrusted(parameters)
        self._check_early_data_untrusted(early, parameters)
        preferred = parameters.preferred_address
        if preferred is not None and not self._server_id:
            raise BadPacketError(
                TRANSPORT_PARAMETER_ERROR, "preferred_address with a zero-length ID", 0x06
            )
        if preferred is not None and preferred.connection_id == self._server_id:
            # One ID under two sequence numbers would be used on two paths (section 9.5).
            raise BadPacketError(
                TRANSPORT_PARAMETER_ERROR, "preferred_address with the ID of the handshake", 0x06
            )
        self.remembered = None
        tls = self.tls
        return parameters, HandshakeCompleted(
            alpn=tls.alpn or "",
            cipher_suite=tls.cipher_suite,
            group=tls.group,
            peer_certificates=tls.server.certificates,
            resumed=tls.resumed,
            ocsp_response=tls.server.ocsp_response,
            signed_certificate_timestamps=tls.server.signed_certificate_timestamps,
            early_data=tls.early_data,
        )

    def _check_early_data_untrusted(
        self, early: ZeroRtt | None, parameters: TransportParameters
    ) -> None:
        if early is not None:
            check_limits_untrusted(early.remembered, parameters)
        elif self.tls.early_data is EarlyData.REJECTED and self.tls.alpn != self._early_alpn:
            # The application was told the protocol of the last time, and has written for that.
            raise tls_error(
                NO_APPLICATION_PROTOCOL,
                f"the server refused early data for {self._early_alpn} and chose {self.tls.alpn}",
            )

    def _check_ids_untrusted(self, parameters: TransportParameters) -> None:
        """Section 7.3: each ID that was seen on the wire must be confirmed under TLS."""
        for name, seen in (
            ("original_destination_connection_id", self.original_id),
            ("initial_source_connection_id", self._server_id),
            ("retry_source_connection_id", self._retry_id),
        ):
            if getattr(parameters, name) != seen:
                raise BadPacketError(
                    TRANSPORT_PARAMETER_ERROR, f"{name} is missing or does not match", 0x06
                )

    def accept_retry_untrusted(self, header: LongHeader, datagram: bytes) -> bool:
        """Retry: start again with the server's token and ID (section 17.2.5). False: ignored."""
        if (
            self._server_id is not None
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
        self._install_initial_keys(header.scid)
        return True

    def accept_version_negotiation(self, header: LongHeader) -> bool:
        """Version Negotiation ends the attempt if it is an answer to us and lacks the version that
        we began with (section 6.2). False: ignored."""
        if (
            self._server_id is not None
            or self._retry_id is not None
            or header.scid != self.original_id
            or header.dcid != self._own_id
        ):
            return False
        return self.versions.on_offer(header)
