"""The server side of TLS 1.3, scriptable message by message.

The key schedule and the parser of the ClientHello are aioquic's, so that nothing here shares code
with the client under test. Everything the server says is put together from bytes and may be
rewritten by the script before it enters the transcript: a signature that does not fit, a chain that
is too long, an extension that is missing.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aioquic._buffer import Buffer
from aioquic.tls import (
    CipherSuite,
    ClientHello,
    KeySchedule,
    pull_client_hello,
)
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .certificates import Identity, identity

X25519, P256, P384, X25519MLKEM768 = 0x001D, 0x0017, 0x0018, 0x11EC
# X25519MLKEM768: sizes of ML-KEM's key and of its ciphertext, which come first
ML_KEM_KEY, ML_KEM_CIPHERTEXT = 1184, 1088
CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, ENCRYPTED_EXTENSIONS = 1, 2, 4, 8
CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, FINISHED, KEY_UPDATE = 11, 13, 15, 20, 24
COMPRESSED_CERTIFICATE = 25
MESSAGE_HASH = 254
HELLO_RETRY_RANDOM = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
FIRST_OFFERED = "<first offered>"
CURVES: dict[int, type[ec.EllipticCurve]] = {P256: ec.SECP256R1, P384: ec.SECP384R1}


def message(kind: int, body: bytes) -> bytes:
    """A TLS handshake message with its 4-byte header."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def opaque(size: int, body: bytes) -> bytes:
    """A vector with a length field of `size` bytes."""
    return len(body).to_bytes(size, "big") + body


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def certificate_message(chain: Sequence[bytes]) -> bytes:
    entries = b"".join(opaque(3, der) + opaque(2, b"") for der in chain)
    return message(CERTIFICATE, opaque(1, b"") + opaque(3, entries))


def new_session_ticket(max_early_data: int | None = None, ticket: bytes = b"t" * 32) -> bytes:
    extensions = b""
    if max_early_data is not None:
        extensions = extension(42, struct.pack(">I", max_early_data))
    body = struct.pack(">II", 7200, 1) + opaque(1, b"\x00") + opaque(2, ticket)
    return message(NEW_SESSION_TICKET, body + opaque(2, extensions))


def x25519_exchange(peer: bytes) -> tuple[bytes, bytes]:
    """Our share and the shared secret."""
    own = x25519.X25519PrivateKey.generate()
    public = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return public, own.exchange(x25519.X25519PublicKey.from_public_bytes(peer))


def keep(name: str, data: bytes) -> bytes:
    return data


@dataclass
class TlsScript:
    """How the server behaves; the defaults make an ordinary server."""

    identity: Identity = field(default_factory=identity)
    cipher_suite: int = 0x1301
    groups: tuple[int, ...] = (X25519, P256, P384)
    retry_group: int | None = None  # a HelloRetryRequest asks for this group first
    cookie: bytes = b""
    hello_retries: int = 1
    alpn: str | None = FIRST_OFFERED
    transport_parameters: bytes | None = b""
    request_certificate: bool = False
    # called with the message's name and bytes before it enters the transcript
    rewrite: Callable[[str, bytes], bytes] = keep


@dataclass
class Secrets:
    level: int
    cipher_suite: int
    client: bytes
    server: bytes


