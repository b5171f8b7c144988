"""Resumed sessions: with aioquic's server, which checks the binder, and with servers that cheat."""

import dataclasses
import hashlib

import pytest
from aioquic import tls as aioquic_tls
from aioquic._buffer import Buffer
from aioquic.tls import CipherSuite, KeySchedule, pull_client_hello
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import tls_server as peer
from tests.tls import pki
from tests.tls.scripted import (
    ILLEGAL_PARAMETER,
    RETRY,
    SHARE,
    UNEXPECTED_MESSAGE,
    UNSUPPORTED_EXTENSION,
    VERSION,
    extension,
    hello,
    message,
)
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError
from trioquic._protocol.space import HANDSHAKE, INITIAL
from trioquic._protocol.tls.client import TlsClient
from trioquic._protocol.tls.resumption import Resumption
from trioquic._protocol.tls.verify import FingerprintVerification, NoVerification

PRE_SHARED_KEY = 41
START = pki.NOW.timestamp()
SUITES = (0x1301, 0x1302, 0x1303)


def first_session(suite: int = 0x1301) -> tuple[Resumption, aioquic_tls.SessionTicket]:
    """A full handshake, and what both sides keep of it."""
    client = pki.make_client(pki.trust())
    server = pki.AioquicServer(pki.server_identity(), cipher_suite=suite, tickets=True)
    pki.run_with_aioquic(client, server)
    assert not client.resumed
    (ticket,) = client.tickets.take()
    return client.resume_with(ticket, START, b""), server.ticket


def server_with(ticket: aioquic_tls.SessionTicket | None, suite: int = 0x1301) -> pki.AioquicServer:
    """A server that remembers this ticket."""
    server = pki.AioquicServer(pki.server_identity(), cipher_suite=suite, tickets=True)

    def find(identity: bytes) -> aioquic_tls.SessionTicket | None:
        return ticket if ticket is not None and identity == ticket.ticket else None

    server.context.get_session_ticket_cb = find
    return server


def offers(client: TlsClient) -> bool:
    """Whether the ClientHello has a ticket."""
    client.start()
    ((_, data),) = client.take_output()
    return pull_client_hello(Buffer(data=data)).pre_shared_key is not None


@pytest.mark.parametrize("suite", SUITES)
def test_a_session_is_resumed_without_a_certificate(suite: int) -> None:
    resumption, ticket = first_session(suite)
    # nobody is trusted any more: only the ticket speaks for the server
    client = pki.make_client(pki.trust(pki.authority("nobody")), resumption=resumption)
    server = server_with(ticket, suite)
    secrets = pki.run_with_aioquic(client, server)
    assert client.complete and client.resumed
    assert server.context.session_resumed
    assert client.server.certificates == resumption.peer_certificates
    for secret in secrets:
        assert secret.read == server.secrets[secret.level, True]
        assert secret.write == server.secrets[secret.level, False]
    # and from the resumed session the next one
    (again,) = client.tickets.take()
    third = pki.make_client(resumption=client.resume_with(again, START, b""))
    pki.run_with_aioquic(third, server_with(server.ticket, suite))
    assert third.resumed


def test_a_server_that_has_forgotten_authenticates_with_its_certificate() -> None:
    resumption, _ = first_session()
    client = pki.make_client(pki.trust(), resumption=resumption)
    pki.run_with_aioquic(client, server_with(None))
    assert client.complete and not client.resumed
    stranger = pki.make_client(pki.trust(pki.authority("nobody")), resumption=resumption)
    with pytest.raises(BadPacketError):
        pki.run_with_aioquic(stranger, server_with(None))


def test_whoever_has_the_ticket_but_not_the_secret_gets_nowhere() -> None:
    resumption, ticket = first_session()
    stolen = dataclasses.replace(resumption, secret=bytes(32))
    with pytest.raises(aioquic_tls.AlertHandshakeFailure, match="PSK"):
        pki.run_with_aioquic(pki.make_client(resumption=stolen), server_with(ticket))
    # and a server that only saw the ticket cannot end the handshake
    fake = dataclasses.replace(ticket, resumption_secret=bytes(32))
    with pytest.raises(aioquic_tls.AlertHandshakeFailure, match="PSK"):
        pki.run_with_aioquic(pki.make_client(resumption=resumption), server_with(fake))


