"""Certificate authorities are read again for each connection, but not made anew."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.certificates import Certificates
from trioquic import TLSConfig
from trioquic._protocol.tls.own_roots import OwnRoots
from trioquic._protocol.tls.public_roots import PublicRoots
from trioquic._runtime.opening import credentials


def roots_of(config: TLSConfig) -> PublicRoots | OwnRoots:
    verification = credentials.load_tls(config, "server.example", ("h3",)).verification
    assert isinstance(verification, (PublicRoots, OwnRoots))
    return verification


def trust_in(config: TLSConfig) -> str:
    return credentials.trust_of(credentials.load_tls(config, "server.example", ("h3",)))


def test_connections_share_what_the_same_file_says() -> None:
    first, second = roots_of(TLSConfig()), roots_of(TLSConfig())
    assert first is second
    assert isinstance(first, PublicRoots)
    data = trustme.CA().cert_pem.bytes()
    assert roots_of(TLSConfig(ca_data=data)) is roots_of(TLSConfig(ca_data=data))


def test_a_file_that_changes_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    config = TLSConfig(ca_file=path)
    found = []
    for _ in range(2):
        path.write_bytes(trustme.CA().cert_pem.bytes())
        found.append(roots_of(config))
    assert found[0].roots != found[1].roots
    assert isinstance(found[0], OwnRoots)


def test_a_bounded_number_of_authorities_is_kept() -> None:
    for _ in range(2 * credentials._MOST_SETS):
        roots_of(TLSConfig(ca_data=trustme.CA().cert_pem.bytes()))
    assert credentials._own_roots.cache_info().currsize == credentials._MOST_SETS


def test_trust_is_what_makes_a_server_trusted(certs: Certificates) -> None:
    """A session that one of them began must not be resumed by another."""
    pem = certs.ca_file.read_bytes()
    other = trustme.CA().cert_pem.bytes()
    identity = certs.client
    configs = [
        TLSConfig(),
        TLSConfig(verify=False),
        TLSConfig(ca_data=pem),
        TLSConfig(ca_data=other),
        TLSConfig(ca_data=pem + other),
        TLSConfig(fingerprint=bytes(32)),
        TLSConfig(fingerprint=bytes(31) + b"1"),
        TLSConfig(ca_data=pem, client_cert=identity.cert_file, client_key=identity.key_file),
        TLSConfig(client_cert=identity.cert_file, client_key=identity.key_file),
    ]
    assert len({trust_in(config) for config in configs}) == len(configs)


def test_the_same_trust_is_recognized_whatever_it_came_from(certs: Certificates) -> None:
    pem = certs.ca_file.read_bytes()
    assert trust_in(TLSConfig(ca_file=certs.ca_file)) == trust_in(TLSConfig(ca_data=pem))
    fewer = TLSConfig(cipher_suites=["TLS_AES_128_GCM_SHA256"], groups=["x25519"])
    assert trust_in(fewer) == trust_in(TLSConfig())


def test_trust_in_a_file_follows_its_content(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    found = set()
    for _ in range(2):
        path.write_bytes(trustme.CA().cert_pem.bytes())
        found.add(trust_in(TLSConfig(ca_file=path)))
    assert len(found) == 2


class BytesPath:
    """A path that Python knows, and pathlib does not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> bytes:
        return bytes(self.path)


@pytest.mark.parametrize("field", ["ca_file", "client_cert", "client_key"])
def test_a_file_is_named_as_it_was_given(certs: Certificates, field: str) -> None:
    given: dict[str, Any] = {
        "client_cert": certs.client.cert_file,
        "client_key": certs.client.key_file,
        field: "./none.pem",
    }
    with pytest.raises(FileNotFoundError) as caught:
        trust_in(TLSConfig(**given))
    assert caught.value.filename == "./none.pem"


def test_a_path_of_bytes(certs: Certificates) -> None:
    given: Any = BytesPath(certs.ca_file)
    assert trust_in(TLSConfig(ca_file=given)) == trust_in(TLSConfig(ca_file=certs.ca_file))
