"""The name that a server is asked for, and the names in its certificate (RFC 9525 section 6).

Only alternative names count, never the common name. A wildcard stands for one whole label, the
first, before two others at least, all of letters, digits and hyphens. Odder names, such as those
with an underscore or with a dot at the end, are taken where a certificate names them letter by
letter. OpenSSL does the same.
"""

import functools
import ipaddress
import re
import string
from typing import Final

from cryptography import x509
from cryptography.x509.verification import Subject

from .alerts import CERTIFICATE_UNKNOWN, quoted, tls_error
from .certificates import ServerCertificate

MAX_NAMES_SHOWN: Final = 8
# Names that were asked for lately are kept in the form that the verification takes.
_MOST_SUBJECTS: Final = 64
_OF_HOSTS: Final = frozenset(string.ascii_letters + string.digits + "-_.")
# what a wildcard stands for, and what may follow it
_LABEL: Final = re.compile(r"[a-z0-9-]+")
_PARENT: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
)


@functools.lru_cache(maxsize=_MOST_SUBJECTS)
def subject(server_name: str) -> Subject:
    """What a certificate has to name. Raises ValueError."""
    try:
        return x509.IPAddress(ipaddress.ip_address(server_name))
    except ValueError:
        return x509.DNSName(server_name)


def is_name_of_a_host(server_name: str) -> bool:
    """Whether a certificate of a private authority can name it: an address, or letters, digits,
    hyphens and underscores. Its lengths were looked at before."""
    return isinstance(subject(server_name), x509.IPAddress) or _OF_HOSTS.issuperset(server_name)


def check_name_untrusted(leaf: ServerCertificate, server_name: str) -> None:
    """certificate_unknown when the certificate is for others."""
    wanted = subject(server_name)
    if isinstance(wanted, x509.IPAddress):
        matches = str(wanted.value) in leaf.addresses
    else:
        matches = any(_matches(pattern, server_name) for pattern in leaf.dns_names)
    if not matches:
        names_found = [*leaf.dns_names, *leaf.addresses]
        shown = ", ".join([quoted(name) for name in names_found[:MAX_NAMES_SHOWN]])
        raise tls_error(
            CERTIFICATE_UNKNOWN,
            f"the server's certificate is not for {server_name!r} but for [{shown}]; if it is the "
            "right server, name it as the certificate does with server_name=",
        )


def _matches(pattern: str, server_name: str) -> bool:
    pattern, server_name = pattern.lower(), server_name.lower()
    if not pattern.startswith("*."):
        return pattern == server_name
    first, _, parent = server_name.partition(".")
    return (
        parent == pattern[2:]
        and _LABEL.fullmatch(first) is not None
        and _PARENT.fullmatch(parent) is not None
    )
