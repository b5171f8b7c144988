"""Which server certificates are trusted: by certificate authorities, by a fingerprint, or all.

`CaVerification` leaves path building to the `cryptography` package. The strict variant is the
web's policy, for public roots. The relaxed one is for roots that the caller supplied: private
authorities often mark extensions critical or leave some out, and a self-signed certificate that
the caller named as its own root is accepted, while names, dates, signatures and purposes are
checked all the same.
"""

import datetime
import functools
import hmac
import ipaddress
import warnings
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    Subject,
)

from ..errors import BadPacketError
from .alerts import (
    BAD_CERTIFICATE,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_UNKNOWN,
    UNKNOWN_CA,
    of_library,
    quoted,
    tls_error,
)
from .certificates import (
    Certificate,
    ServerCertificate,
    read_certificate_untrusted,
    read_server_certificate_untrusted,
)

FINGERPRINT_SIZE: Final = 32
# The longest way from the server's certificate to a root that the library looks at, and so many
# ways, whole or not, that an honest chain does not have.
_MOST_STEPS: Final = 9
_MOST_WAYS: Final = 128
MAX_NAMES_SHOWN: Final = 8
# Names that were asked for lately are kept in the form that the verification takes.
_MOST_SUBJECTS: Final = 64


class NoVerification:
    """Any certificate will do: for tests, and for callers who know the server by other means."""

    def check_server_name(self, server_name: str | None) -> None:
        """None is needed."""

    def check_untrusted(
        self,
        leaf: ServerCertificate,
        chain: tuple[bytes, ...],
        server_name: str | None,
        when: datetime.datetime,
    ) -> None:
        return


class FingerprintVerification:
    """Exactly one certificate, whatever its name, dates and issuer."""

    def __init__(self, sha256: bytes) -> None:
        if len(sha256) != FINGERPRINT_SIZE:
            raise ValueError(f"a SHA-256 fingerprint has 32 bytes, not {len(sha256)}")
        self.sha256 = sha256

    def check_server_name(self, server_name: str | None) -> None:
        """None is needed."""

    def check_untrusted(
        self,
        leaf: ServerCertificate,
        chain: tuple[bytes, ...],
        server_name: str | None,
        when: datetime.datetime,
    ) -> None:
        if not hmac.compare_digest(leaf.sha256, self.sha256):
            raise tls_error(
                BAD_CERTIFICATE,
                f"the certificate's fingerprint is {leaf.sha256.hex()}, not the pinned one",
            )


class CaVerification:
    """A chain to one of `roots`, for the server's name, now. Building one for the public roots is
    expensive; it can be shared by any number of connections."""

    def __init__(self, roots: list[x509.Certificate], *, strict: bool) -> None:
        if not roots:
            raise ValueError("no CA certificates to trust")
        self.roots = tuple(roots)
        self.store = Store(roots)
        self.strict = strict

    def check_server_name(self, server_name: str | None) -> None:
        """ValueError when no certificate can be verified for this name."""
        if server_name is None:
            raise ValueError("a server name is needed to verify the server's certificate")
        try:
            self._builder().build_server_verifier(_subject(server_name))
        except ValueError as error:
            raise ValueError(f"no certificate can name {server_name!r}: {error}") from None

    def check_untrusted(
        self,
        leaf: ServerCertificate,
        chain: tuple[bytes, ...],
        server_name: str | None,
        when: datetime.datetime,
    ) -> None:
        if server_name is None:
            raise tls_error(CERTIFICATE_UNKNOWN, "no server name to verify the certificate for")
        others = [read_certificate_untrusted(der) for der in dict.fromkeys(chain[1:])]
        if not self.strict and leaf.certificate.parsed in self.roots:
            _check_dates_untrusted(leaf.certificate, when)
            _check_name_untrusted(leaf, server_name)
            return
        self._check_ways_untrusted(leaf.certificate, others)
        verifier = self._builder().time(when).build_server_verifier(_subject(server_name))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                verifier.verify(leaf.certificate.parsed, [other.parsed for other in others])
        # besides VerificationError whatever the library raises for what it reads only now
        except BaseException as error:
            if not of_library(error):
                raise
            raise self._diagnose(leaf, others, server_name, when, str(error)) from None

    def _check_ways_untrusted(self, leaf: Certificate, others: list[Certificate]) -> None:
        """Refuse a chain that leads nowhere in too many ways.

        Whoever looks for a way to a root follows the names of issuers and checks a signature for
        each step. A few certificates of one name that issued each other make more ways than can
        ever be tried, and not all versions of the library give up. Here names alone are compared,
        and a certificate that is a root ends its way."""
        by_subject: dict[bytes, list[bytes]] = {}
        for other in others:
            if other.parsed not in self.roots:
                by_subject.setdefault(other.subject, []).append(other.issuer)
        # how many ways there are to each name that is to be looked for next
        ahead = {leaf.issuer: 1}
        total = 0
        for _ in range(_MOST_STEPS):
            reached: dict[bytes, int] = {}
            for name, ways in ahead.items():
                for issuer in by_subject.get(name, ()):
                    total += ways
                    reached[issuer] = reached.get(issuer, 0) + ways
            if total > _MOST_WAYS:
                raise tls_error(BAD_CERTIFICATE, "the chain's issuers name each other in a maze")
            ahead = reached

    def _builder(self) -> PolicyBuilder:
        builder = PolicyBuilder().store(self.store)
        if self.strict:
            return builder
        return builder.extension_policies(ca_policy=_RELAXED_CA, ee_policy=_RELAXED_LEAF)

    def _diagnose(
        self,
        leaf: ServerCertificate,
        others: list[Certificate],
        server_name: str,
        when: datetime.datetime,
        detail: str,
    ) -> BadPacketError:
        """The likeliest reason first: dates, then trust, then the name, then the rest."""
        try:
            _check_dates_untrusted(leaf.certificate, when)
            if not self._reaches_root([leaf.certificate, *others]):
                return tls_error(UNKNOWN_CA, "the certificate's issuer is not trusted")
            _check_name_untrusted(leaf, server_name)
            for certificate in others:
                _check_dates_untrusted(certificate, when)
        except BadPacketError as error:
            return error
        return tls_error(BAD_CERTIFICATE, f"the certificate chain is refused: {quoted(detail)}")

    def _reaches_root(self, chain: list[Certificate]) -> bool:
        """Whether a certificate that the server sent was issued by a root. This only chooses
        among error texts; it is no verification."""
        for certificate in chain:
            for root in self.roots:
                try:
                    certificate.parsed.verify_directly_issued_by(root)
                except BaseException as error:
                    if not of_library(error):
                        raise
                    continue
                return True
        return False


