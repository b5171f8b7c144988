"""Bad answers to the ClientHello: each gets its alert."""

import pytest

from tests.peer import tls_server as peer
from tests.tls import pki
from tests.tls.scripted import (
    DECODE_ERROR,
    ILLEGAL_PARAMETER,
    MISSING_EXTENSION,
    PROTOCOL_VERSION,
    RETRY,
    SHARE,
    UNEXPECTED_MESSAGE,
    UNSUPPORTED_EXTENSION,
    VERSION,
    extension,
    hello,
    message,
    opaque,
    refused,
    rewriting,
)
from trioquic._protocol.errors import CRYPTO_ERROR, PROTOCOL_VIOLATION, BadPacketError
from trioquic._protocol.space import INITIAL
from trioquic._protocol.tls.key_exchange import make_key_share
from trioquic._protocol.tls.state import TlsState

SERVER_HELLOS: dict[str, tuple[bytes, int, str]] = {
    "TLS 1.2": (hello(SHARE), PROTOCOL_VERSION, "TLS 1.3"),
    "TLS 1.2 without extensions": (
        message(peer.SERVER_HELLO, b"\x03\x03" + bytes(32) + b"\x00\x13\x01\x00"),
        PROTOCOL_VERSION,
        "TLS 1.3",
    ),
    "downgraded to 1.2": (
        hello(b"", random=bytes(24) + b"DOWNGRD\x01"),
        ILLEGAL_PARAMETER,
        "downgraded",
    ),
    "downgraded to 1.1": (
        hello(b"", random=bytes(24) + b"DOWNGRD\x00"),
        ILLEGAL_PARAMETER,
        "downgraded",
    ),
    "version 0x0303 selected": (
        hello(extension(43, b"\x03\x03") + SHARE),
        ILLEGAL_PARAMETER,
        "version",
    ),
    "legacy version": (hello(VERSION + SHARE, version=b"\x03\x04"), ILLEGAL_PARAMETER, "version"),
    "session ID": (hello(VERSION + SHARE, session=b"s"), ILLEGAL_PARAMETER, "session ID"),
    "compression": (hello(VERSION + SHARE, compression=b"\x01"), ILLEGAL_PARAMETER, "compression"),
    "suite not offered": (hello(VERSION + SHARE, suite=b"\x13\x04"), ILLEGAL_PARAMETER, "0x1304"),
    "no key share": (hello(VERSION), MISSING_EXTENSION, "key_share"),
    "group not shared": (
        hello(VERSION + extension(51, b"\x00\x17" + opaque(2, b"\x04" + bytes(64)))),
        ILLEGAL_PARAMETER,
        "group 0x0017",
    ),
    "zero key share": (
        hello(VERSION + extension(51, b"\x00\x1d" + opaque(2, bytes(32)))),
        ILLEGAL_PARAMETER,
        "X25519",
    ),
    "short key share": (
        hello(VERSION + extension(51, b"\x00\x1d" + opaque(2, b"\x09" * 31))),
        ILLEGAL_PARAMETER,
        "X25519",
    ),
    "key share with a tail": (
        hello(VERSION + extension(51, b"\x00\x1d" + opaque(2, b"\x09" * 32) + b"x")),
        DECODE_ERROR,
        "1 bytes too many",
    ),
    "ALPN in the clear": (
        hello(VERSION + SHARE + extension(16, opaque(2, opaque(1, b"h3")))),
        ILLEGAL_PARAMETER,
        "extension 16",
    ),
    "cookie": (
        hello(VERSION + SHARE + extension(44, opaque(2, b"c"))),
        UNSUPPORTED_EXTENSION,
        "extension 44",
    ),
    "pre_shared_key": (
        hello(VERSION + SHARE + extension(41, b"\x00\x00")),
        UNSUPPORTED_EXTENSION,
        "extension 41",
    ),
    "unknown extension": (
        hello(VERSION + SHARE + extension(0x4242, b"")),
        UNSUPPORTED_EXTENSION,
        "extension 16962",
    ),
    "extension twice": (hello(VERSION + SHARE + SHARE), ILLEGAL_PARAMETER, "51 twice"),
    "truncated extension": (hello(VERSION + SHARE[:-1]), DECODE_ERROR, "truncated"),
    "bytes after the extensions": (
        message(peer.SERVER_HELLO, hello(VERSION + SHARE)[4:] + b"x"),
        DECODE_ERROR,
        "too many",
    ),
    "retry that changes nothing": (
        hello(VERSION, random=RETRY),
        ILLEGAL_PARAMETER,
        "change nothing",
    ),
    "retry for the group already shared": (
        hello(VERSION + extension(51, b"\x00\x1d"), random=RETRY),
        ILLEGAL_PARAMETER,
        "0x001d",
    ),
    "retry for a group not offered": (
        hello(VERSION + extension(51, b"\x00\x19"), random=RETRY),
        ILLEGAL_PARAMETER,
        "0x0019",
    ),
    "retry with an empty cookie": (
        hello(VERSION + extension(44, opaque(2, b"")), random=RETRY),
        DECODE_ERROR,
        "too short",
    ),
    "retry with ALPN": (
        hello(VERSION + extension(51, b"\x00\x17") + extension(16, b""), random=RETRY),
        ILLEGAL_PARAMETER,
        "extension 16",
    ),
    "retry for another version": (
        hello(extension(43, b"\x03\x05") + extension(51, b"\x00\x17"), random=RETRY),
        ILLEGAL_PARAMETER,
        "version",
    ),
    "no ServerHello": (message(peer.FINISHED, bytes(32)), UNEXPECTED_MESSAGE, "Finished"),
    "unknown message": (message(99, b""), UNEXPECTED_MESSAGE, "message 99"),
}


