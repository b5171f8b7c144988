"""Certificate authorities are read again for each connection, but not made anew."""

from pathlib import Path

import trustme

from trioquic import TLSConfig
from trioquic._protocol.tls.verify import CaVerification
from trioquic._runtime import credentials


def roots_of(config: TLSConfig) -> CaVerification:
    verification = credentials.load_tls(config, "server.example", ("h3",)).verification
    assert isinstance(verification, CaVerification)
    return verification


def test_connections_share_what_the_same_file_says() -> None:
    first, second = roots_of(TLSConfig()), roots_of(TLSConfig())
    assert first is second
    assert first.strict
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
    assert not found[0].strict


def test_a_bounded_number_of_authorities_is_kept() -> None:
    for _ in range(2 * credentials._MOST_SETS):
        roots_of(TLSConfig(ca_data=trustme.CA().cert_pem.bytes()))
    assert credentials._own_roots.cache_info().currsize == credentials._MOST_SETS
