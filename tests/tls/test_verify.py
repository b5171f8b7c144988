"""Which certificates are trusted, and what is said about those that are not."""

import datetime

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tls import pki
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError
from trioquic._protocol.tls import certificates
from trioquic._protocol.tls.own_roots import OwnRoots
from trioquic._protocol.tls.public_roots import PublicRoots
from trioquic._protocol.tls.verify import (
    FingerprintVerification,
    NoVerification,
    Verification,
)

BAD_CERTIFICATE, CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN, UNKNOWN_CA = 42, 45, 46, 48
CLIENT_PURPOSE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def check(
    verification: Verification,
    leaf: pki.Issued,
    *others: pki.Issued,
    name: str | None = pki.NAME,
    when: datetime.datetime = pki.NOW,
) -> None:
    chain = tuple(pki.der(link.certificate) for link in (leaf, *others))
    first = certificates.read_server_certificate_untrusted(chain[0])
    verification.check_untrusted(first, chain, name, when)


def refused(
    alert: int,
    text: str,
    verification: Verification,
    leaf: pki.Issued,
    *others: pki.Issued,
    name: str | None = pki.NAME,
    when: datetime.datetime = pki.NOW,
) -> None:
    with pytest.raises(BadPacketError, match=text) as caught:
        check(verification, leaf, *others, name=name, when=when)
    assert caught.value.code == CRYPTO_ERROR + alert
    assert caught.value.frame_type == 0x06


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "name", [pki.NAME, pki.NAME.upper(), "any.wild.example", "192.0.2.1", "2001:db8:0::1"]
)
def test_names_of_the_certificate(name: str, strict: bool) -> None:
    check(pki.trust(strict=strict), pki.server_identity(), name=name)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "name",
    ["other.example", "a.b.wild.example", "wild.example", "192.0.2.2", "2001:db8::2", "a server"],
)
def test_other_names_are_refused_and_named(name: str, strict: bool) -> None:
    verification = pki.trust(strict=strict)
    leaf = pki.server_identity()
    if name == "a server":  # the common name, which counts for nothing
        with pytest.raises(ValueError, match="no certificate can name"):
            verification.check_server_name(name)
        return
    text = f"not for '{name}' but for .'server.example', "
    refused(CERTIFICATE_UNKNOWN, text, verification, leaf, name=name)


@pytest.mark.parametrize("strict", [True, False])
def test_a_certificate_without_names_fits_no_server(strict: bool) -> None:
    leaf = pki.issue(pki.NAME, pki.root(), pki.key_of("p256"))
    refused(CERTIFICATE_UNKNOWN, "not for", pki.trust(strict=strict), leaf)


def test_names_in_reasons_are_bounded_and_escaped() -> None:
    names = ("\x1b[2Jx.example", "n" * 5000, *[f"host{number}.example" for number in range(100)])
    leaf = pki.issue("leaf", pki.root(), pki.key_of("p256"), names=names)
    with pytest.raises(BadPacketError) as caught:
        check(pki.trust(), leaf)
    assert len(caught.value.reason) < 500
    assert caught.value.reason.isprintable()
    assert r"\x1b[2Jx.example" in caught.value.reason


@pytest.mark.parametrize("strict", [True, False])
def test_dates(strict: bool) -> None:
    verification = pki.trust(strict=strict)
    leaf = pki.server_identity()
    late, early = pki.NOW + 11 * pki.DAY, pki.NOW - 11 * pki.DAY
    refused(CERTIFICATE_EXPIRED, "expired at 2025-06-11", verification, leaf, when=late)
    refused(CERTIFICATE_EXPIRED, "not valid before 2025-05-22", verification, leaf, when=early)


def test_an_expired_intermediate() -> None:
    middle = pki.issue(
        "old middle",
        pki.root(),
        pki.key_of("p256", "middle"),
        ca=True,
        not_before=pki.NOW - 100 * pki.DAY,
        not_after=pki.NOW - pki.DAY,
        extensions=((pki.usage(signature=False, cert_sign=True), True),),
    )
    leaf = pki.issue("leaf", middle, pki.key_of("p256"), names=(pki.NAME,))
    for strict in (True, False):
        text = "old middle'? expired at 2025-05-31"
        refused(CERTIFICATE_EXPIRED, text, pki.trust(strict=strict), leaf, middle)


