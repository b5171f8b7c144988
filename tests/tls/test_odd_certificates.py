"""Certificates whose fields a library parses lazily: an alert, and never anything else.

Every chain goes through whole handshakes with each way to trust a server, and where one is
complete, through what a ticket keeps of it and the next connection with that.
"""

import dataclasses
import hashlib
import warnings
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.peer import tls_server as peer
from tests.peer.certificates import Identity
from tests.tls import der, pki
from tests.tls import odd_certificates as odd
from tests.tls.scripted import run
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError
from trioquic._protocol.tls import certificates
from trioquic._protocol.tls.client import TlsClient
from trioquic._protocol.tls.messages import SessionTicket
from trioquic._protocol.tls.own_roots import OwnRoots
from trioquic._protocol.tls.public_roots import PublicRoots
from trioquic._protocol.tls.verify import (
    FingerprintVerification,
    NoVerification,
    Verification,
)

BAD_CERTIFICATE, CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN, UNKNOWN_CA = 42, 45, 46, 48
ILLEGAL_PARAMETER, DECRYPT_ERROR = 47, 51
OF_CERTIFICATES = {
    CRYPTO_ERROR + alert
    for alert in (BAD_CERTIFICATE, CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN, UNKNOWN_CA)
}
# The key in the certificate is another one than the server's, or of another kind.
OF_KEYS = {CRYPTO_ERROR + alert for alert in (ILLEGAL_PARAMETER, DECRYPT_ERROR)}


def verifications(chain: tuple[bytes, ...]) -> list[Verification]:
    return [
        pki.trust(strict=True),
        pki.trust(strict=False),
        FingerprintVerification(hashlib.sha256(chain[0]).digest()),
        NoVerification(),
    ]


def handshake(chain: tuple[bytes, ...], verification: Verification) -> TlsClient | BadPacketError:
    key = odd.leaf().key
    script = peer.TlsScript(identity=Identity(chain, key), transport_parameters=b"")  # type: ignore[arg-type]
    client = pki.make_client(verification)
    try:
        run(client, script)
    except BadPacketError as error:
        return error
    assert client.complete
    return client


def kept_and_resumed(client: TlsClient) -> None:
    """What a ticket keeps of the connection begins the next one."""
    ticket = SessionTicket(3600, 0, b"", b"t" * 32, 0)
    now = pki.NOW.timestamp()
    resumption = client.resume_with(ticket, now, b"")
    assert resumption.expires_at <= now + 3600
    following = pki.make_client(resumption=resumption)
    following.start()
    assert following.take_output()


def test_the_good_chain_is_good() -> None:
    chain = odd.good_chain()
    for verification in verifications(chain):
        client = handshake(chain, verification)
        assert isinstance(client, TlsClient)
        kept_and_resumed(client)


@pytest.mark.compiled
def test_odd_certificates_end_in_an_alert_or_do_no_harm() -> None:
    refused = taken = 0
    for label, chain in odd.odd_chains():
        # Without verification it is read as with a fingerprint; neither looks at the issuer.
        for verification in verifications(chain)[: 3 if label.startswith("leaf") else 2]:
            outcome = handshake(chain, verification)
            if isinstance(outcome, BadPacketError):
                refused += 1
                assert outcome.code in OF_CERTIFICATES | OF_KEYS, (label, outcome)
                assert len(outcome.reason) < 500 and outcome.reason.isascii(), label
            else:
                taken += 1
                kept_and_resumed(outcome)
    assert refused > 500 and taken > 100


def test_the_library_does_not_warn_of_them() -> None:
    """Not even where it puts a name, which nobody asks it for, into the text of an error."""
    country = der.name(der.UTF8, b"five ", "2.5.4.6")
    forged = der.forge(odd.leaf(), odd.issuer(), der.put(der.SUBJECT, country))
    # the algorithm of the signature, outside of what is signed, is another one than inside
    body, mark, tail = forged.rpartition(bytes.fromhex("2a8648ce3d040302"))
    chain = (body + mark[:-1] + b"\x09" + tail, odd.good_chain()[1])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for verification in verifications(chain)[:2]:
            outcome = handshake(chain, verification)
            assert isinstance(outcome, BadPacketError)
            assert outcome.code in OF_CERTIFICATES
    assert [str(each.message) for each in found] == []


