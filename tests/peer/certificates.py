"""Certificates for the scripted peer, made once a process with trustme."""

import datetime
from dataclasses import dataclass
from functools import cache

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

SERVER_NAME = "server.test"
WALL_TIME = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Identity:
    """A chain in DER, leaf first, and the leaf's key."""

    chain: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey


@cache
def authority(number: int = 0) -> trustme.CA:
    """One of several unrelated test authorities."""
    return trustme.CA(organization_name=f"authority {number}")


@cache
def root(number: int = 0) -> x509.Certificate:
    """What a client that trusts this authority is given."""
    return x509.load_pem_x509_certificate(authority(number).cert_pem.bytes())


@cache
def identity(name: str = SERVER_NAME, number: int = 0, expired: bool = False) -> Identity:
    """A server certificate for `name` signed by authority `number`."""
    not_after = WALL_TIME - datetime.timedelta(days=1) if expired else None
    not_before = WALL_TIME - datetime.timedelta(days=30)
    leaf = authority(number).issue_cert(name, not_before=not_before, not_after=not_after)
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    chain = tuple(
        x509.load_pem_x509_certificate(blob.bytes()).public_bytes(Encoding.DER)
        for blob in leaf.cert_chain_pems
    )
    return Identity(chain, key)