@pytest.mark.parametrize("strict", [True, False])
def test_an_unknown_authority(strict: bool) -> None:
    stranger = pki.authority("stranger")
    which = "the server's certificate" if not strict else "a public authority; .* ca_file"
    verification = pki.trust(stranger, strict=strict)
    refused(UNKNOWN_CA, f"not trusted: .*{which}", verification, pki.server_identity())


@pytest.mark.parametrize("strict", [True, False])
def test_an_authority_with_a_trusted_name_and_another_key(strict: bool) -> None:
    forger = pki.root("forger")
    leaf = pki.issue("leaf", forger, pki.key_of("p256"), names=(pki.NAME,))
    refused(UNKNOWN_CA, "not trusted", pki.trust(strict=strict), leaf)
    refused(UNKNOWN_CA, "not trusted", pki.trust(strict=strict), leaf, forger)


@pytest.mark.parametrize("strict", [True, False])
def test_a_missing_intermediate(strict: bool) -> None:
    middle = pki.authority("middle", pki.root())
    leaf = pki.issue("leaf", middle, pki.key_of("p256"), names=(pki.NAME,))
    check(pki.trust(strict=strict), leaf, middle)
    refused(UNKNOWN_CA, "not trusted", pki.trust(strict=strict), leaf)


@pytest.mark.parametrize("strict", [True, False])
def test_a_leaf_that_is_no_authority_cannot_issue(strict: bool) -> None:
    middle = pki.server_identity()
    leaf = pki.issue("leaf", middle, pki.key_of("p256", "leaf"), names=(pki.NAME,))
    text = "chain is refused" if strict else "'CN=a server' is no authority: "
    refused(BAD_CERTIFICATE, text, pki.trust(strict=strict), leaf, middle)


@pytest.mark.parametrize("strict", [True, False])
def test_an_authority_that_may_not_sign_cannot_issue(strict: bool) -> None:
    middle = pki.issue(
        "middle",
        pki.root(),
        pki.key_of("p256", "middle"),
        ca=True,
        extensions=((pki.usage(signature=True, cert_sign=False), True),),
    )
    leaf = pki.issue("leaf", middle, pki.key_of("p256"), names=(pki.NAME,))
    text = "chain is refused" if strict else "'CN=middle' may not sign certificates: its keyUsage"
    refused(BAD_CERTIFICATE, text, pki.trust(strict=strict), leaf, middle)


@pytest.mark.parametrize("strict", [True, False])
def test_a_certificate_for_clients_is_refused(strict: bool) -> None:
    leaf = pki.issue(
        "leaf",
        pki.root(),
        pki.key_of("p256"),
        names=(pki.NAME,),
        extensions=((CLIENT_PURPOSE, False),),
    )
    text = "chain is refused" if strict else "extKeyUsage lacks serverAuth"
    refused(BAD_CERTIFICATE, text, pki.trust(strict=strict), leaf)


def private_style(root_name: str) -> tuple[pki.Issued, pki.Issued]:
    """A root and a leaf as a few lines of shell make them: the extensions are not by the book."""
    root = pki.issue(root_name, None, pki.key_of("p256", root_name), ca=True, authority_key=False)
    leaf = pki.issue(
        "leaf",
        root,
        pki.key_of("p256"),
        ca=None,
        names=(pki.NAME,),
        extensions=((pki.SERVER_PURPOSE, True),),
        authority_key=False,
    )
    return root, leaf


def test_relaxed_verification_takes_home_made_authorities() -> None:
    root, leaf = private_style("home-made")
    check(pki.trust(root, strict=False), leaf)
    refused(BAD_CERTIFICATE, "chain is refused", pki.trust(root, strict=True), leaf)
    other = "other.example"
    refused(CERTIFICATE_UNKNOWN, "not for", pki.trust(root, strict=False), leaf, name=other)
    refused(UNKNOWN_CA, "not trusted", pki.trust(strict=False), leaf)


@pytest.mark.parametrize("ca", [True, False, None])
def test_relaxed_verification_takes_a_self_signed_server_that_is_its_own_root(
    ca: bool | None,
) -> None:
    own = pki.issue(pki.NAME, None, pki.key_of("p256"), ca=ca, names=(pki.NAME, "192.0.2.9"))
    relaxed = pki.trust(own, strict=False)
    check(relaxed, own)
    check(relaxed, own, name="192.0.2.9")
    refused(CERTIFICATE_UNKNOWN, "not for", relaxed, own, name="other.example")
    late = pki.NOW + 11 * pki.DAY
    refused(CERTIFICATE_EXPIRED, "expired", relaxed, own, when=late)
    twin = pki.issue(pki.NAME, None, pki.key_of("p256", "twin"), ca=ca, names=(pki.NAME,))
    refused(UNKNOWN_CA, "not trusted", relaxed, twin)