Verification: TypeAlias = NoVerification | FingerprintVerification | CaVerification
"""Decides whether the owner of a certificate may be the server."""


def names_server(verification: Verification, certificate: bytes, server_name: str) -> bool:
    """Whether a server that has shown this certificate, DER, would have been trusted under another
    name as well (RFC 9110 section 4.3.4)."""
    if not isinstance(verification, CaVerification):
        return True
    try:
        _check_name_untrusted(read_server_certificate_untrusted(certificate), server_name)
    except (BadPacketError, ValueError):
        return False
    return True


@functools.lru_cache(maxsize=_MOST_SUBJECTS)
def _subject(server_name: str) -> Subject:
    try:
        return x509.IPAddress(ipaddress.ip_address(server_name))
    except ValueError:
        return x509.DNSName(server_name)


def _check_dates_untrusted(certificate: Certificate, when: datetime.datetime) -> None:
    if when < certificate.not_before:
        since = certificate.not_before
        raise tls_error(CERTIFICATE_EXPIRED, f"a certificate is not valid before {since}")
    if when > certificate.not_after:
        until = certificate.not_after
        raise tls_error(CERTIFICATE_EXPIRED, f"a certificate expired at {until}")


def _check_name_untrusted(leaf: ServerCertificate, server_name: str) -> None:
    """RFC 6125 section 6.4 with alternative names only: the common name counts for nothing."""
    subject = _subject(server_name)
    if isinstance(subject, x509.IPAddress):
        matches = str(subject.value) in leaf.addresses
    else:
        matches = any(_name_matches(pattern, server_name) for pattern in leaf.dns_names)
    if not matches:
        names_found = [*leaf.dns_names, *leaf.addresses]
        shown = ", ".join([quoted(name) for name in names_found[:MAX_NAMES_SHOWN]])
        raise tls_error(
            CERTIFICATE_UNKNOWN, f"the certificate is not for {server_name!r} but for [{shown}]"
        )


def _name_matches(pattern: str, server_name: str) -> bool:
    """A wildcard stands for exactly one label, the first."""
    pattern, server_name = pattern.lower(), server_name.lower()
    if not pattern.startswith("*."):
        return pattern == server_name
    _, _, parent = server_name.partition(".")
    return parent == pattern[2:] and "." in parent


def _check_server_purpose(
    policy: Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    if usage is not None and ExtendedKeyUsageOID.SERVER_AUTH not in usage:
        raise ValueError("the certificate is not meant for servers")


def _check_may_issue(
    policy: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    # RFC 5280 section 4.2.1.3: without the extension, the key may be used for everything
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an issuer is not allowed to sign certificates")


_RELAXED_LEAF: Final = (
    ExtensionPolicy.webpki_defaults_ee()
    .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_server_purpose)
    .may_be_present(x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None)
)
_RELAXED_CA: Final = (
    ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_may_issue)
    .may_be_present(x509.SubjectKeyIdentifier, Criticality.AGNOSTIC, None)
    .may_be_present(x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None)
)
