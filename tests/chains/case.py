"""A chain, the roots that it is held against, and what should come of it."""

from dataclasses import dataclass

from cryptography import x509

from tests.tls import pki
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.tls import certificates
from trioquic._protocol.tls.own_roots import OwnRoots


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    sent: tuple[bytes, ...]
    """As a server sends them: its own certificate first."""
    roots: tuple[bytes, ...]
    server_name: str = pki.NAME
    reason: str | None = None
    """A part of the reason for which it is refused; None: it is good."""
    difference: str = ""
    """Why OpenSSL judges otherwise: a key of `differences.DIFFERENCES`."""


def verdict(case: Case) -> str:
    """What the client says: '' when the chain is good, else what is wrong with it."""
    try:
        verification = OwnRoots([x509.load_der_x509_certificate(root) for root in case.roots])
        leaf = certificates.read_server_certificate_untrusted(case.sent[0])
        certificates.signing_key_untrusted(leaf)
        verification.check_untrusted(leaf, case.sent, case.server_name, pki.NOW)
    except BadPacketError as error:
        return error.reason
    return ""
