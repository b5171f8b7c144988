"""Where the client judges chains otherwise than OpenSSL does, and why: the table in docs/tls.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    what: str
    openssl: str
    here: str
    reason: str


DIFFERENCES: dict[str, Difference] = {
    "ways": Difference(
        "several certificates of one issuer's name (cross-signed, or renewed)",
        "follows one",
        "tries up to 16 chains",
        "one good chain is enough (RFC 5280 section 6)",
    ),
    "own certificate": Difference(
        "the server's own certificate among the roots, and not self-signed",
        "judges the issuers that were sent as well",
        "does not look at them",
        "who is trusted needs no issuer",
    ),
    "key identifiers": Difference(
        "critical subjectKeyIdentifier or authorityKeyIdentifier",
        "refused",
        "accepted",
        "what is understood may be critical (RFC 5280 section 4.2); both are heeded",
    ),
    "last second": Difference(
        "the second that notAfter names",
        "expired",
        "valid",
        "it belongs to the time (RFC 5280 section 4.1.2.5)",
    ),
    "constraints on common names": Difference(
        "DNS name constraints, and a common name like a host",
        "hold for it where there is no DNS name",
        "do not",
        "a common name names no host here",
    ),
    "common name": Difference(
        "a common name without alternative names",
        "names the host",
        "refused",
        "only alternative names count (RFC 9525 section 2)",
    ),
    "wildcards": Difference(
        "a wildcard for a part of a label",
        "accepted",
        "refused",
        "one stands for a whole label (RFC 9525 section 6.3)",
    ),
    "excluded in a wildcard": Difference(
        "a wildcard, and one of its names excluded by name constraints",
        "accepted",
        "refused",
        "it would certify the host that the authority must not",
    ),
    "names of issuers": Difference(
        "an issuer's name in other letters, or in another string type",
        "is the same",
        "is another one",
        "authorities copy their name byte by byte; the library compares it so",
    ),
    "keyUsage": Difference(
        "keyUsage without digitalSignature",
        "accepted",
        "refused",
        "in TLS 1.3 a server has to sign (RFC 8446 section 4.4.2.2)",
    ),
    "RSA keys of nearly 2048 bits": Difference(
        "RSA keys of 2047 bits",
        "accepted",
        "refused",
        "OpenSSL rounds their strength up to 112 bits",
    ),
    "hash of an RSA-PSS key": Difference(
        "a key for RSA-PSS with one hash only, and a signature with another one",
        "refused",
        "accepted",
        "the library does not tell the key's parameters; weak hashes are refused all the same",
    ),
    "DSA": Difference(
        "authorities with a DSA key",
        "accepted",
        "refused",
        "TLS 1.3 has no DSA",
    ),
    "policies": Difference(
        "critical policyConstraints or policyMappings",
        "accepted, and not looked at",
        "refused",
        "nobody here evaluates policies",
    ),
    "Netscape": Difference(
        "Netscape's `nsCertType`",
        "heeded",
        "not looked at",
        "extKeyUsage took its place long ago",
    ),
    "mail in the subject": Difference(
        "a mail address in the subject in another string type than IA5String",
        "refused under name constraints of any kind",
        "compared",
        "all string types are compared alike",
    ),
    "malformed": Difference(
        "extensions against RFC 5280: one twice, a pathLen of what is no authority, constraints "
        "of nothing",
        "some are accepted",
        "refused",
        "the library cannot read them",
    ),
}


def table() -> str:
    """For the documentation."""
    rows = [
        "| what | `openssl verify` | here | why |",
        "| --- | --- | --- | --- |",
        *[f"| {d.what} | {d.openssl} | {d.here} | {d.reason} |" for d in DIFFERENCES.values()],
    ]
    return "\n".join(rows)
