"""The TLS 1.3 client's handshake: who may speak when, and what follows from each message.

`state.TABLE` says which messages are due; a handler for each of them judges the content. Bytes are
accepted only at the encryption level of the next message: QUIC discards the keys of earlier levels,
and keys of later ones do not exist before the handshake hands them out. The server is authenticated
when its Finished is verified; only then do application secrets come out. The first bad message ends
it: the state is FAILED, and later bytes are not looked at.
"""

import hmac
from collections.abc import Callable
from typing import Final

from ..errors import BadPacketError
from ..machine import advance
from ..space import APPLICATION, HANDSHAKE, INITIAL
from . import extensions as ext
from . import messages as msg
from .alerts import (
    DECODE_ERROR,
    DECRYPT_ERROR,
    ILLEGAL_PARAMETER,
    MISSING_EXTENSION,
    NO_APPLICATION_PROTOCOL,
    UNEXPECTED_MESSAGE,
    quic_error,
    tls_error,
)
from .assembler import HEADER_SIZE, MessageAssembler
from .codec import Cursor
from .config import TlsClientConfig
from .hello import ClientOffer
from .key_schedule import KeySchedule, TrafficSecret
from .psk import psk_offer
from .resumption import Resumption
from .server import ServerIdentity
from .signatures import choose_scheme, sign
from .state import TABLE, EarlyData, TlsInput, TlsState
from .tickets import Tickets

INPUTS: Final[dict[int, TlsInput]] = {
    msg.SERVER_HELLO: TlsInput.SERVER_HELLO,
    msg.ENCRYPTED_EXTENSIONS: TlsInput.ENCRYPTED_EXTENSIONS,
    msg.CERTIFICATE_REQUEST: TlsInput.CERTIFICATE_REQUEST,
    msg.CERTIFICATE: TlsInput.CERTIFICATE,
    # RFC 8879 section 4: wherever a Certificate may come
    msg.COMPRESSED_CERTIFICATE: TlsInput.CERTIFICATE,
    msg.CERTIFICATE_VERIFY: TlsInput.CERTIFICATE_VERIFY,
    msg.FINISHED: TlsInput.FINISHED,
    msg.NEW_SESSION_TICKET: TlsInput.NEW_SESSION_TICKET,
}


