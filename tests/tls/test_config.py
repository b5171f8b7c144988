"""Bad wishes are refused before anything is sent."""

import pytest

from tests.tls import pki
from trioquic._protocol.tls.config import TlsClientConfig
from trioquic._protocol.tls.verify import NoVerification


def make(server_name: str | None = pki.NAME, alpn: tuple[str, ...] = ("h3",)) -> TlsClientConfig:
    return TlsClientConfig(server_name, alpn, NoVerification())


@pytest.mark.parametrize(
    ("given_name", "kept", "sni"),
    [
        ("host.example", "host.example", b"host.example"),
        ("host.example.", "host.example", b"host.example"),
        ("localhost", "localhost", b"localhost"),
        ("192.0.2.1", "192.0.2.1", b""),
        ("fe80::1%eth0", "fe80::1", b""),
        (None, None, b""),
    ],
)
def test_server_names(given_name: str | None, kept: str | None, sni: bytes) -> None:
    config = make(given_name)
    assert (config.server_name, config.sni) == (kept, sni)


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "bücher.example", "x" * 64 + ".example", "a." * 127 + "b", "a b", "a\n.b"],
)
def test_bad_server_names(name: str) -> None:
    with pytest.raises(ValueError, match="server name"):
        make(name)


@pytest.mark.parametrize("alpn", [(), ("",), ("h3", ""), ("x" * 256,), ("y" * 255,) * 257])
def test_bad_alpn(alpn: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"(?i)alpn"):
        make(alpn=alpn)


def test_verification_sees_the_name_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="server name is needed"):
        TlsClientConfig(None, ("h3",), pki.trust())
    with pytest.raises(ValueError, match="no certificate can name"):
        TlsClientConfig("-.-", ("h3",), pki.trust())
