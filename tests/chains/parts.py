"""Roots, intermediates and servers' certificates, each good until something is changed."""

import datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.chains.case import Case
from tests.chains.forge import Extension, Made, Plan, extension, make, name
from tests.tls.pki import DAY, NAME, NOW, general_name, usage

BASIC, USAGE, PURPOSE, NAMES = "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"
CONSTRAINTS = "2.5.29.30"

CA = extension(x509.BasicConstraints(True, None), critical=True)
NO_CA = extension(x509.BasicConstraints(False, None), critical=True)
SIGNS = extension(usage(signature=False, cert_sign=True), critical=True)
SERVER = extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))
CLIENT = extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
PAST: dict[str, Any] = {"since": NOW - 100 * DAY, "until": NOW - DAY}
FUTURE: dict[str, Any] = {"since": NOW + DAY, "until": NOW + 100 * DAY}
LONG: dict[str, Any] = {"since": NOW - 1000 * DAY, "until": NOW + 1000 * DAY}
SECOND = datetime.timedelta(seconds=1)


def path_length(limit: int) -> Extension:
    return extension(x509.BasicConstraints(True, limit), critical=True)


def names(*wanted: str | x509.GeneralName, critical: bool = False) -> Extension:
    return extension(
        x509.SubjectAlternativeName(
            [general_name(each) if isinstance(each, str) else each for each in wanted]
        ),
        critical,
    )


def authority(
    subject: str | bytes,
    issuer: Made | None = None,
    *changed: Extension,
    without: tuple[str, ...] = (),
    **plan: Any,
) -> Made:
    """`changed` takes the place of extensions of its kind, or is added."""
    encoded = name(subject) if isinstance(subject, str) else subject
    plan = {"owner": str(subject), **LONG, **plan}
    return make(
        Plan(subject=encoded, extensions=_changed((CA, SIGNS), changed, without), **plan), issuer
    )


def server(
    issuer: Made | None,
    *changed: Extension,
    subject: bytes | None = None,
    without: tuple[str, ...] = (),
    **plan: Any,
) -> Made:
    usual = (names(NAME), SERVER, NO_CA)
    encoded = name("a server") if subject is None else subject
    plan = {"owner": "server", **plan}
    return make(Plan(subject=encoded, extensions=_changed(usual, changed, without), **plan), issuer)


def _changed(
    usual: tuple[Extension, ...], changed: tuple[Extension, ...], without: tuple[str, ...]
) -> tuple[Extension, ...]:
    gone = {kind for kind, _, _ in changed} | set(without)
    return (*[each for each in usual if each[0] not in gone], *changed)


def case(
    label: str,
    roots: Made | tuple[Made, ...],
    *sent: Made,
    reason: str | None = None,
    difference: str = "",
    server_name: str = NAME,
) -> Case:
    trusted = (roots,) if isinstance(roots, Made) else roots
    return Case(
        name=label,
        sent=tuple(each.der for each in sent),
        roots=tuple(each.der for each in trusted),
        server_name=server_name,
        reason=reason,
        difference=difference,
    )
