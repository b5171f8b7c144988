"""What pyproject.toml says is true of the code and of the installed dependencies."""

import importlib.metadata
import tomllib
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder

import trioquic

ROOT = Path(__file__).parent.parent


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert trioquic.__version__ == project["version"]
    assert importlib.metadata.version("trioquic") == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_what_checks_the_types_is_what_compiles() -> None:
    """One version, pinned in both places: another mypyc makes another program of this source."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = [
        [need for need in needs if need.startswith("mypy")]
        for needs in (
            settings["build-system"]["requires"],
            settings["project"]["optional-dependencies"]["dev"],
        )
    ]
    assert pins[0] == pins[1]
    assert len(pins[0]) == 1
    assert pins[0][0].startswith("mypy==")


def test_cryptography_has_what_its_floor_promises() -> None:
    for aead in (AESGCM(bytes(16)), ChaCha20Poly1305(bytes(32))):
        sealed = bytearray(5 + 16)
        aead.encrypt_into(bytes(12), b"hello", None, sealed)
        opened = bytearray(5)
        aead.decrypt_into(bytes(12), bytes(sealed), None, opened)
        assert opened == b"hello"
    masks = Cipher(algorithms.ChaCha20(bytes(32), bytes(16)), mode=None).encryptor()
    first = masks.update(bytes(5))
    masks.reset_nonce(bytes(16))
    assert masks.update(bytes(5)) == first
    assert len(HKDF.extract(hashes.SHA256(), b"salt", b"key")) == 32
    assert hasattr(mlkem.MLKEM768PrivateKey, "decapsulate")
    assert hasattr(PolicyBuilder, "extension_policies")
    assert hasattr(ExtensionPolicy, "webpki_defaults_ee")
    assert hasattr(Criticality, "AGNOSTIC")
