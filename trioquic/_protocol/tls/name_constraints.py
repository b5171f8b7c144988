"""Which names an authority may certify (RFC 5280 section 4.2.1.10).

Names of DNS, addresses, directory names, addresses of mail and URIs are compared as OpenSSL does
it: a leading dot, which the RFC has for mail and URIs only, stands for all names below a domain of
DNS as well. A certificate with a name of another kind is refused under constraints of that kind,
as nobody here could tell whether they are kept.

In one thing this goes further than others: a wildcard is refused where one of the names that it
stands for is excluded.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.x509.oid import NameOID

from .alerts import quoted

# A name of a directory: for each part its kinds and values, in the form in which they are compared
Directory: TypeAlias = tuple[frozenset[tuple[str, bytes]], ...]

_MAIL_IN_UTF8: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")


@dataclass(frozen=True, slots=True)
class CertifiedNames:
    """All names of a certificate's owner."""

    readable: bool
    """Whether the subject could be read."""
    directories: tuple[Directory, ...]
    """The subject, if it is not empty, and alternative names of this kind."""
    others: tuple[x509.GeneralName, ...]
    """Alternative names, and mail addresses of the subject."""


@dataclass(frozen=True, slots=True)
class Subtrees:
    """Names that begin, or end, as these do."""

    directories: tuple[Directory, ...]
    others: tuple[x509.GeneralName, ...]


@dataclass(frozen=True, slots=True)
class Constraints:
    """What one authority may certify."""

    permitted: Subtrees
    excluded: Subtrees

    def comparisons(self, names: CertifiedNames) -> int:
        """At most so many does it take to check a certificate's names."""
        sets = (self.permitted, self.excluded)
        subtrees = sum([len(each.directories) + len(each.others) for each in sets])
        return subtrees * (len(names.directories) + len(names.others))


def read_names(
    parsed: x509.Certificate, alternative: tuple[x509.GeneralName, ...]
) -> CertifiedNames:
    """Odd subjects are common, and matter under constraints only."""
    found = _split(alternative)
    mails: list[x509.GeneralName] = []
    try:
        subject = _directory(parsed.subject)
        for attribute in parsed.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
            mails.append(x509.RFC822Name(str(attribute.value)))
    except ValueError:
        return CertifiedNames(False, found.directories, found.others)
    own = (subject,) if subject else ()
    return CertifiedNames(True, (*own, *found.directories), (*mails, *found.others))


def read_constraints(value: x509.NameConstraints, encoded: bytes) -> Constraints:
    """Raises ValueError. `encoded` is what holds the extension: the library does not say whether a
    subtree had bounds, which RFC 5280 forbids, but then what it encodes is not what was there."""
    if value.public_bytes() not in encoded:
        raise ValueError("name constraints with a minimum or maximum")
    return Constraints(
        _split(value.permitted_subtrees or ()), _split(value.excluded_subtrees or ())
    )


def broken(names: CertifiedNames, constraints: Constraints) -> str:
    """What breaks the constraints, for an error; '' if they are kept."""
    if not names.readable:
        return "its subject, which cannot be read"
    permitted, excluded = constraints.permitted, constraints.excluded
    for directory in names.directories:
        if permitted.directories and not _begins(directory, permitted.directories):
            return "a name of a directory that is not permitted"
        if _begins(directory, excluded.directories):
            return "a name of a directory that is excluded"
    for name in names.others:
        if not _keeps(name, permitted.others, excluded.others):
            return quoted(str(name.value))
    return ""


def _split(names: Iterable[x509.GeneralName]) -> Subtrees:
    directories: list[Directory] = []
    others: list[x509.GeneralName] = []
    for name in names:
        if isinstance(name, x509.DirectoryName):
            directories.append(_directory(name.value))
        else:
            others.append(name)
    return Subtrees(tuple(directories), tuple(others))


def _begins(name: Directory, bases: tuple[Directory, ...]) -> bool:
    return any(name[: len(base)] == base for base in bases)


