"""A server's certificate for people and programs, whatever is in it.

The library parses a certificate piece by piece when it is asked, and has something to say about
odd pieces in warnings. What decides whether the server is trusted was read in the handshake, and
refused if it could not be; what is only shown here (who owns it, who issued it) may be anything, so
each piece that cannot be read says that, and the others are shown.
"""

import hashlib
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from cryptography import x509

UNREADABLE = "unreadable"

T = TypeVar("T")


def describe_certificate(der: bytes) -> dict[str, Any]:
    """Owner, names, issuer, the last day and the fingerprint; never raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load = partial(x509.load_der_x509_certificate, der)
        no_names: list[str] = []
        return {
            "subject": _or(UNREADABLE, lambda: load().subject.rfc4514_string()),
            "names": _or(no_names, lambda: _names(load().extensions)),
            "issuer": _or(UNREADABLE, lambda: load().issuer.rfc4514_string()),
            "not_after": _or(UNREADABLE, lambda: load().not_valid_after_utc.isoformat()),
            "sha256": hashlib.sha256(der).hexdigest(),
        }


def _names(extensions: x509.Extensions) -> list[str]:
    found = extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in found.value]


def _or(otherwise: T, read: Callable[[], T]) -> T:
    """What `read` returns, or `otherwise` if it raises; there is no list of what it may raise."""
    try:
        return read()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        # a panic of the library's Rust code is no Exception
        return otherwise
