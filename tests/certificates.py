"""Certificate chains for the servers of the tests: good ones and every kind of bad one.

All leaves but the untrusted one come from one root, whose file is `ca_file`. Chains lie in files
because the servers are separate programs.
"""

import datetime
import functools
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NAMES = ("localhost", "127.0.0.1", "127.0.0.2", "::1")
# Several times what a server may send before it has seen that the client's address is real
# (RFC 9000 section 8.1).
LONG_CHAIN_SIZE = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A chain (leaf first) and its key, as PEM files."""

    cert_file: Path
    key_file: Path

    @property
    def chain(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.cert_file.read_bytes())

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the leaf, as `TLSConfig(fingerprint=...)` takes it."""
        return self.chain[0].fingerprint(hashes.SHA256())

    @property
    def size(self) -> int:
        """Bytes of all certificates in DER."""
        return sum(len(c.public_bytes(serialization.Encoding.DER)) for c in self.chain)


class Certificates:
    """Makes chains on demand below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._root = trustme.CA(organization_name="trioquic tests")
        self._stranger = trustme.CA(organization_name="somebody else")
        self.ca_file = directory / "ca.pem"
        self._root.cert_pem.write_to_path(str(self.ca_file))
        self.other_ca_file = directory / "other-ca.pem"
        self._stranger.cert_pem.write_to_path(str(self.other_ca_file))

    @property
    def ca_data(self) -> bytes:
        return self.ca_file.read_bytes()

    def _save(self, name: str, leaf: trustme.LeafCert) -> Identity:
        cert_file = self.directory / f"{name}.pem"
        key_file = self.directory / f"{name}.key"
        cert_file.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key_file))
        return Identity(cert_file=cert_file, key_file=key_file)

    @functools.cached_property
    def server(self) -> Identity:
        """What a good server has: ECDSA P-256, a DNS name and both loopback addresses."""
        return self._save("server", self._root.issue_cert(*NAMES))

    def named(self, *names: str) -> Identity:
        """A good one for other names or addresses."""
        return self._save(f"named-{names[0]}", self._root.issue_cert(*names))

    @functools.cached_property
    def rsa(self) -> Identity:
        leaf = self._root.issue_cert(*NAMES, key_type=trustme.KeyType.RSA)
        return self._save("rsa", leaf)

    @functools.cached_property
    def ed25519(self) -> Identity:
        return self._issue("ed25519", Ed25519PrivateKey.generate())

    @functools.cached_property
    def ecdsa_p384(self) -> Identity:
        return self._issue("p384", ec.generate_private_key(ec.SECP384R1()))

    @functools.cached_property
    def wrong_name(self) -> Identity:
        return self._save("wrong-name", self._root.issue_cert("elsewhere.example"))

    @functools.cached_property
    def expired(self) -> Identity:
        now = datetime.datetime.now(datetime.UTC)
        leaf = self._root.issue_cert(
            *NAMES,
            not_before=now - datetime.timedelta(days=20),
            not_after=now - datetime.timedelta(days=10),
        )
        return self._save("expired", leaf)

    @functools.cached_property
    def untrusted(self) -> Identity:
        return self._save("untrusted", self._stranger.issue_cert(*NAMES))

    @functools.cached_property
    def long_chain(self) -> Identity:
        """Three intermediates and a leaf with hundreds of names, 15 kB in all."""
        issuer = self._root
        for _ in range(3):
            issuer = issuer.create_child_ca()
        names = [f"host-{number:04}.a-rather-long-domain.example" for number in range(340)]
        identity = self._save("long-chain", issuer.issue_cert(*NAMES, *names))
        assert identity.size >= LONG_CHAIN_SIZE
        return identity

    @functools.cached_property
    def client(self) -> Identity:
        """For servers that ask the client for a certificate."""
        return self._save("client", self._root.issue_cert("client.example"))

    def with_responder(self, url: str) -> tuple[Identity, bytes]:
        """A chain down from the root whose leaf names an OCSP responder, and what that has to
        say."""
        place = x509.UniformResourceIdentifier(url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        identity = self._issue(
            "with-responder",
            ec.generate_private_key(ec.SECP256R1()),
            x509.AuthorityInformationAccess([access]),
        )
        with identity.cert_file.open("ab") as file:
            file.write(self.ca_data)
        leaf, root = identity.chain
        now = datetime.datetime.now(datetime.UTC)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=root,
                algorithm=hashes.SHA1(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now - datetime.timedelta(hours=1),
                next_update=now + datetime.timedelta(days=5),
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, root)
            .sign(self._root_key, hashes.SHA256())
        )
        return identity, response.public_bytes(serialization.Encoding.DER)

    @property
    def _root_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self._root.private_key_pem.bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def _issue(
        self,
        name: str,
        key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
        *extensions: x509.ExtensionType,
    ) -> Identity:
        """A leaf that trustme does not make: another kind of key, or more extensions."""
        root = x509.load_pem_x509_certificate(self.ca_data)
        root_key = self._root_key
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in NAMES]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, False)
        certificate = builder.sign(root_key, hashes.SHA256())
        cert_file = self.directory / f"{name}.pem"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file = self.directory / f"{name}.key"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Identity(cert_file=cert_file, key_file=key_file)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