@pytest.mark.parametrize(
    ("change", "later", "suites", "offered"),
    [
        ({}, 0.0, SUITES, True),
        ({}, 7199.0, SUITES, True),
        ({"expires_at": START + 60}, 59.0, SUITES, True),
        ({"expires_at": START + 60}, 60.0, SUITES, False),
        # by how much a float of today's seconds can be wrong, and a clock that was slewed back
        ({}, -3e-7, SUITES, True),
        ({}, -5.0, SUITES, True),
        # the clock was set back
        ({}, -3600.0, SUITES, False),
        ({}, 0.0, (0x1302, 0x1303), False),
        ({"ticket": bytes(4096)}, 0.0, SUITES, True),
        ({"ticket": bytes(4097)}, 0.0, SUITES, False),
    ],
)
def test_a_ticket_is_offered_only_while_it_can_be_of_use(
    change: dict[str, object], later: float, suites: tuple[int, ...], offered: bool
) -> None:
    record = dataclasses.replace(first_session()[0], expires_at=START + 7200)
    client = pki.make_client(
        resumption=dataclasses.replace(record, **change),  # type: ignore[arg-type]
        cipher_suites=suites,
        wall_time=START + later,
    )
    assert offers(client) is offered


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        (pki.NAME, True),
        (pki.NAME.upper() + ".", True),
        ("one.wild.example", True),
        ("192.0.2.1", True),
        ("other.example", False),
        ("192.0.2.2", False),
    ],
)
def test_a_ticket_is_offered_to_whom_its_certificate_names(name: str, offered: bool) -> None:
    """RFC 8446 section 4.6.1, whatever an application's store gives out: who has the ticket's
    secret would be taken for anybody."""
    resumption, _ = first_session()
    client = pki.make_client(pki.trust(), server_name=name, resumption=resumption)
    assert offers(client) is offered
    # who does not look at names does not look at them here either
    assert offers(pki.make_client(NoVerification(), server_name=name, resumption=resumption))


def test_a_ticket_is_offered_to_the_pinned_server_only() -> None:
    resumption, _ = first_session()
    right = hashlib.sha256(resumption.peer_certificates[0]).digest()
    for sha256, offered in ((right, True), (bytes(32), False)):
        client = pki.make_client(
            FingerprintVerification(sha256), server_name="other.example", resumption=resumption
        )
        assert offers(client) is offered


def test_the_age_is_hidden_and_right() -> None:
    resumption = dataclasses.replace(
        first_session()[0], age_add=0xFFFFFFF0, expires_at=START + 7200
    )
    client = pki.make_client(resumption=resumption, wall_time=START + 1.5)
    client.start()
    ((_, data),) = client.take_output()
    psk = pull_client_hello(Buffer(data=data)).pre_shared_key
    assert psk is not None
    assert psk.identities == [(resumption.ticket, (1500 + 0xFFFFFFF0) % (1 << 32))]


@pytest.mark.parametrize("later", [-3e-7, -5.0])
def test_an_age_is_never_negative(later: float) -> None:
    record = dataclasses.replace(first_session()[0], age_add=7, expires_at=START + 7200)
    client = pki.make_client(resumption=record, wall_time=START + later)
    client.start()
    ((_, data),) = client.take_output()
    psk = pull_client_hello(Buffer(data=data)).pre_shared_key
    assert psk is not None
    assert psk.identities == [(record.ticket, 7)]


def test_no_ticket_outlives_the_certificate() -> None:
    client = pki.make_client(pki.trust())
    pki.run_with_aioquic(client, pki.AioquicServer(pki.server_identity(), tickets=True))
    ticket = dataclasses.replace(client.tickets.take()[0], lifetime=604800)
    end = x509.load_der_x509_certificate(client.server.certificates[0]).not_valid_after_utc
    assert client.resume_with(ticket, START, b"").expires_at == START + 604800
    almost = end.timestamp() - 5
    assert client.resume_with(ticket, almost, b"").expires_at == end.timestamp()