class TlsServer:
    """One handshake. `receive` takes CRYPTO bytes in order, `output` collects what to send."""

    def __init__(self, script: TlsScript) -> None:
        self.script = script
        self.output: list[tuple[int, bytes]] = []
        self.secrets: list[Secrets] = []
        self.client_hellos: list[ClientHello] = []
        self.client_certificates: list[bytes] = []
        self.complete = False
        self._buffers = {0: b"", 1: b"", 2: b""}
        self._schedule: KeySchedule | None = None
        self._first_hello = b""
        self._expected_finished = b""
        self._client_secret = b""

    @property
    def client_transport_parameters(self) -> bytes | None:
        for kind, body in self.client_hellos[-1].other_extensions:
            if kind == 0x39:
                return body
        return None

    def receive(self, level: int, data: bytes) -> None:
        self._buffers[level] += data
        while True:
            buffered = self._buffers[level]
            size = 4 + int.from_bytes(buffered[1:4], "big")
            if len(buffered) < 4 or len(buffered) < size:
                return
            self._buffers[level] = buffered[size:]
            self._on_message(buffered[:size])

    def _on_message(self, data: bytes) -> None:
        kind = data[0]
        if kind == CLIENT_HELLO:
            self._on_client_hello(data)
        elif kind in (CERTIFICATE, CERTIFICATE_VERIFY):
            self.client_certificates.append(data)
            self._transcript(data)
        elif kind == FINISHED:
            assert self._schedule is not None
            expected = self._schedule.finished_verify_data(self._client_secret)
            assert data[4:] == expected, "the client's Finished does not verify"
            self._transcript(data)
            self.complete = True
        else:
            raise AssertionError(f"the client sent a TLS message of type {kind}")

    def _transcript(self, data: bytes) -> None:
        assert self._schedule is not None
        self._schedule.update_hash(data)

    def _say(self, level: int, name: str, data: bytes) -> None:
        data = self.script.rewrite(name, data)
        self._transcript(data)
        self.output.append((level, data))

    def _on_client_hello(self, data: bytes) -> None:
        hello = pull_client_hello(Buffer(data=data))
        self.client_hellos.append(hello)
        script = self.script
        if self._schedule is None:
            self._schedule = KeySchedule(CipherSuite(script.cipher_suite))
            self._schedule.extract(None)
        if script.retry_group is not None and len(self.client_hellos) <= script.hello_retries:
            self._retry_hello(data)
            return
        self._transcript(data)
        self._flight(hello)

    def _retry_hello(self, first: bytes) -> None:
        """RFC 8446 section 4.4.1: the first ClientHello enters the transcript as its hash."""
        assert self._schedule is not None
        if len(self.client_hellos) == 1:
            digest = hashes.Hash(self._schedule.algorithm)
            digest.update(first)
            self._transcript(message(MESSAGE_HASH, digest.finalize()))
        else:
            self._transcript(first)
        assert self.script.retry_group is not None
        extensions = extension(43, b"\x03\x04")
        extensions += extension(51, struct.pack(">H", self.script.retry_group))
        if self.script.cookie:
            extensions += extension(44, opaque(2, self.script.cookie))
        hello = self._server_hello(HELLO_RETRY_RANDOM, extensions)
        self._say(0, "hello_retry_request", hello)

    def _server_hello(self, random: bytes, extensions: bytes) -> bytes:
        body = b"\x03\x03" + random + opaque(1, self.client_hellos[-1].legacy_session_id)
        body += struct.pack(">HB", self.script.cipher_suite, 0) + opaque(2, extensions)
        return message(SERVER_HELLO, body)

    def _key_exchange(self, hello: ClientHello) -> tuple[int, bytes, bytes]:
        """The group, our share and the shared secret."""
        shares = dict(hello.key_share or [])
        for group in self.script.groups:
            if group not in shares:
                continue
            if group == X25519:
                return group, *x25519_exchange(shares[group])
            if group == X25519MLKEM768:
                share = shares[group]
                ml_kem = mlkem.MLKEM768PublicKey.from_public_bytes(share[:ML_KEM_KEY])
                secret, ciphertext = ml_kem.encapsulate()
                public, classical = x25519_exchange(share[ML_KEM_KEY:])
                return group, ciphertext + public, secret + classical
            curve = CURVES[group]()
            key = ec.generate_private_key(curve)
            public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            point = ec.EllipticCurvePublicKey.from_encoded_point(curve, shares[group])
            return group, public, key.exchange(ec.ECDH(), point)
        raise AssertionError("no common group: script a HelloRetryRequest")

    def _flight(self, hello: ClientHello) -> None:
        """ServerHello to Finished, and the secrets of both later levels."""
        assert self._schedule is not None
        schedule, script = self._schedule, self.script
        group, public, shared = self._key_exchange(hello)
        extensions = extension(43, b"\x03\x04")
        extensions += extension(51, struct.pack(">H", group) + opaque(2, public))
        self._say(0, "server_hello", self._server_hello(b"\x5a" * 32, extensions))
        schedule.extract(shared)
        server_secret = schedule.derive_secret(b"s hs traffic")
        self._client_secret = schedule.derive_secret(b"c hs traffic")
        self.secrets.append(Secrets(1, script.cipher_suite, self._client_secret, server_secret))
        self._say(1, "encrypted_extensions", self._encrypted_extensions(hello))
        if script.request_certificate:
            algorithms = extension(13, opaque(2, b"\x04\x03\x08\x04"))
            request = message(CERTIFICATE_REQUEST, opaque(1, b"") + opaque(2, algorithms))
            self._say(1, "certificate_request", request)
        self._say(1, "certificate", certificate_message(script.identity.chain))
        content = schedule.certificate_verify_data(b"TLS 1.3, server CertificateVerify")
        signature = script.identity.key.sign(content, ec.ECDSA(hashes.SHA256()))
        verify = message(CERTIFICATE_VERIFY, b"\x04\x03" + opaque(2, signature))
        self._say(1, "certificate_verify", verify)
        finished = message(FINISHED, schedule.finished_verify_data(server_secret))
        self._say(1, "finished", finished)
        schedule.extract(None)
        server = schedule.derive_secret(b"s ap traffic")
        client = schedule.derive_secret(b"c ap traffic")
        self.secrets.append(Secrets(2, script.cipher_suite, client, server))

    def _encrypted_extensions(self, hello: ClientHello) -> bytes:
        script = self.script
        extensions = b""
        alpn = script.alpn
        if alpn == FIRST_OFFERED:
            alpn = hello.alpn_protocols[0] if hello.alpn_protocols else None
        if alpn is not None:
            extensions += extension(16, opaque(2, opaque(1, alpn.encode())))
        if script.transport_parameters is not None:
            extensions += extension(0x39, script.transport_parameters)
        return message(ENCRYPTED_EXTENSIONS, opaque(2, extensions))
