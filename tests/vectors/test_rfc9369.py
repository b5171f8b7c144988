"""RFC 9369 appendix A: the keys of QUIC version 2."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from trioquic._protocol.crypto.keys import (
    _expand_label,
    _label,
    initial_secrets,
)
from trioquic._protocol.crypto.retry import retry_is_authentic, retry_tag
from trioquic._protocol.wire.packets import RETRY_PACKET, parse_long_header_untrusted
from trioquic._protocol.wire.versions import VERSION_1, VERSION_2

DCID = bytes.fromhex("8394c8f03e515708")
CLIENT = "14ec9d6eb9fd7af83bf5a668bc17a7e283766aade7ecd0891f70f9ff7f4bf47b"
SERVER = "0263db1782731bf4588e7e4d93b7463907cb8cd8200b5da55a8bd488eafc37c1"
RETRY = "cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6"


def expanded(secret: str, name: bytes, size: int) -> str:
    keyed = HMAC(bytes.fromhex(secret), hashes.SHA256())
    return _expand_label(keyed, _label(name, VERSION_2), size).hex()


def test_initial_keys() -> None:
    """A.1"""
    client, server = initial_secrets(DCID, VERSION_2)
    assert (client.hex(), server.hex()) == (CLIENT, SERVER)
    assert expanded(CLIENT, b"key", 16) == "8b1a0bc121284290a29e0971b5cd045d"
    assert expanded(CLIENT, b"iv", 12) == "91f73e2351d8fa91660e909f"
    assert expanded(CLIENT, b"hp", 16) == "45b95e15235d6f45a6b19cbcb0294ba9"
    assert expanded(SERVER, b"key", 16) == "82db637861d55e1d011f19ea71d5d2a7"
    assert expanded(SERVER, b"iv", 12) == "dd13c276499c0249d3310652"
    assert expanded(SERVER, b"hp", 16) == "edf6d05c83121201b436e16877593c3a"


def test_retry() -> None:
    """A.4"""
    packet = bytes.fromhex(RETRY)
    header = parse_long_header_untrusted(packet, 0)
    assert (header.kind, header.version, header.token) == (RETRY_PACKET, VERSION_2, b"token")
    assert retry_tag(DCID, packet[:-16], VERSION_2) == packet[-16:]
    assert retry_is_authentic(DCID, packet[:-16], header.integrity_tag, VERSION_2)
    assert not retry_is_authentic(DCID, packet[:-16], header.integrity_tag, VERSION_1)


def test_chacha20_key_update() -> None:
    """A.5"""
    secret = "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b"
    assert expanded(secret, b"key", 32) == (
        "3bfcddd72bcf02541d7fa0dd1f5f9eeea817e09a6963a0e6c7df0f9a1bab90f2"
    )
    assert expanded(secret, b"iv", 12) == "a6b5bc6ab7dafce30ffff5dd"
    assert expanded(secret, b"hp", 32) == (
        "d659760d2ba434a226fd37b35c69e2da8211d10c4f12538787d65645d5d1b8e2"
    )
    assert expanded(secret, b"ku", 32) == (
        "c69374c49e3d2a9466fa689e49d476db5d0dfbc87d32ceeaa6343fd0ae4c7d88"
    )
