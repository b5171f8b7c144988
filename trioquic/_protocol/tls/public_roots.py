"""Chains to public roots, held against the rules of the web.

Building and judging them is left to the `cryptography` package, with its policy for the web. What
is done here is to bound its work, and to say why a chain was refused.
"""

import datetime
import warnings
from typing import Final

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from ..errors import BadPacketError
from .alerts import (
    BAD_CERTIFICATE,
    CERTIFICATE_UNKNOWN,
    UNKNOWN_CA,
    of_library,
    quoted,
    tls_error,
)
from .certificates import (
    Certificate,
    ServerCertificate,
    check_dates_untrusted,
    read_others_untrusted,
)
from .chain_certificate import called
from .server_names import check_name_untrusted, subject

# The longest way from the server's certificate to a root that the library looks at, and so many
# ways, whole or not, that an honest chain does not have.
_MOST_STEPS: Final = 9
_MOST_WAYS: Final = 128

_STRANGER: Final = (
    "the certificate's issuer is not trusted: none that the server sent is from a public "
    "authority; if its authority is private, trust that with ca_file, else the server has to send "
    "its intermediate certificates"
)


class PublicRoots:
    """A chain to one of `roots`, for the server's name, now. Building one for the public roots is
    expensive; it can be shared by any number of connections."""

    def __init__(self, roots: list[x509.Certificate]) -> None:
        if not roots:
            raise ValueError("no CA certificates to trust")
        self.roots = tuple(roots)
        self.store = Store(roots)

    def check_server_name(self, server_name: str | None) -> None:
        """ValueError when no certificate can be verified for this name."""
        if server_name is None:
            raise ValueError("a server name is needed to verify the server's certificate")
        try:
            PolicyBuilder().store(self.store).build_server_verifier(subject(server_name))
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
        others = read_others_untrusted(chain)
        self._check_ways_untrusted(leaf.certificate, others)
        builder = PolicyBuilder().store(self.store).time(when)
        verifier = builder.build_server_verifier(subject(server_name))
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
            check_dates_untrusted(leaf.certificate, when, "the certificate")
            if not self._reaches_root([leaf.certificate, *others]):
                return tls_error(UNKNOWN_CA, _STRANGER)
            check_name_untrusted(leaf, server_name)
            for certificate in others:
                which = f"the issuer's certificate {called(certificate)}"
                check_dates_untrusted(certificate, when, which)
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
