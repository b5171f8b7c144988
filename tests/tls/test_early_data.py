"""Early data in TLS (RFC 8446 section 4.2.10, RFC 9001 section 4.6): when it is offered, with which
secret, and what a server may make of the offer."""

import dataclasses

import pytest
from aioquic._buffer import Buffer
from aioquic.tls import pull_client_hello

from tests.peer import tls_server as peer
from tests.tls import pki
from tests.tls.scripted import (
    ILLEGAL_PARAMETER,
    RETRY,
    SHARE,
    UNSUPPORTED_EXTENSION,
    VERSION,
    extension,
    hello,
    message,
)
from tests.tls.test_resumption import PRE_SHARED_KEY, SUITES, first_session, server_with
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError
from trioquic._protocol.space import HANDSHAKE, INITIAL, ZERO_RTT
from trioquic._protocol.tls.client import TlsClient
from trioquic._protocol.tls.state import EarlyData

EARLY_DATA = 42
RESUMED = hello(VERSION + SHARE + extension(PRE_SHARED_KEY, b"\0\0"))


def encrypted_extensions(early: bytes | None, alpn: bytes = b"h3") -> bytes:
    found = extension(16, peer.opaque(2, peer.opaque(1, alpn)))
    found += extension(0x39, pki.SERVER_PARAMETERS)
    if early is not None:
        found += extension(EARLY_DATA, early)
    return message(peer.ENCRYPTED_EXTENSIONS, peer.opaque(2, found))


def hellos(client: TlsClient) -> bool:
    """Whether the ClientHello in the output offers early data."""
    ((_, data),) = client.take_output()
    return pull_client_hello(Buffer(data=data)).early_data


def offering(**more: object) -> TlsClient:
    client = pki.make_client(resumption=first_session()[0], early_data=True, **more)  # type: ignore[arg-type]
    client.start()
    assert client.early_data is EarlyData.OFFERED
    return client


@pytest.mark.parametrize("suite", SUITES)
def test_both_sides_have_the_same_secret(suite: int) -> None:
    lines: list[str] = []
    resumption, ticket = first_session(suite)
    client = pki.make_client(resumption=resumption, early_data=True, keylog=lines.append)
    server = server_with(ticket, suite)
    pki.run_with_aioquic(client, server)
    assert client.early_data is EarlyData.ACCEPTED
    assert server.context.early_data_accepted
    secret = client.take_early_secret()
    assert secret == server.secrets[ZERO_RTT, False]
    assert client.early_cipher_suite == suite
    [line] = [line for line in lines if line.startswith("CLIENT_EARLY_TRAFFIC_SECRET ")]
    assert line.endswith(f" {secret.hex()}")


def test_a_server_that_has_forgotten_refuses() -> None:
    client = pki.make_client(resumption=first_session()[0], early_data=True)
    pki.run_with_aioquic(client, server_with(None))
    assert client.complete
    assert client.early_data is EarlyData.REJECTED


@pytest.mark.parametrize(
    ("change", "wanted", "alpn", "offered"),
    [
        ({}, True, ("h3",), True),
        ({}, True, ("other", "h3"), True),
        ({}, False, ("h3",), False),
        ({"early_data": False}, True, ("h3",), False),
        # a server answers in the ticket's protocol, or refuses
        ({}, True, ("other",), False),
        # nothing to resume at all
        ({"expires_at": 0.0}, True, ("h3",), False),
        ({"peer_certificates": ()}, True, ("h3",), False),
    ],
)
def test_when_it_is_offered(
    change: dict[str, object], wanted: bool, alpn: tuple[str, ...], offered: bool
) -> None:
    resumption = dataclasses.replace(first_session()[0], **change)  # type: ignore[arg-type]
    client = pki.make_client(resumption=resumption, early_data=wanted, alpn=alpn)
    client.start()
    assert hellos(client) is offered
    assert client.early_data is (EarlyData.OFFERED if offered else EarlyData.NONE)
    assert (client.take_early_secret() != b"") is offered


def test_a_hello_retry_request_ends_it() -> None:
    """Section 4.1.2: the second ClientHello has none, so no server can accept any."""
    client = offering()
    assert hellos(client)
    client.receive_untrusted(INITIAL, hello(VERSION + extension(51, b"\0\x17"), random=RETRY))
    assert client.early_data is EarlyData.REJECTED
    assert not hellos(client)


@pytest.mark.parametrize(
    ("early", "expected"), [(b"", EarlyData.ACCEPTED), (None, EarlyData.REJECTED)]
)
def test_the_server_says_so_in_encrypted_extensions(
    early: bytes | None, expected: EarlyData
) -> None:
    client = offering()
    client.receive_untrusted(INITIAL, RESUMED)
    client.receive_untrusted(HANDSHAKE, encrypted_extensions(early))
    assert client.early_data is expected


@pytest.mark.parametrize(
    ("answer", "extensions", "alert"),
    [
        # not resumed
        (hello(VERSION + SHARE), encrypted_extensions(b""), ILLEGAL_PARAMETER),
        # of the same hash function, but another suite
        (
            hello(VERSION + SHARE + extension(PRE_SHARED_KEY, b"\0\0"), suite=b"\x13\x03"),
            encrypted_extensions(b""),
            ILLEGAL_PARAMETER,
        ),
        (RESUMED, encrypted_extensions(b"", b"other"), ILLEGAL_PARAMETER),
        (RESUMED, encrypted_extensions(b"\0"), ILLEGAL_PARAMETER),
    ],
)
def test_what_cannot_be_accepted(answer: bytes, extensions: bytes, alert: int) -> None:
    client = offering(alpn=("h3", "other"))
    client.receive_untrusted(INITIAL, answer)
    with pytest.raises(BadPacketError) as caught:
        client.receive_untrusted(HANDSHAKE, extensions)
    assert caught.value.code == CRYPTO_ERROR + alert
    assert client.early_data is not EarlyData.ACCEPTED


def test_what_was_not_offered_cannot_be_accepted() -> None:
    client = pki.make_client(resumption=first_session()[0])
    client.start()
    client.receive_untrusted(INITIAL, RESUMED)
    with pytest.raises(BadPacketError) as caught:
        client.receive_untrusted(HANDSHAKE, encrypted_extensions(b""))
    assert caught.value.code == CRYPTO_ERROR + UNSUPPORTED_EXTENSION