def _directory(name: x509.Name) -> Directory:
    return tuple(
        [
            frozenset([(each.oid.dotted_string, _folded(each.value)) for each in part])
            for part in name.rdns
        ]
    )


def _folded(value: str | bytes) -> bytes:
    """RFC 5280 section 7.1, as far as everybody does it: ASCII letters without their case, white
    space only once, and none at the ends."""
    if isinstance(value, bytes):
        return value
    return b" ".join(value.encode().lower().split())


def _keeps(
    name: x509.GeneralName,
    permitted: tuple[x509.GeneralName, ...],
    excluded: tuple[x509.GeneralName, ...],
) -> bool:
    allowed = [base for base in permitted if _concerns(base, name)]
    barred = [base for base in excluded if _concerns(base, name)]
    if not allowed and not barred:
        return True
    if not _comparable(name):
        return False
    if allowed and not any(_within(name, base) for base in allowed):
        return False
    return not any(_within(name, base) or _covers(name, base) for base in barred)


def _concerns(base: x509.GeneralName, name: x509.GeneralName) -> bool:
    """Whether the name is of the kind that a constraint is about."""
    if not isinstance(name, x509.OtherName):
        return type(base) is type(name)
    if isinstance(base, x509.OtherName):
        return base.type_id == name.type_id
    # RFC 9598 section 6: what is permitted for mail holds for this form as well
    return isinstance(base, x509.RFC822Name) and name.type_id == _MAIL_IN_UTF8


def _comparable(name: x509.GeneralName) -> bool:
    """Whether it is of a kind, and of a form, that can be held against constraints."""
    if isinstance(name, x509.IPAddress):
        return isinstance(name.value, (ipaddress.IPv4Address, ipaddress.IPv6Address))
    if isinstance(name, x509.RFC822Name):
        return "@" in name.value
    if isinstance(name, x509.UniformResourceIdentifier):
        return bool(_host_of(name.value))
    return isinstance(name, x509.DNSName)


def _within(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Whether a comparable name lies in a subtree of its kind."""
    if isinstance(name, x509.DNSName) and isinstance(base, x509.DNSName):
        return _below(name.value.lower(), base.value.lower())
    if isinstance(name, x509.RFC822Name) and isinstance(base, x509.RFC822Name):
        return _of_mailboxes(name.value, base.value)
    if isinstance(name, x509.UniformResourceIdentifier):
        return _of_host(_host_of(name.value), str(base.value).lower())
    network = base.value
    if isinstance(network, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return name.value in network
    return False


def _below(name: str, domain: str) -> bool:
    if not domain or name == domain:
        return True
    return name.endswith(domain if domain.startswith(".") else "." + domain)


def _covers(name: x509.GeneralName, excluded: x509.GeneralName) -> bool:
    """Whether a wildcard stands for the domain that is excluded, among others."""
    if not isinstance(name, x509.DNSName) or not name.value.startswith("*."):
        return False
    _, dot, parent = str(excluded.value).lower().partition(".")
    return bool(dot) and parent == name.value[2:].lower()


def _of_mailboxes(mail: str, base: str) -> bool:
    """One mailbox, all of a host, or with a leading dot all of the hosts of a domain."""
    local, _, host = mail.rpartition("@")
    wanted, at, domain = base.rpartition("@")
    if at and wanted and wanted != local:
        return False
    return host.lower() == domain.lower() if at else _of_host(host.lower(), base.lower())


def _of_host(host: str, base: str) -> bool:
    if base.startswith("."):
        return host.endswith(base) and host != base
    return host == base


def _host_of(uri: str) -> str:
    """'' if it has none: what follows the scheme, which has no colon, says so (RFC 3986)."""
    _, _, rest = uri.partition(":")
    if not rest.startswith("//"):
        return ""
    return rest[2:].partition("/")[0].partition(":")[0].lower()
