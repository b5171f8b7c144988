"""What `trioquic check` prints of a certificate in which anything may stand."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.certificates import Certificates, Identity
from tests.cli.run import trioquic, trioquic_json
from tests.servers import aioquic_server
from tests.tls import der, pki
from tests.tls.odd_certificates import leaf, odd_chains
from trioquic.cli.certificate import UNREADABLE, describe_certificate

pytestmark = pytest.mark.plain


def test_every_odd_certificate_can_be_shown() -> None:
    unreadable = 0
    for label, chain in odd_chains():
        for certificate in (*chain, chain[0][:40], b""):
            shown = describe_certificate(certificate)
            assert list(shown) == ["subject", "names", "issuer", "not_after", "sha256"], label
            assert len(shown["sha256"]) == 64
            json.dumps(shown)
            unreadable += UNREADABLE in shown.values()
    assert unreadable > 100
    assert describe_certificate(pki.der(leaf().certificate))["names"] == [pki.NAME, "192.0.2.1"]


class Panic(BaseException):
    """What the library's Rust code raises when it panics is no Exception either."""


@pytest.mark.parametrize("error", [Panic, KeyboardInterrupt])
def test_a_panic_of_the_library_is_shown_as_well(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """An interrupt is no panic."""

    def panic(_: bytes) -> None:
        raise error

    monkeypatch.setattr(x509, "load_der_x509_certificate", panic)
    if error is Panic:
        assert describe_certificate(b"x")["subject"] == UNREADABLE
    else:
        with pytest.raises(KeyboardInterrupt):
            describe_certificate(b"x")


async def test_an_owner_that_cannot_be_read(certs: Certificates) -> None:
    """Such a name decides nothing, so the server is trusted, and the rest is shown."""
    own = pki.issue("x", None, pki.key_of("p256"), names=("127.0.0.1",))
    odd = der.forge(own, own, der.put(der.SUBJECT, der.name(der.T61, b"caf\xe9")))
    files = certs.directory / "odd.pem", certs.directory / "odd.key"
    files[0].write_bytes(
        x509.load_der_x509_certificate(odd).public_bytes(serialization.Encoding.PEM)
    )
    files[1].write_bytes(
        own.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    identity = Identity(cert_file=files[0], key_file=files[1])
    async with aioquic_server(identity) as server:
        where = (f"127.0.0.1:{server.port}", "--insecure", "--alpn", "hq-interop")
        found = await trioquic_json("check", *where)
        table = await trioquic("check", *where)
    assert found["certificate"]["subject"] == UNREADABLE
    assert found["certificate"]["names"] == ["127.0.0.1"]
    assert table.exit_code == 0
    assert "127.0.0.1, until 2025-06-11" in table.stdout
    assert table.stderr == ""
