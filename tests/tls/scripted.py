"""Handshakes with servers that follow a script, and what must be true when one is refused."""

import zlib
from collections.abc import Callable

import pytest

from tests.peer import tls_server as peer
from tests.peer.certificates import identity
from tests.tls import pki
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL
from trioquic._protocol.tls.client import TlsClient
from trioquic._protocol.tls.state import TlsState

UNEXPECTED_MESSAGE, BAD_CERTIFICATE, ILLEGAL_PARAMETER = 10, 42, 47
DECODE_ERROR, DECRYPT_ERROR, PROTOCOL_VERSION = 50, 51, 70
MISSING_EXTENSION, UNSUPPORTED_EXTENSION, NO_APPLICATION_PROTOCOL = 109, 110, 120

message, opaque, extension = peer.message, peer.opaque, peer.extension
Change = Callable[[bytes], bytes]


def run(client: TlsClient, script: peer.TlsScript) -> None:
    """Handshake until the client has nothing more to say, or raises."""
    server = peer.TlsServer(script)
    client.start()
    while output := client.take_output():
        for level, data in output:
            server.receive(level, data)
        answers, server.output = server.output, []
        for level, data in answers:
            client.receive_untrusted(level, data)


def refused(script: peer.TlsScript, alert: int, text: str) -> TlsClient:
    """The handshake fails with the alert and leaves nothing behind that could be used."""
    client = pki.make_client()
    with pytest.raises(BadPacketError, match=text) as caught:
        run(client, script)
    assert caught.value.code == CRYPTO_ERROR + alert
    assert caught.value.frame_type == 0x06
    assert caught.value.reason
    assert client.state is TlsState.FAILED and not client.complete
    assert all(secret.level == HANDSHAKE for secret in client.take_secrets())
    for level in (INITIAL, HANDSHAKE, APPLICATION):
        client.receive_untrusted(level, b"not looked at any more")
    assert client.take_output() == []
    return client


def rewriting(name: str, change: Change, **more: object) -> peer.TlsScript:
    def rewrite(seen: str, data: bytes) -> bytes:
        return change(data) if seen == name else data

    script = peer.TlsScript(rewrite=rewrite)
    for key, value in more.items():
        assert hasattr(script, key)
        setattr(script, key, value)
    return script


def hello(
    extensions: bytes,
    version: bytes = b"\x03\x03",
    random: bytes = b"\x5a" * 32,
    session: bytes = b"",
    suite: bytes = b"\x13\x01",
    compression: bytes = b"\x00",
) -> bytes:
    body = version + random + opaque(1, session) + suite + compression + opaque(2, extensions)
    return message(peer.SERVER_HELLO, body)


VERSION = extension(43, b"\x03\x04")
SHARE = extension(51, b"\x00\x1d" + opaque(2, b"\x09" + bytes(31)))
RETRY = peer.HELLO_RETRY_RANDOM
OCSP, TIMESTAMPS = 5, 18  # extensions of a certificate


def compressed(
    data: bytes, algorithm: int = 1, size: int | None = None, content: bytes | None = None
) -> bytes:
    """The CompressedCertificate for the message `data`."""
    body = data[4:]
    declared = len(body) if size is None else size
    content = zlib.compress(body) if content is None else content
    whole = algorithm.to_bytes(2, "big") + declared.to_bytes(3, "big") + opaque(3, content)
    return message(peer.COMPRESSED_CERTIFICATE, whole)


def stapling(first: bytes, second: bytes = b"") -> Change:
    """The server's chain of two, with these extensions at its entries."""

    def change(data: bytes) -> bytes:
        entries = opaque(3, identity().chain[0]) + opaque(2, first)
        entries += opaque(3, pki.der(pki.root().certificate)) + opaque(2, second)
        return message(peer.CERTIFICATE, opaque(1, b"") + opaque(3, entries))

    return change


def ocsp(response: bytes, kind: bytes = b"\x01") -> bytes:
    return extension(OCSP, kind + opaque(3, response))