@pytest.mark.parametrize("suite", SUITES)
def test_the_binder_after_a_hello_retry_request(suite: int) -> None:
    """It covers the first ClientHello's hash and the request (RFC 8446 section 4.2.11.2)."""
    resumption, _ = first_session(suite)
    client = pki.make_client(resumption=resumption)
    client.start()
    ((_, first),) = client.take_output()
    wanted = hello(VERSION + extension(51, b"\0\x17"), random=RETRY, suite=suite.to_bytes(2, "big"))
    client.receive_untrusted(INITIAL, wanted)
    ((_, second),) = client.take_output()
    schedule = KeySchedule(CipherSuite(suite))
    size = schedule.algorithm.digest_size
    schedule.extract(resumption.secret)
    binder_key = schedule.derive_secret(b"res binder")
    digest = KeySchedule(CipherSuite(suite))
    digest.update_hash(first)
    schedule.update_hash(message(254, digest.hash.finalize()))
    schedule.update_hash(wanted)
    schedule.update_hash(second[: -size - 3])
    assert second[-size:] == schedule.finished_verify_data(binder_key)


def test_a_ticket_for_another_hash_is_not_offered_after_a_retry() -> None:
    resumption, _ = first_session(0x1301)
    client = pki.make_client(resumption=resumption)
    client.start()
    ((_, first),) = client.take_output()
    assert pull_client_hello(Buffer(data=first)).pre_shared_key is not None
    client.receive_untrusted(
        INITIAL, hello(VERSION + extension(51, b"\0\x17"), random=RETRY, suite=b"\x13\x02")
    )
    ((_, second),) = client.take_output()
    assert pull_client_hello(Buffer(data=second)).pre_shared_key is None


@pytest.mark.parametrize(
    ("ticket", "selection", "suite", "alert"),
    [
        (False, b"\0\0", b"\x13\x01", UNSUPPORTED_EXTENSION),
        (True, b"\0\1", b"\x13\x01", ILLEGAL_PARAMETER),
        (True, b"\0\0", b"\x13\x02", ILLEGAL_PARAMETER),
        (True, b"\0", b"\x13\x01", 50),
        (True, b"\0\0\0", b"\x13\x01", 50),
    ],
)
def test_a_server_that_resumes_what_it_cannot(
    ticket: bool, selection: bytes, suite: bytes, alert: int
) -> None:
    client = pki.make_client(resumption=first_session()[0] if ticket else None)
    client.start()
    with pytest.raises(BadPacketError) as caught:
        client.receive_untrusted(
            INITIAL, hello(VERSION + SHARE + extension(PRE_SHARED_KEY, selection), suite=suite)
        )
    assert caught.value.code == CRYPTO_ERROR + alert


@pytest.mark.parametrize("kind", [peer.CERTIFICATE, peer.CERTIFICATE_REQUEST])
def test_a_resumed_session_has_no_certificates(kind: int) -> None:
    client = pki.make_client(resumption=first_session()[0])
    client.start()
    client.receive_untrusted(INITIAL, hello(VERSION + SHARE + extension(PRE_SHARED_KEY, b"\0\0")))
    assert client.resumed
    extensions = extension(16, b"\0\3\2h3") + extension(0x39, pki.SERVER_PARAMETERS)
    client.receive_untrusted(
        HANDSHAKE, message(peer.ENCRYPTED_EXTENSIONS, peer.opaque(2, extensions))
    )
    with pytest.raises(BadPacketError) as caught:
        client.receive_untrusted(HANDSHAKE, message(kind, b"\0\0\0\0"))
    assert caught.value.code == CRYPTO_ERROR + UNEXPECTED_MESSAGE
    assert not client.complete


RESUMPTION, TICKET = first_session()


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), min_size=1, max_size=3))
def test_an_altered_flight_never_completes(changes: list[tuple[int, int]]) -> None:
    client = pki.make_client(resumption=RESUMPTION)
    client.start()
    ((_, first),) = client.take_output()
    server = server_with(TICKET)
    flights = server.receive(first)
    lengths = [len(data) for _, data in flights[:2]]
    joined = bytearray(b"".join(data for _, data in flights[:2]))
    for at, change in changes:
        joined[at % len(joined)] ^= change
    altered = [bytes(joined[: lengths[0]]), bytes(joined[lengths[0] :])]
    try:
        for (level, whole), data in zip(flights[:2], altered, strict=True):
            client.receive_untrusted(level, data)
            assert data == whole or not client.complete
    except BadPacketError:
        assert not client.complete
