"""Whole handshakes with an independent TLS implementation, and what the client says in them."""

import pytest
from aioquic._buffer import Buffer
from aioquic.tls import ClientHello, pull_client_hello
from cryptography.hazmat.primitives.serialization import Encoding

from tests.peer.tls_server import TlsScript, TlsServer
from tests.tls import pki
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError, IllegalTransitionError
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL
from trioquic._protocol.tls.client import TlsClient
from trioquic._protocol.tls.state import TlsState
from trioquic._protocol.tls.tickets import MAX_TICKETS
from trioquic._protocol.tls.verify import FingerprintVerification, Verification

SUITES = (0x1301, 0x1302, 0x1303)
GROUPS = (0x001D, 0x0017, 0x0018)


def parsed_hello(client: TlsClient) -> ClientHello:
    ((level, data),) = client.take_output()
    assert level == INITIAL
    return pull_client_hello(Buffer(data=data))


def run_with_script(client: TlsClient, script: TlsScript) -> TlsServer:
    server = TlsServer(script)
    client.start()
    while output := client.take_output():
        for level, data in output:
            server.receive(level, data)
        answers, server.output = server.output, []
        for level, data in answers:
            client.receive_untrusted(level, data)
    return server


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_and_group(suite: int, group: int) -> None:
    client = pki.make_client(pki.trust(), groups=(group,))
    server = pki.AioquicServer(pki.server_identity(), cipher_suite=suite)
    secrets = pki.run_with_aioquic(client, server)
    assert client.complete
    assert client.state is TlsState.CONNECTED
    assert (client.cipher_suite, client.group, client.alpn) == (suite, group, pki.ALPN)
    assert client.peer_transport_parameters == pki.SERVER_PARAMETERS
    assert client.server.certificates == (pki.der(pki.server_identity().certificate),)
    assert [s.level for s in secrets] == [HANDSHAKE, APPLICATION]
    assert {s.cipher_suite for s in secrets} == {suite}
    for secret in secrets:
        assert secret.read == server.secrets[secret.level, True]
        assert secret.write == server.secrets[secret.level, False]
    assert (0x39, pki.CLIENT_PARAMETERS) in (server.context.received_extensions or [])


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa", "ed25519"])
def test_every_kind_of_server_key(kind: str) -> None:
    client = pki.make_client(pki.trust(strict=False))
    pki.run_with_aioquic(client, pki.AioquicServer(pki.server_identity(kind)))
    assert client.complete


@pytest.mark.parametrize("fragment", [1, 3, 100])
def test_messages_may_be_cut_anywhere(fragment: int) -> None:
    client = pki.make_client(pki.trust())
    secrets = pki.run_with_aioquic(client, pki.AioquicServer(pki.server_identity()), fragment)
    assert client.complete
    assert len(secrets) == 2


def test_a_chain_with_intermediates_is_followed() -> None:
    middle = pki.authority("middle", pki.root())
    leaf = pki.issue("leaf", middle, pki.key_of("p256"), names=(pki.NAME,))
    client = pki.make_client(pki.trust())
    pki.run_with_aioquic(client, pki.AioquicServer(leaf, chain=(middle,)))
    assert client.complete
    assert len(client.server.certificates) == 2


def test_application_secrets_come_only_after_the_servers_finished() -> None:
    client = pki.make_client()
    server = pki.AioquicServer(pki.server_identity())
    client.start()
    answers = server.receive(client.take_output()[0][1])
    client.receive_untrusted(INITIAL, answers[0][1])
    assert [s.level for s in client.take_secrets()] == [HANDSHAKE]
    client.receive_untrusted(HANDSHAKE, answers[1][1][:-1])
    assert client.take_secrets() == []
    assert client.take_output() == []
    assert not client.complete
    client.receive_untrusted(HANDSHAKE, answers[1][1][-1:])
    assert [s.level for s in client.take_secrets()] == [APPLICATION]
    assert [level for level, _ in client.take_output()] == [HANDSHAKE]
    assert client.complete


@pytest.mark.parametrize(
    ("verification", "name", "alert"),
    [
        (pki.trust(pki.authority("stranger")), pki.NAME, 48),
        (pki.trust(), "other.example", 46),
        (FingerprintVerification(bytes(32)), pki.NAME, 42),
    ],
)
def test_a_server_that_is_not_trusted_gets_nothing(
    verification: Verification, name: str, alert: int
) -> None:
    client = pki.make_client(verification, server_name=name)
    with pytest.raises(BadPacketError) as caught:
        pki.run_with_aioquic(client, pki.AioquicServer(pki.server_identity()))
    assert caught.value.code == CRYPTO_ERROR + alert
    assert client.state is TlsState.FAILED
    assert client.server.certificates == ()
    assert client.take_output() == []
    assert APPLICATION not in [secret.level for secret in client.take_secrets()]


def test_what_the_client_hello_says() -> None:
    client = pki.make_client(alpn=("h3", "hq-interop"))
    client.start()
    hello = parsed_hello(client)
    assert hello.legacy_session_id == b""
    assert hello.cipher_suites == list(SUITES)
    assert hello.supported_versions == [0x0304]
    assert hello.supported_groups == list(GROUPS)
    assert [group for group, _ in hello.key_share or []] == [0x001D]
    assert hello.alpn_protocols == ["h3", "hq-interop"]
    assert hello.server_name == pki.NAME
    assert (0x39, pki.CLIENT_PARAMETERS) in hello.other_extensions
    with pytest.raises(IllegalTransitionError):
        client.start()