def test_strict_verification_takes_no_root_as_a_server() -> None:
    own = pki.issue(pki.NAME, None, pki.key_of("p256"), ca=True, names=(pki.NAME,))
    refused(BAD_CERTIFICATE, "chain is refused", pki.trust(own, strict=True), own)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("names", [("loop",), ("loop", "other")])
def test_a_maze_of_issuers_is_not_walked(names: tuple[str, ...], strict: bool) -> None:
    """A few certificates that could all have issued each other: every way through them costs a
    signature, and the library (version 47) would try them all, for years. No root vouches for any
    of them: with roots of the caller's own, no signature is looked at."""
    maze = [
        pki.authority(name, pki.authority(issuer))
        for name in names
        for issuer in names
        for _ in range(4)
    ]
    leaf = pki.issue("leaf", maze[0], pki.key_of("p256"), names=(pki.NAME,))
    if strict:
        refused(BAD_CERTIFICATE, "name each other", pki.trust(), leaf, *maze)
    else:
        refused(UNKNOWN_CA, "self-signed and none of your", pki.trust(strict=False), leaf, *maze)


@pytest.mark.parametrize("strict", [True, False])
def test_cross_signed_authorities_are_no_maze(strict: bool) -> None:
    """Each way there is, in any order, some of them twice, with roots that nobody trusts."""
    old = pki.authority("old root")
    others = [pki.authority("middle", pki.root()), pki.authority("middle", old)]
    others += [pki.authority("root", old), pki.root(), old]
    leaf = pki.issue(
        "leaf",
        others[0],
        pki.key_of("p256"),
        names=(pki.NAME,),
        extensions=((pki.SERVER_PURPOSE, False),),
    )
    check(pki.trust(strict=strict), leaf, *others, *others)
    check(pki.trust(strict=strict), leaf, *reversed(others))
    nobody = pki.trust(pki.root("other"), strict=strict)
    refused(UNKNOWN_CA, "not trusted", nobody, leaf, *others, *others)


def test_fingerprint() -> None:
    leaf = pki.server_identity()
    pin = FingerprintVerification(leaf.certificate.fingerprint(hashes.SHA256()))
    check(pin, leaf, name=None, when=pki.NOW + 1000 * pki.DAY)
    refused(BAD_CERTIFICATE, "fingerprint is", pin, pki.server_identity("rsa"))
    with pytest.raises(ValueError, match="32 bytes, not 20"):
        FingerprintVerification(bytes(20))


def test_no_verification_takes_everything() -> None:
    check(NoVerification(), pki.authority("whoever"), name=None)


def test_a_name_is_needed_to_check_it() -> None:
    with pytest.raises(ValueError, match="server name is needed"):
        pki.trust().check_server_name(None)
    for kind in (PublicRoots, OwnRoots):
        with pytest.raises(ValueError, match="no CA certificates"):
            kind([])
    refused(CERTIFICATE_UNKNOWN, "no server name", pki.trust(), pki.server_identity(), name=None)


def test_a_malformed_intermediate() -> None:
    der = pki.der(pki.server_identity().certificate)
    first = certificates.read_server_certificate_untrusted(der)
    with pytest.raises(BadPacketError, match="certificate 2 of the server's chain") as caught:
        pki.trust().check_untrusted(first, (der, b"0"), pki.NAME, pki.NOW)
    assert caught.value.code == CRYPTO_ERROR + BAD_CERTIFICATE


def test_a_key_that_is_not_for_signatures() -> None:
    leaf = pki.issue(
        "leaf",
        pki.root(),
        pki.key_of("p256"),
        extensions=((pki.usage(signature=False, cert_sign=False), True),),
    )
    first = certificates.read_server_certificate_untrusted(pki.der(leaf.certificate))
    with pytest.raises(BadPacketError, match="keyUsage lacks digitalSignature"):
        certificates.signing_key_untrusted(first)


LEAF = pki.der(pki.server_identity().certificate)


def signed_part(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).tbs_certificate_bytes