@pytest.mark.parametrize("name", SERVER_HELLOS)
def test_server_hello(name: str) -> None:
    data, alert, text = SERVER_HELLOS[name]
    client = pki.make_client()
    client.start()
    client.take_output()
    with pytest.raises(BadPacketError, match=text) as caught:
        client.receive_untrusted(INITIAL, data)
    assert caught.value.code == CRYPTO_ERROR + alert
    assert client.state is TlsState.FAILED
    assert client.take_output() == [] and client.take_secrets() == []


def test_more_after_server_hello() -> None:
    """RFC 9001 section 4.1.3: what is left when the keys change is no alert's affair."""
    client = pki.make_client()
    client.start()
    more = message(peer.ENCRYPTED_EXTENSIONS, b"\x00\x00")
    with pytest.raises(BadPacketError, match="more after ServerHello") as caught:
        client.receive_untrusted(INITIAL, hello(VERSION + SHARE) + more)
    assert caught.value.code == PROTOCOL_VIOLATION
    assert client.state is TlsState.FAILED
    assert client.take_secrets() == []


def test_a_second_hello_retry_request() -> None:
    script = peer.TlsScript(retry_group=0x0017, hello_retries=2)
    refused(script, UNEXPECTED_MESSAGE, "HelloRetryRequest")


def test_another_suite_after_the_hello_retry_request() -> None:
    def change(data: bytes) -> bytes:
        return data[:39] + b"\x13\x03" + data[41:]

    script = rewriting("server_hello", change, retry_group=0x0017)
    refused(script, ILLEGAL_PARAMETER, "changes the cipher suite")


def test_another_group_after_the_hello_retry_request() -> None:
    def change(data: bytes) -> bytes:
        return hello(VERSION + SHARE)

    script = rewriting("server_hello", change, retry_group=0x0017)
    refused(script, ILLEGAL_PARAMETER, "answers with group 0x001d")


@pytest.mark.parametrize("group", [0x0017, 0x0018])
@pytest.mark.parametrize("kind", ["off the curve", "compressed", "empty point", "too long"])
def test_bad_points(group: int, kind: str) -> None:
    size = 32 if group == 0x0017 else 48
    good = make_key_share(group, pki.seeded(5)).public
    bad = {
        "off the curve": good[:-1] + bytes([good[-1] ^ 1]),
        "compressed": bytes([2 + good[-1] % 2]) + good[1 : 1 + size],
        "empty point": b"\x00",
        "too long": good + b"\x00",
    }[kind]
    share = make_key_share(group, pki.seeded())
    assert share.shared_secret_untrusted(good)
    with pytest.raises(BadPacketError, match="no point") as caught:
        share.shared_secret_untrusted(bad)
    assert caught.value.code == CRYPTO_ERROR + ILLEGAL_PARAMETER
