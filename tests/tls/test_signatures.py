"""CertificateVerify: every kind of key with every scheme, and only the fitting ones pass."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tls import pki
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError
from trioquic._protocol.tls import signatures

FITTING = {
    "p256": {0x0403},
    "p384": {0x0503},
    "ed25519": {0x0807},
    "rsa": {0x0804, 0x0805, 0x0806},
}
DIGEST = bytes(range(32))


@pytest.mark.parametrize("scheme", signatures.OFFERED_SCHEMES)
@pytest.mark.parametrize("kind", FITTING)
def test_schemes_and_keys(kind: str, scheme: int) -> None:
    key = pki.key_of(kind)
    if scheme not in FITTING[kind]:
        assert signatures.choose_scheme(key, (scheme,)) is None
        with pytest.raises(BadPacketError, match="scheme") as caught:
            signatures.verify_untrusted(key.public_key(), scheme, bytes(64), DIGEST)
        assert caught.value.code == CRYPTO_ERROR + 47
        return
    assert signatures.choose_scheme(key, (0x0201, scheme)) == scheme
    # ours are made in the client's name, so they must not pass as a server's
    signature = signatures.sign(key, scheme, DIGEST)
    with pytest.raises(BadPacketError, match="does not hold the key") as caught:
        signatures.verify_untrusted(key.public_key(), scheme, signature, DIGEST)
    assert caught.value.code == CRYPTO_ERROR + 51


@pytest.mark.parametrize("scheme", [0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x0603, 0x0808])
def test_schemes_that_are_not_for_handshakes(scheme: int) -> None:
    with pytest.raises(BadPacketError, match="not for CertificateVerify"):
        signatures.verify_untrusted(pki.key_of("rsa").public_key(), scheme, bytes(256), DIGEST)


def test_another_curve_fits_nothing() -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    assert signatures.choose_scheme(key, signatures.OFFERED_SCHEMES) is None
