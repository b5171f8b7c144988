"""What a chain of certificates has to keep (RFC 5280 section 6.1), for roots of the caller's own.

All signatures of a chain that comes here are good, and its last certificate is a root. The rules
are those that OpenSSL goes by when it is not told to be strict: private authorities leave
extensions out or mark them critical against the book, and some of their roots are older than
extensions. What deviates from OpenSSL is in docs/tls.md.

Each reason names the certificate, the rule, and what can be done about it.
"""

import datetime
from typing import Final

from ..errors import BadPacketError
from .alerts import BAD_CERTIFICATE, tls_error
from .certificates import Certificate, check_dates_untrusted
from .chain_certificate import (
    ChainCertificate,
    read_chain_certificate_untrusted,
    weak_signature_untrusted,
)
from .name_constraints import broken

# So many take some tenths of a second where the core is not compiled.
MOST_COMPARISONS: Final = 1 << 16


class Judge:
    """Judges the chains of one handshake. What they have in common is found out once, and counts
    once: whoever sends certificates chooses how many chains they make."""

    def __init__(self, when: datetime.datetime) -> None:
        self._when = when
        self._links: dict[Certificate, ChainCertificate] = {}
        # why others cannot be read
        self._unreadable: dict[Certificate, str] = {}
        # what breaks the constraints of the second one, by the first one's names; "": nothing
        self._broken: dict[tuple[Certificate, Certificate], str] = {}
        self._comparisons = 0

    def judge_untrusted(self, way: list[Certificate]) -> None:
        """`way` leads from the server's certificate to a root, which may be the same one."""
        links = [self._link_untrusted(each) for each in way]
        last = len(way) - 1
        between = 0
        for place, link in enumerate(links):
            what = _what(links, place)
            check_dates_untrusted(link.certificate, self._when, what)
            if place:
                _check_issuing_untrusted(link, what, place == last)
                _check_length_untrusted(link, what, between)
                _check_identifiers_untrusted(links[place - 1], _what(links, place - 1), link, what)
                if not link.self_issued:
                    between += 1
            if place < last:
                _check_signature_untrusted(link, what)
            _check_itself_untrusted(link, what, place == 0)
        self._check_names_untrusted(links)

    def _link_untrusted(self, certificate: Certificate) -> ChainCertificate:
        link = self._links.get(certificate)
        if link is not None:
            return link
        if certificate in self._unreadable:
            raise tls_error(BAD_CERTIFICATE, self._unreadable[certificate])
        try:
            link = self._links[certificate] = read_chain_certificate_untrusted(certificate)
        except BadPacketError as error:
            self._unreadable[certificate] = error.reason
            raise
        return link

    def _check_names_untrusted(self, way: list[ChainCertificate]) -> None:
        """RFC 5280 section 6.1.3 (b) and (c): everybody above may say which names there are; of
        certificates in which an authority certifies itself, only the server's is bound by it."""
        for above in range(1, len(way)):
            constraints = way[above].constraints
            if constraints is None:
                continue
            for place in range(above):
                if place and way[place].self_issued:
                    continue
                two = (way[place].certificate, way[above].certificate)
                name = self._broken.get(two)
                if name is None:
                    self._comparisons += constraints.comparisons(way[place].names)
                    if self._comparisons > MOST_COMPARISONS:
                        raise tls_error(
                            BAD_CERTIFICATE,
                            f"{_what(way, place)} has too many names to hold them against the "
                            f"constraints of {_what(way, above)}",
                        )
                    name = self._broken[two] = broken(way[place].names, constraints)
                if name:
                    raise tls_error(
                        BAD_CERTIFICATE,
                        f"{_what(way, place)} breaks the name constraints of {_what(way, above)}, "
                        f"with {name}: one of them has to be issued anew",
                    )


def _what(way: list[ChainCertificate], place: int) -> str:
    if place == 0:
        return "the server's certificate"
    kind = "root" if place == len(way) - 1 else "intermediate certificate"
    return f"the {kind} {way[place].called}"


def _check_itself_untrusted(link: ChainCertificate, what: str, is_leaf: bool) -> None:
    """What does not depend on the others."""
    if link.unknown:
        raise tls_error(
            BAD_CERTIFICATE,
            f"{what} has the critical extension {link.unknown}, which is not known here; "
            "only one that is not critical may be passed over",
        )
    if link.weak_key:
        raise tls_error(BAD_CERTIFICATE, f"{what} has {link.weak_key}; it needs another key")
    if not link.for_servers:
        raise tls_error(
            BAD_CERTIFICATE,
            f"{what} is not meant for servers: its extKeyUsage lacks serverAuth, "
            "which has to be in it wherever there is one",
        )
    if is_leaf and not link.for_tls:
        raise tls_error(
            BAD_CERTIFICATE,
            f"{what} is not meant for TLS: its keyUsage lacks digitalSignature",
        )


def _check_issuing_untrusted(link: ChainCertificate, what: str, is_root: bool) -> None:
    issuing = link.issuing
    if issuing.key_cert_sign is False:
        raise tls_error(
            BAD_CERTIFICATE,
            f"{what} may not sign certificates: its keyUsage lacks keyCertSign",
        )
    if issuing.ca:
        return
    if issuing.ca is None and is_root:
        # older than the extension, or by keyUsage alone
        if issuing.key_cert_sign or (issuing.version_1 and link.self_issued):
            return
    raise tls_error(
        BAD_CERTIFICATE,
        f"{what} is no authority: it has to be made with basicConstraints CA:TRUE",
    )


def _check_length_untrusted(link: ChainCertificate, what: str, between: int) -> None:
    """RFC 5280 section 4.2.1.9; `between`: certificates that count."""
    limit = link.issuing.path_length
    if limit is not None and between > limit:
        raise tls_error(
            BAD_CERTIFICATE,
            f"{what} allows {limit} further authorities below it (pathLen), and there are "
            f"{between}: it has to be made with a larger pathLen, or the chain shorter",
        )


def _check_identifiers_untrusted(
    child: ChainCertificate, its_name: str, issuer: ChainCertificate, what: str
) -> None:
    """The issuer's name and key are right. But a certificate may say which key identifier or
    serial number its issuer has, and another one of the same key is not meant then."""
    wanted, there = child.identifiers, issuer.identifiers
    fits = wanted.of_issuer is None or there.own is None or wanted.of_issuer == there.own
    if wanted.issuers_serial is not None:
        fits = fits and wanted.issuers_serial == issuer.certificate.parsed.serial_number
    if wanted.issuers_issuers:
        fits = fits and issuer.certificate.parsed.issuer in wanted.issuers_issuers[:1]
    if not fits:
        raise tls_error(
            BAD_CERTIFICATE,
            f"{its_name} was issued by another certificate of its issuer's name than {what}: "
            "by that which its authorityKeyIdentifier tells, and which should be in its place",
        )


def _check_signature_untrusted(link: ChainCertificate, what: str) -> None:
    weak = weak_signature_untrusted(link.certificate)
    if weak:
        raise tls_error(
            BAD_CERTIFICATE, f"{what} is signed with {weak}; it has to be issued with SHA-256"
        )