@settings(max_examples=250)
@given(
    st.lists(st.tuples(st.integers(0, len(LEAF) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, len(LEAF)),
    st.booleans(),
)
def test_mutated_certificates_raise_only_bad_packet_errors(
    changes: list[tuple[int, int]], cut: int, strict: bool
) -> None:
    mutated = bytearray(LEAF)
    for position, value in changes:
        mutated[position] = value
    der = bytes(mutated[:cut] if cut % 8 == 0 else mutated)
    verifications = (pki.trust(strict=strict), FingerprintVerification(bytes(32)))
    for verification in verifications:
        try:
            leaf = certificates.read_server_certificate_untrusted(der)
            certificates.signing_key_untrusted(leaf)
            verification.check_untrusted(leaf, (der, LEAF), pki.NAME, pki.NOW)
        except BadPacketError:
            continue
        # Of what is around the signed part and the signature, the library lets some bits pass.
        assert signed_part(der) == signed_part(LEAF), "a changed certificate was trusted"


def test_bits_behind_the_signature_mean_nothing() -> None:
    """The count of bits that the last byte of the signature does not use, where these are 0."""
    der = LEAF
    while der[-1] & 1:
        der = pki.der(_another_leaf().certificate)
    at = len(signed_part(der)) + 4 + 14
    assert der[at] == 0
    mutated = der[:at] + b"\x01" + der[at + 1 :]
    for trusted in (der, mutated):
        leaf = certificates.read_server_certificate_untrusted(trusted)
        pki.trust(strict=False).check_untrusted(leaf, (trusted,), pki.NAME, pki.NOW)
    assert signed_part(der) == signed_part(mutated)


def _another_leaf() -> pki.Issued:
    return pki.issue("leaf", pki.root(), pki.key_of("p256"), names=(pki.NAME,))


# --- what the caller supplies --------------------------------------------------------------------


def test_loading_authorities() -> None:
    one, two = pki.root().certificate, pki.authority("two").certificate
    pem = one.public_bytes(Encoding.PEM) + b"# comment\n" + two.public_bytes(Encoding.PEM)
    assert certificates.load_certificates(pem) == [one, two]
    assert certificates.load_certificates(one.public_bytes(Encoding.DER)) == [one]


def test_the_public_roots_load_without_a_warning() -> None:
    """certifi has a root that the library warns of, and warnings are errors here."""
    with open(certifi.where(), "rb") as file:
        bundle = file.read()
    roots = certificates.load_public_roots(bundle)
    assert len(roots) > 50
    PublicRoots(roots).check_server_name(pki.NAME)
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert certificates.load_public_roots(broken + bundle) == roots
    with pytest.raises(ValueError, match="bundle of public roots"):
        certificates.load_public_roots(broken)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"rubbish",
        b"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n",
        b"-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n",
    ],
)
def test_bad_authority_data_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="no certificates could be read"):
        certificates.load_certificates(data)


def private_pem(key: pki.Key, password: bytes | None = None) -> bytes:
    protection = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def test_loading_a_client_certificate() -> None:
    own = pki.issue("client", pki.root(), pki.key_of("p256", "client"))
    pem = own.certificate.public_bytes(Encoding.PEM) + pki.root().certificate.public_bytes(
        Encoding.PEM
    )
    chain, key = certificates.load_client_certificate(pem, private_pem(own.key))
    assert chain == (pki.der(own.certificate), pki.der(pki.root().certificate))
    assert key.public_key() == own.key.public_key()
    der_key = own.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert certificates.load_client_certificate(pem, der_key)[0] == chain
    locked = private_pem(own.key, b"secret")
    assert certificates.load_client_certificate(pem, locked, b"secret")[0] == chain
    for password in (None, b"wrong"):
        with pytest.raises(ValueError, match="private key could not be read"):
            certificates.load_client_certificate(pem, locked, password)
    with pytest.raises(ValueError, match="does not belong"):
        certificates.load_client_certificate(pem, private_pem(pki.key_of("p256", "other")))
    with pytest.raises(ValueError, match="private key could not be read"):
        certificates.load_client_certificate(pem, b"rubbish")
    weak = private_pem(rsa.generate_private_key(65537, 1024))
    with pytest.raises(ValueError, match="at least 2048 bits"):
        certificates.load_client_certificate(pem, weak)
    exchange = x25519.X25519PrivateKey.generate()
    unfit = exchange.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="must be an EC, RSA or Ed25519 key"):
        certificates.load_client_certificate(pem, unfit)
