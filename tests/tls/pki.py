"""Certificates made to measure, and handshakes in memory.

`AioquicServer` is an independent, well-behaved server; `tests.peer.tls_server` plays the others.
"""

import datetime
import ipaddress
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from aioquic import tls as aioquic_tls
from aioquic._buffer import Buffer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trioquic._protocol.space import ZERO_RTT
from trioquic._protocol.tls.client import TlsClient
from trioquic._protocol.tls.config import TlsClientConfig
from trioquic._protocol.tls.key_schedule import TrafficSecret
from trioquic._protocol.tls.own_roots import OwnRoots
from trioquic._protocol.tls.public_roots import PublicRoots
from trioquic._protocol.tls.resumption import Resumption
from trioquic._protocol.tls.verify import NoVerification, Verification

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

NOW = datetime.datetime(2025, 6, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
NAME = "server.example"
ALPN = "h3"
CLIENT_PARAMETERS = b"the client's parameters"
SERVER_PARAMETERS = b"the server's parameters"


@cache
def key_of(kind: str, owner: str = "") -> Key:
    """An owner's key of one kind; RSA keys are expensive, so each is made once."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key; issues further ones."""

    certificate: x509.Certificate
    key: Key


def issue(
    subject: str,
    issuer: Issued | None,
    key: Key,
    *,
    ca: bool | None = False,
    names: tuple[str, ...] = (),
    not_before: datetime.datetime = NOW - 10 * DAY,
    not_after: datetime.datetime = NOW + 10 * DAY,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    authority_key: bool = True,
) -> Issued:
    """A certificate by `issuer`, or a self-signed one."""
    signer = key if issuer is None else issuer.key
    subject_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(subject_name if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if names:
        alternative = x509.SubjectAlternativeName([general_name(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if authority_key:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(identifier, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, algorithm), key)


def usage(*, signature: bool, cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signature and not cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def authority(subject: str, issuer: Issued | None = None, owner: str = "") -> Issued:
    """A CA as the web's rules want it; the same subject may have keys of several owners."""
    key = key_of("p256", subject + owner)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return issue(
        subject,
        issuer,
        key,
        ca=True,
        not_before=NOW - 1000 * DAY,
        not_after=NOW + 1000 * DAY,
        extensions=((identifier, False), (usage(signature=False, cert_sign=True), True)),
    )


SERVER_PURPOSE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


@cache
def root(owner: str = "") -> Issued:
    return authority("root", None, owner)


@cache
def server_identity(kind: str = "p256") -> Issued:
    """A leaf for NAME and some more, signed by `root()`."""
    return issue(
        "a server",
        root(),
        key_of(kind),
        names=(NAME, "*.wild.example", "192.0.2.1", "2001:db8::1"),
        extensions=((SERVER_PURPOSE, False),),
    )


def trust(*roots: Issued, strict: bool = True) -> PublicRoots | OwnRoots:
    """By the web's rules, or as roots of the caller's own."""
    certificates = [issued.certificate for issued in roots or (root(),)]
    return PublicRoots(certificates) if strict else OwnRoots(certificates)


def seeded(seed: int = 0) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def make_client(
    verification: Verification | None = None,
    *,
    server_name: str | None = NAME,
    cipher_suites: tuple[int, ...] = (0x1301, 0x1302, 0x1303),
    groups: tuple[int, ...] = (0x001D, 0x0017, 0x0018),
    client_certificate: tuple[tuple[bytes, ...], Key] | None = None,
    keylog: Callable[[str], None] | None = None,
    alpn: tuple[str, ...] = (ALPN,),
    seed: int = 0,
    resumption: Resumption | None = None,
    early_data: bool = False,
    wall_time: float = NOW.timestamp(),
) -> TlsClient:
    config = TlsClientConfig(
        server_name,
        alpn,
        NoVerification() if verification is None else verification,
        cipher_suites,
        groups,
        client_certificate,
        keylog,
    )
    return TlsClient(
        config,
        rng=seeded(seed),
        wall_time=wall_time,
        transport_parameters=CLIENT_PARAMETERS,
        resumption=resumption,
        early_data=early_data,
    )


class AioquicServer:
    """aioquic's TLS server with its output and secrets collected."""

    def __init__(
        self,
        issued: Issued,
        *,
        chain: tuple[Issued, ...] = (),
        cipher_suite: int = 0x1301,
        alpn: tuple[str, ...] = (ALPN,),
        tickets: bool = False,
    ) -> None:
        suite = aioquic_tls.CipherSuite(cipher_suite)
        context = aioquic_tls.Context(
            is_client=False,
            alpn_protocols=list(alpn),
            cipher_suites=[suite],
            max_early_data=0xFFFFFFFF if tickets else None,
        )
        context.certificate = issued.certificate
        context.certificate_chain = [link.certificate for link in chain]
        context.certificate_private_key = issued.key
        context.handshake_extensions = [(0x39, SERVER_PARAMETERS)]
        context.update_traffic_key_cb = self._on_secret
        if tickets:
            context.new_session_ticket_cb = self._on_ticket
        self.context = context
        self.secrets: dict[tuple[int, bool], bytes] = {}  # (level, towards the client)

    def _on_secret(
        self,
        direction: aioquic_tls.Direction,
        epoch: aioquic_tls.Epoch,
        suite: aioquic_tls.CipherSuite,
        secret: bytes,
    ) -> None:
        levels = {
            aioquic_tls.Epoch.HANDSHAKE: 1,
            aioquic_tls.Epoch.ONE_RTT: 2,
            aioquic_tls.Epoch.ZERO_RTT: ZERO_RTT,
        }
        self.secrets[levels[epoch], direction is aioquic_tls.Direction.ENCRYPT] = secret

    def _on_ticket(self, ticket: aioquic_tls.SessionTicket) -> None:
        self.ticket = ticket

    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        epochs = (
            aioquic_tls.Epoch.INITIAL,
            aioquic_tls.Epoch.HANDSHAKE,
            aioquic_tls.Epoch.ONE_RTT,
        )
        output = {epoch: Buffer(capacity=1 << 16) for epoch in epochs}
        self.context.handle_message(data, output)
        return [(level, output[epoch].data) for level, epoch in enumerate(epochs)]


def run_with_aioquic(
    client: TlsClient, server: AioquicServer, fragment: int = 1 << 20
) -> list[TrafficSecret]:
    """Whole handshake, the server's bytes cut into fragments; the client's secrets."""
    client.start()
    secrets: list[TrafficSecret] = []
    while output := client.take_output():
        for _, data in output:
            for level, answer in server.receive(data):
                for start in range(0, len(answer), fragment):
                    client.receive_untrusted(level, answer[start : start + fragment])
                    secrets += client.take_secrets()
    return secrets