@pytest.mark.parametrize(
    ("name", "sni"),
    [("host.example.", "host.example"), ("192.0.2.1", None), ("2001:db8::1", None), (None, None)],
)
def test_addresses_are_never_sent_as_names(name: str | None, sni: str | None) -> None:
    client = pki.make_client(server_name=name)
    client.start()
    assert parsed_hello(client).server_name == sni


def test_the_same_randomness_makes_the_same_hello() -> None:
    outputs = []
    for seed in (1, 1, 2):
        client = pki.make_client(seed=seed)
        client.start()
        outputs.append(client.take_output())
    assert outputs[0] == outputs[1]
    assert outputs[0] != outputs[2]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("group", [0x0017, 0x0018])
def test_hello_retry_request(suite: int, group: int) -> None:
    client = pki.make_client()
    script = TlsScript(retry_group=group, cookie=b"cookie", cipher_suite=suite)
    server = run_with_script(client, script)
    assert server.complete and client.complete
    assert client.group == group
    first, second = server.client_hellos
    assert first.random == second.random
    assert [g for g, _ in first.key_share or []] == [0x001D]
    assert [g for g, _ in second.key_share or []] == [group]
    assert first.supported_groups == second.supported_groups
    assert (44, b"\x00\x06cookie") in second.other_extensions
    assert 44 not in dict(first.other_extensions)
    assert [s.level for s in client.take_secrets()] == [HANDSHAKE, APPLICATION]


def test_hello_retry_request_with_a_cookie_alone_keeps_the_key_share() -> None:
    def only_cookie(name: str, data: bytes) -> bytes:
        # drop the key_share extension (6 bytes, after supported_versions) and mend the lengths
        if name != "hello_retry_request":
            return data
        start = data.index(b"\x00\x33\x00\x02")
        body = data[4:start] + data[start + 6 :]
        at = start - 4 - 6 - 2  # the extension block's length stands before supported_versions
        size = int.from_bytes(body[at : at + 2], "big") - 6
        body = body[:at] + size.to_bytes(2, "big") + body[at + 2 :]
        return data[:1] + len(body).to_bytes(3, "big") + body

    client = pki.make_client()
    server = run_with_script(
        client, TlsScript(retry_group=0x0018, cookie=b"c", rewrite=only_cookie)
    )
    assert server.complete and client.complete
    first, second = server.client_hellos
    assert first.key_share == second.key_share
    assert client.group == 0x001D


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa", "ed25519"])
def test_client_certificate(kind: str) -> None:
    own = pki.issue("client", pki.root(), pki.key_of(kind, "client"))
    client = pki.make_client(client_certificate=((pki.der(own.certificate),), own.key))
    server = pki.AioquicServer(pki.server_identity())
    server.context._request_client_certificate = True
    pki.run_with_aioquic(client, server)
    assert client.complete
    seen = server.context._peer_certificate
    assert seen is not None
    assert seen.public_bytes(Encoding.DER) == pki.der(own.certificate)
    assert (1, False) in server.secrets and (2, False) in server.secrets  # it took our Finished


def test_no_client_certificate_configured() -> None:
    client = pki.make_client()
    server = pki.AioquicServer(pki.server_identity())
    server.context._request_client_certificate = True
    pki.run_with_aioquic(client, server)
    assert client.complete
    assert server.context._peer_certificate is None
    assert (2, False) in server.secrets


def test_a_client_key_that_fits_no_wanted_scheme_is_not_shown() -> None:
    own = pki.issue("client", pki.root(), pki.key_of("ed25519", "client"))
    client = pki.make_client(client_certificate=((pki.der(own.certificate),), own.key))
    # wants ECDSA P-256 or RSA
    server = run_with_script(client, TlsScript(request_certificate=True))
    assert server.complete and client.complete
    assert server.client_certificates == [b"\x0b\x00\x00\x04\x00\x00\x00\x00"]


def test_keylog_in_nss_format() -> None:
    lines: list[str] = []
    client = pki.make_client(keylog=lines.append)
    client.start()
    hello = client.take_output()[0][1]
    server = pki.AioquicServer(pki.server_identity())
    for level, data in server.receive(hello):
        client.receive_untrusted(level, data)
    server.receive(client.take_output()[0][1])
    random = hello[6:38].hex()
    labels = {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET": (1, False),
        "SERVER_HANDSHAKE_TRAFFIC_SECRET": (1, True),
        "CLIENT_TRAFFIC_SECRET_0": (2, False),
        "SERVER_TRAFFIC_SECRET_0": (2, True),
    }
    assert lines == [
        f"{label} {random} {server.secrets[which].hex()}" for label, which in labels.items()
    ]


def test_tickets_are_kept_but_not_without_end() -> None:
    client = pki.make_client()
    server = pki.AioquicServer(pki.server_identity(), tickets=True)
    pki.run_with_aioquic(client, server)
    assert [ticket.ticket for ticket in client.tickets.take()] == [server.ticket.ticket]
    more = b"\x04\x00\x00\x10" + bytes(8) + b"\x01%c\x00\x02%c%c\x00\x00"
    for number in range(10):
        client.receive_untrusted(APPLICATION, more % (number, number, number))
    tickets = client.tickets.take()
    assert [ticket.nonce for ticket in tickets] == [b"\x06", b"\x07", b"\x08", b"\x09"]
    assert len(tickets) == MAX_TICKETS
    assert client.complete
