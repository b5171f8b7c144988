"""Makes a simulated connection repeatable to the last byte: one seed for every source of chance.

The simulated network seeds its links and trio's scheduler itself. What is left are the endpoints:
both take random bytes from `os.urandom`, aioquic lets `cryptography` make its X25519 key and the
key of its Retry tokens, and serves streams in an order that depends on their addresses in memory.
The server's certificate is made from constants and signed with Ed25519, whose signatures have no
random part, so that the sizes of its messages never vary between two runs or two machines.
"""

import datetime
import functools
import os
import random
import types
from collections.abc import Iterator
from contextlib import contextmanager

import aioquic.quic.retry
import aioquic.tls
import pytest
from aioquic.quic.stream import QuicStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

from tests.sim_server import Credentials

FIRST_DAY = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
LAST_DAY = datetime.datetime(3000, 1, 1, tzinfo=datetime.UTC)


@contextmanager
def seeded_randomness(seed: str) -> Iterator[None]:
    """Both endpoints draw from one generator with this seed while the block runs."""
    generator = random.Random(seed)

    def new_private_key() -> x25519.X25519PrivateKey:
        return x25519.X25519PrivateKey.from_private_bytes(generator.randbytes(32))

    def token_cipher(key: bytes) -> AESGCM:
        return AESGCM(generator.randbytes(len(key)))

    token_cipher.generate_key = AESGCM.generate_key  # type: ignore[attr-defined]
    private_key = types.SimpleNamespace(generate=new_private_key)
    module = types.SimpleNamespace(
        X25519PrivateKey=private_key, X25519PublicKey=x25519.X25519PublicKey
    )

    def stream_hash(stream: QuicStream) -> int:
        return stream.stream_id or 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuicStream, "__hash__", stream_hash)
        patch.setattr(os, "urandom", generator.randbytes)
        patch.setattr(aioquic.tls, "x25519", module)
        # Older releases of aioquic do it otherwise: then runs with Retry differ in the token.
        patch.setattr(aioquic.quic.retry, "AESGCM", token_cipher, raising=False)
        yield


@functools.cache
def credentials(extra: int) -> Credentials:
    """A server's certificate that the client knows by its fingerprint, followed by `extra` bytes of
    certificates that lead nowhere: ballast for the handshake."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    leaf = _certificate(key, 1, 0)
    chain = (leaf,) if extra == 0 else (leaf, _certificate(key, 2, extra))
    return Credentials(chain=chain, key=key, ca_pem=b"")


def fingerprint() -> bytes:
    """Of the server's certificate."""
    return credentials(0).chain[0].fingerprint(hashes.SHA256())


def _certificate(key: Ed25519PrivateKey, serial: int, ballast: int) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.example")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(FIRST_DAY)
        .not_valid_after(LAST_DAY)
    )
    if ballast:
        unknown = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), bytes(ballast)
        )
        builder = builder.add_extension(unknown, critical=False)
    return builder.sign(key, None)
