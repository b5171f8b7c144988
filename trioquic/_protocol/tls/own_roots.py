"""Chains to roots of the caller's own: those of private authorities.

First signatures, then rules: `chain_search` finds what leads to a root, and `chain_rules` judges
it. The first chain that keeps all rules will do. A certificate that is itself among the roots
needs no issuer.
"""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..errors import BadPacketError
from .alerts import CERTIFICATE_UNKNOWN, CRYPTO_FRAME, UNKNOWN_CA, tls_error
from .certificates import (
    Certificate,
    ServerCertificate,
    check_dates_untrusted,
    read_certificate_untrusted,
    read_others_untrusted,
)
from .chain_rules import Judge
from .chain_search import ChainSearch
from .server_names import check_name_untrusted, is_name_of_a_host


class OwnRoots:
    """A chain to one of `roots`, for the server's name, now. It can be shared by any number of
    connections."""

    def __init__(self, roots: list[x509.Certificate]) -> None:
        if not roots:
            raise ValueError("no CA certificates to trust")
        self.roots = tuple(roots)
        self._by_subject: dict[bytes, list[Certificate]] = {}
        for each in dict.fromkeys(roots):
            try:
                root = read_certificate_untrusted(each.public_bytes(Encoding.DER))
            except BadPacketError:
                continue  # one without dates is nobody's root, and no harm to the others
            self._by_subject.setdefault(root.subject, []).append(root)

    def check_server_name(self, server_name: str | None) -> None:
        """ValueError when no certificate can be verified for this name."""
        if server_name is None:
            raise ValueError("a server name is needed to verify the server's certificate")
        if not is_name_of_a_host(server_name):
            raise ValueError(f"no certificate can name {server_name!r}")

    def check_untrusted(
        self,
        leaf: ServerCertificate,
        chain: tuple[bytes, ...],
        server_name: str | None,
        when: datetime.datetime,
    ) -> None:
        """The likeliest reason first: dates, then trust, then the name, then the rest."""
        if server_name is None:
            raise tls_error(CERTIFICATE_UNKNOWN, "no server name to verify the certificate for")
        others = read_others_untrusted(chain)
        check_dates_untrusted(leaf.certificate, when, "the server's certificate")
        ways = self._ways_untrusted(leaf.certificate, others)
        check_name_untrusted(leaf, server_name)
        judge = Judge(when)
        # not the error itself, which would refer to this frame, and that to the error
        code, reason = 0, ""
        for way in ways:
            try:
                judge.judge_untrusted(way)
            except BadPacketError as error:
                if not reason:
                    code, reason = error.code, error.reason
            else:
                return
        raise BadPacketError(code, reason, CRYPTO_FRAME)

    def _ways_untrusted(
        self, leaf: Certificate, others: list[Certificate]
    ) -> list[list[Certificate]]:
        """At least one."""
        if self._is_root(leaf):
            return [[leaf]]
        sent = [leaf, *[other for other in others if not self._is_root(other)]]
        search = ChainSearch(sent, self._by_subject)
        ways = search.ways_untrusted()
        if not ways:
            where = search.where_it_ends_untrusted()
            raise tls_error(UNKNOWN_CA, f"the certificate's issuer is not trusted: {where}")
        return ways

    def _is_root(self, certificate: Certificate) -> bool:
        """Whether it is one of the roots, and not only named like one."""
        named = self._by_subject.get(certificate.subject, ())
        return any(root.parsed == certificate.parsed for root in named)