class TlsClient:
    # mypyc wants to know: what only the handshake needs goes with it
    __deletable__ = ("_offer", "_schedule")

    def __init__(
        self,
        config: TlsClientConfig,
        *,
        rng: Callable[[int], bytes],
        wall_time: float,
        transport_parameters: bytes,
        resumption: Resumption | None = None,
        early_data: bool = False,
    ) -> None:
        self.config = config
        self.state = TlsState.START
        self.level = INITIAL  # of the next message from the server
        self.alpn: str | None = None
        self.peer_transport_parameters: bytes | None = None
        self.cipher_suite = 0
        self.group = 0
        self.server = ServerIdentity(config, wall_time)
        self.tickets = Tickets()
        self.resumed = False  # the server has resumed an earlier session
        self.early_data = EarlyData.NONE
        # what protects our early data
        self._early_secret = b""
        self.early_cipher_suite = 0
        psk = psk_offer(resumption, config, wall_time, early_data)
        self._offer = ClientOffer(config, rng, transport_parameters, psk)
        self._schedule = KeySchedule()
        self._assembler = MessageAssembler()
        self._output: list[tuple[int, bytes]] = []
        self._secrets: list[TrafficSecret] = []
        # of the handshake, the client's and the server's
        self._finished_secrets = (b"", b"")
        # The server's signature schemes when it asked for a certificate
        self._certificate_request: tuple[int, ...] | None = None

    @property
    def complete(self) -> bool:
        """The server is authenticated and our Finished is in the output (RFC 9001, 4.1.1)."""
        return self.state is TlsState.CONNECTED

    def start(self) -> None:
        """Put the ClientHello into the output."""
        self.state = advance(TABLE, self.state, TlsInput.START)
        hello = self._offer.client_hello()
        self._send(INITIAL, hello)
        if self._offer.early_data and self._offer.psk is not None:
            self.early_data = EarlyData.OFFERED
            self._early_secret = self._offer.psk.early_secret(hello)
            self.early_cipher_suite = self._offer.psk.resumption.cipher_suite
            self._log_secret("CLIENT_EARLY_TRAFFIC_SECRET", self._early_secret)

    def take_output(self) -> list[tuple[int, bytes]]:
        """(level, bytes) for CRYPTO frames, oldest first, each given once."""
        output, self._output = self._output, []
        return output

    def take_secrets(self) -> list[TrafficSecret]:
        """Secrets that became known since the last call."""
        secrets, self._secrets = self._secrets, []
        return secrets

    def take_early_secret(self) -> bytes:
        """What the keys of early data follow from, given once."""
        secret, self._early_secret = self._early_secret, b""
        return secret

    def receive_untrusted(self, level: int, data: bytes) -> None:
        """In-order CRYPTO bytes of one encryption level, cut anywhere."""
        if self.state is TlsState.FAILED or not data:
            return
        try:
            if level != self.level:
                # RFC 9001 section 4.1.3
                raise quic_error("CRYPTO data at the wrong encryption level")
            self._assembler.feed(data)
            while True:
                message = self._assembler.next_untrusted()
                if message is None:
                    return
                self._on_message_untrusted(message)
        except BadPacketError:
            self.state = TlsState.FAILED
            raise

    def _send(self, level: int, message: bytes) -> None:
        self._schedule.absorb(message)
        self._output.append((level, message))

    def _on_message_untrusted(self, message: bytes) -> None:
        kind = message[0]
        body = message[HEADER_SIZE:]
        if kind == msg.CERTIFICATE_REQUEST and self.complete:
            # RFC 9001 section 4.4: no authentication of the client after the handshake
            raise quic_error("CertificateRequest after the handshake")
        what = INPUTS.get(kind)
        hello: msg.ServerHello | None = None
        if what is TlsInput.SERVER_HELLO:
            hello = msg.parse_server_hello_untrusted(body)
            if hello.random == msg.RETRY_RANDOM:
                what = TlsInput.HELLO_RETRY_REQUEST
        if what is None or (self.state, what) not in TABLE:
            # KeyUpdate, too, is forbidden (RFC 9001 section 6)
            name = f"handshake message {kind}" if what is None else what.value
            raise tls_error(UNEXPECTED_MESSAGE, f"{name} while in state: {self.state.value}")
        if what is TlsInput.ENCRYPTED_EXTENSIONS and self.resumed:
            what = TlsInput.RESUMED_EXTENSIONS
        if hello is None:
            self._handle_untrusted(what, message, body)
        elif what is TlsInput.HELLO_RETRY_REQUEST:
            self._on_retry_untrusted(message, hello)
        else:
            self._on_server_hello_untrusted(message, hello)
        self.state = advance(TABLE, self.state, what)

    def _handle_untrusted(self, what: TlsInput, message: bytes, body: bytes) -> None:
        if what is TlsInput.ENCRYPTED_EXTENSIONS or what is TlsInput.RESUMED_EXTENSIONS:
            self._on_encrypted_extensions_untrusted(body)
        elif what is TlsInput.CERTIFICATE_REQUEST:
            self._certificate_request = msg.parse_certificate_request_untrusted(body)
        elif what is TlsInput.CERTIFICATE:
            compressed = message[0] == msg.COMPRESSED_CERTIFICATE
            self.server.on_certificate_untrusted(body, compressed, self._offer.offered)
        elif what is TlsInput.CERTIFICATE_VERIFY:
            self.server.on_certificate_verify_untrusted(body, self._schedule.transcript_hash())
        elif what is TlsInput.FINISHED:
            self._on_finished_untrusted(message, body)
            return
        else:
            # Session tickets are no part of the transcript.
            self.tickets.on_ticket_untrusted(body)
            return
        self._schedule.absorb(message)

    def _on_retry_untrusted(self, message: bytes, hello: msg.ServerHello) -> None:
        self._offer.accept_retry_untrusted(hello)
        self._decide_early_data(False)
        self._schedule.choose(hello.cipher_suite)
        self._schedule.replace_first_hello()
        self._schedule.absorb(message)
        self._send(INITIAL, self._offer.client_hello(self._schedule.transcript.copy()))

    def _on_server_hello_untrusted(self, message: bytes, hello: msg.ServerHello) -> None:
        self._require_boundary_untrusted("ServerHello")
        shared_secret = self._offer.accept_untrusted(hello)
        self.cipher_suite = hello.cipher_suite
        self.group = self._offer.group
        self._schedule.choose(hello.cipher_suite)
        self._schedule.absorb(message)
        secret = b""
        if self._offer.resumed and self._offer.psk is not None:
            self.resumed = True
            secret = self._offer.psk.resumption.secret
            self.server.resume(self._offer.psk)
        else:
            self._decide_early_data(False)
        client, server = self._schedule.enter_handshake(shared_secret, secret)
        self._finished_secrets = client, server
        self._log_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client)
        self._log_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", server)
        self._secrets.append(TrafficSecret(HANDSHAKE, self.cipher_suite, server, client))
        self.level = HANDSHAKE

    def _on_encrypted_extensions_untrusted(self, body: bytes) -> None:
        what = "EncryptedExtensions"
        found = msg.parse_encrypted_extensions_untrusted(body)
        ext.check_untrusted(found, ext.IN_ENCRYPTED_EXTENSIONS, self._offer.offered, what)
        if found.get(ext.SERVER_NAME):
            # RFC 6066 section 3: the answer to SNI is empty
            raise tls_error(DECODE_ERROR, f"{what} has a server_name with content")
        self.alpn = self._chosen_alpn_untrusted(found.get(ext.ALPN))
        parameters = found.get(ext.QUIC_TRANSPORT_PARAMETERS)
        if parameters is None:
            # RFC 9001 section 8.2
            raise tls_error(MISSING_EXTENSION, "the server sent no QUIC transport parameters")
        self.peer_transport_parameters = parameters
        self._read_early_data_untrusted(found.get(ext.EARLY_DATA))

    def _read_early_data_untrusted(self, content: bytes | None) -> None:
        """Whether the server takes our early data: only with all that it was meant for (RFC 8446
        section 4.2.10)."""
        if content is None:
            self._decide_early_data(False)
            return
        psk = self._offer.psk
        if (
            content
            or not self.resumed
            or psk is None
            or self.alpn != psk.resumption.alpn
            or self.cipher_suite != psk.resumption.cipher_suite
        ):
            raise tls_error(ILLEGAL_PARAMETER, "the server takes early data that it cannot take")
        self._decide_early_data(True)

    def _decide_early_data(self, accepted: bool) -> None:
        if self.early_data is EarlyData.OFFERED:
            self.early_data = EarlyData.ACCEPTED if accepted else EarlyData.REJECTED

    def _chosen_alpn_untrusted(self, content: bytes | None) -> str:
        """RFC 7301 section 3.1: a list with exactly one of the offered names."""
        if content is None:
            raise tls_error(NO_APPLICATION_PROTOCOL, "the server chose no application protocol")
        cursor = Cursor(content, "ALPN")
        names = Cursor(cursor.vector_untrusted(2), "ALPN")
        cursor.finish_untrusted()
        chosen = names.vector_untrusted(1, minimum=1)
        names.finish_untrusted()
        for name, encoded in zip(self.config.alpn, self.config.alpn_bytes, strict=True):
            if encoded == chosen:
                return name
        raise tls_error(NO_APPLICATION_PROTOCOL, f"the server chose {chosen!r}, never offered")

    def _on_finished_untrusted(self, message: bytes, body: bytes) -> None:
        self._require_boundary_untrusted("Finished")
        own_secret, server_secret = self._finished_secrets
        self._finished_secrets = (b"", b"")
        if not hmac.compare_digest(body, self._schedule.finished(server_secret)):
            raise tls_error(DECRYPT_ERROR, "the server's Finished does not match the handshake")
        self._schedule.absorb(message)
        client, server = self._schedule.enter_application()
        self._log_secret("CLIENT_TRAFFIC_SECRET_0", client)
        self._log_secret("SERVER_TRAFFIC_SECRET_0", server)
        if self._certificate_request is not None:
            self._send_certificate(self._certificate_request)
        verify_data = self._schedule.finished(own_secret)
        self._send(HANDSHAKE, msg.encode_message(msg.FINISHED, verify_data))
        self.tickets.begin(self._schedule.resumption_secret())
        self._secrets.append(TrafficSecret(APPLICATION, self.cipher_suite, server, client))
        self.level = APPLICATION
        del self._offer, self._schedule

    def resume_with(
        self, ticket: msg.SessionTicket, now: float, transport_parameters: bytes
    ) -> Resumption:
        """What has to be kept to resume this session; `now` is the wall clock's, in seconds."""
        return Resumption(
            ticket=ticket.ticket,
            secret=self.tickets.secret_of(ticket, self.cipher_suite),
            cipher_suite=self.cipher_suite,
            age_add=ticket.age_add,
            issued_at=now,
            expires_at=min(now + ticket.lifetime, self.server.certified_until),
            alpn=self.alpn or "",
            peer_certificates=self.server.certificates,
            transport_parameters=transport_parameters,
            early_data=ticket.max_early_data > 0,
        )

    def _send_certificate(self, wanted: tuple[int, ...]) -> None:
        """RFC 8446 section 4.4.2: without a suitable certificate, an empty list is sent."""
        chain: tuple[bytes, ...] = ()
        scheme: int | None = None
        own = self.config.client_certificate
        if own is not None:
            scheme = choose_scheme(own[1], wanted)
            if scheme is not None:
                chain = own[0]
        self._send(HANDSHAKE, msg.encode_certificate(chain))
        if own is not None and scheme is not None:
            signature = sign(own[1], scheme, self._schedule.transcript_hash())
            self._send(HANDSHAKE, msg.encode_certificate_verify(scheme, signature))

    def _require_boundary_untrusted(self, what: str) -> None:
        """A message before a key change ends its level's bytes (RFC 8446 section 5.1, RFC 9001
        section 4.1.3)."""
        if self._assembler.pending:
            raise quic_error(f"there is more after {what} at its level")

    def _log_secret(self, label: str, secret: bytes) -> None:
        if self.config.keylog is not None:
            self.config.keylog(f"{label} {self._offer.random.hex()} {secret.hex()}")