class PanicException(BaseException):
    """What a panic of Rust code looks like in Python: pyo3's class, which cannot be imported."""


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (PanicException, BadPacketError),
        (RecursionError, BadPacketError),
        (KeyboardInterrupt, KeyboardInterrupt),
    ],
)
def test_a_panic_of_the_library_is_a_bad_certificate(
    kind: type[BaseException], seen: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no Exception, and must not end the program; an interrupt of the user's must."""

    def fail(_: bytes) -> None:
        raise kind("boom")

    monkeypatch.setattr(x509, "load_der_x509_certificate", fail)
    with pytest.raises(seen):
        certificates.read_certificate_untrusted(b"")


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("dates", [(odd.YEAR_0, odd.YEAR_9999), (b"20250101000000Z", odd.YEAR_0)])
def test_the_year_0(dates: tuple[bytes, bytes], place: int) -> None:
    good = odd.good_chain()
    changed = (
        (der.forge(odd.leaf(), odd.issuer(), der.dates(*dates)), good[1]),
        (good[0], der.forge(odd.issuer(), pki.root(), der.dates(*dates))),
    )[place]
    # the others don't look at the issuer
    for verification in verifications(changed)[: 4 if place == 0 else 2]:
        outcome = handshake(changed, verification)
        assert isinstance(outcome, BadPacketError)
        assert outcome.code == CRYPTO_ERROR + BAD_CERTIFICATE
        # what follows is Python's own sentence, another one since 3.14
        which = ("the server's certificate", "certificate 2 of the server's chain")[place]
        assert outcome.reason.startswith(f"{which} is malformed (RFC 5280 section 4) and has to ")
        assert ": 'year " in outcome.reason


@pytest.mark.parametrize(
    "oid", [odd.ALTERNATIVE_NAMES, odd.PURPOSES, odd.BASIC_CONSTRAINTS, odd.KEY_USAGE]
)
def test_an_extension_that_comes_twice(oid: bytes) -> None:
    good = odd.good_chain()
    leaf = der.forge(odd.leaf(), odd.issuer(), der.twice(oid))
    for verification in verifications((leaf, good[1])):
        outcome = handshake((leaf, good[1]), verification)
        assert isinstance(outcome, BadPacketError)
        assert outcome.code == CRYPTO_ERROR + BAD_CERTIFICATE
        assert "malformed" in outcome.reason
    if oid in (odd.BASIC_CONSTRAINTS, odd.KEY_USAGE):
        issuer = der.forge(odd.issuer(), pki.root(), der.twice(oid))
        for strict in (True, False):
            outcome = handshake((good[0], issuer), pki.trust(strict=strict))
            assert isinstance(outcome, BadPacketError)
            assert outcome.code == CRYPTO_ERROR + BAD_CERTIFICATE


@pytest.mark.compiled
def test_each_byte_of_a_chain_changed() -> None:
    """Nobody can sign what is changed, so no authority vouches for it."""
    good = odd.good_chain()
    for place in (0, 1):
        for position in range(len(good[place])):
            for mask in (0x01, 0x80):
                changed = bytearray(good[place])
                changed[position] ^= mask
                chain = (bytes(changed), good[1]) if place == 0 else (good[0], bytes(changed))
                for verification in verifications(chain)[: 3 - place]:
                    alert = judged(chain, verification)
                    if alert is None and isinstance(verification, (PublicRoots, OwnRoots)):
                        # Bits that are left over at the end of a signature say nothing.
                        assert signed_parts(chain) == signed_parts(good), (place, position, mask)


def judged(chain: tuple[bytes, ...], verification: Verification) -> int | None:
    """The alert for a chain; None: it is good."""
    try:
        leaf = certificates.read_server_certificate_untrusted(chain[0])
        verification.check_untrusted(leaf, chain, pki.NAME, pki.NOW)
        certificates.signing_key_untrusted(leaf)
    except BadPacketError as error:
        alert = error.code
    else:
        return None
    assert alert in OF_CERTIFICATES
    return alert


def signed_parts(chain: tuple[bytes, ...]) -> list[bytes]:
    return [der.children(certificate)[0] for certificate in chain]


def test_the_public_roots_and_odd_certificates() -> None:
    with open(certifi.where(), "rb") as file:
        public = PublicRoots(certificates.load_public_roots(file.read()))
    for label, chain in list(odd.odd_chains())[::5]:
        outcome = handshake(chain, public)
        assert isinstance(outcome, BadPacketError), label
        assert outcome.code in OF_CERTIFICATES


def forged(change: odd.Change) -> bytes:
    return der.forge(odd.leaf(), odd.issuer(), change)


@pytest.mark.parametrize(
    ("change", "offered"),
    [
        ({}, True),
        ({"peer_certificates": (b"",)}, False),
        ({"peer_certificates": (b"nonsense", b"more")}, False),
        ({"peer_certificates": (forged(der.dates(odd.YEAR_0, odd.YEAR_0)),)}, False),
        # nobody looks at extensions any more
        ({"peer_certificates": (forged(der.twice(odd.PURPOSES)),)}, True),
        ({"issued_at": -1e308}, False),
        ({"issued_at": pki.NOW.timestamp() - 604801}, False),
    ],
)
def test_a_ticket_whose_chain_or_age_is_odd(change: dict[str, Any], offered: bool) -> None:
    """It came from a file: a store that was damaged, or written by an earlier version."""
    client = handshake(odd.good_chain(), NoVerification())
    assert isinstance(client, TlsClient)
    ticket = SessionTicket(3600, 0, b"", b"t" * 32, 0)
    resumption = client.resume_with(ticket, pki.NOW.timestamp(), b"")
    following = pki.make_client(resumption=dataclasses.replace(resumption, **change))
    following.start()
    ((_, hello),) = following.take_output()
    assert (b"t" * 32 in hello) is offered


def test_an_odd_certificate_writes_nothing_to_the_terminal(
    recwarn: pytest.WarningsRecorder,
) -> None:
    warnings.simplefilter("always")
    for label, chain in odd.odd_chains():
        if "serial" in label or "name" in label:
            handshake(chain, pki.trust())
    assert not recwarn.list


def test_a_client_certificate_with_an_odd_key_is_a_value_error() -> None:
    key = odd.leaf().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for label, change in odd.changes():
        if "key" in label:
            own = der.forge(odd.leaf(), odd.issuer(), change)
            with pytest.raises(ValueError, match=r"certificate|key"):
                certificates.load_client_certificate(own, key)
