"""X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), and what becomes of the offer without it."""

import pytest
from aioquic.tls import ClientHello
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mlkem

from tests.peer import tls_server as peer
from tests.peer.tls_server import ML_KEM_CIPHERTEXT, ML_KEM_KEY, X25519, X25519MLKEM768, TlsScript
from tests.tls import pki
from tests.tls.scripted import (
    DECRYPT_ERROR,
    ILLEGAL_PARAMETER,
    Change,
    message,
    opaque,
    rewriting,
    run,
)
from trioquic._protocol.errors import CRYPTO_ERROR, BadPacketError
from trioquic._protocol.tls import key_exchange
from trioquic._protocol.tls.client import TlsClient
from trioquic.config import GROUPS, TLSConfig

ALL = (0x11EC, 0x001D, 0x0017, 0x0018)
# Where the group stands in the scripted ServerHello: after header, version, random, empty session
# ID, suite, compression, the length of the extensions, supported_versions, and key_share's header
GROUP_AT = 4 + 2 + 32 + 1 + 2 + 1 + 2 + 6 + 4


def shares_of(hello: ClientHello) -> dict[int, bytes]:
    return dict(hello.key_share or [])


def refuses(change: Change, alert: int, text: str) -> None:
    """A server of X25519MLKEM768 whose key share is changed."""

    def on_hello(data: bytes) -> bytes:
        share = change(data[GROUP_AT + 4 :])
        content = data[GROUP_AT : GROUP_AT + 2] + opaque(2, share)
        head = data[4 : GROUP_AT - 12]
        extensions = data[GROUP_AT - 10 : GROUP_AT - 4] + peer.extension(51, content)
        return message(peer.SERVER_HELLO, head + opaque(2, extensions))

    client = pki.make_client(groups=ALL)
    with pytest.raises(BadPacketError, match=text) as caught:
        run(client, rewriting("server_hello", on_hello, groups=(X25519MLKEM768,)))
    assert caught.value.code == CRYPTO_ERROR + alert
    assert not client.complete


def handshake(script: TlsScript, groups: tuple[int, ...] = ALL) -> tuple[TlsClient, peer.TlsServer]:
    client, server = pki.make_client(groups=groups), peer.TlsServer(script)
    client.start()
    while output := client.take_output():
        for level, data in output:
            server.receive(level, data)
        answers, server.output = server.output, []
        for level, data in answers:
            client.receive_untrusted(level, data)
    assert client.complete and server.complete
    return client, server


def test_it_is_the_default_and_preferred() -> None:
    assert key_exchange.GROUPS == ALL == tuple(GROUPS.values())
    assert TLSConfig().groups[0] == "X25519MLKEM768"


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
def test_a_server_that_speaks_it(suite: int) -> None:
    script = TlsScript(groups=(X25519MLKEM768, X25519), cipher_suite=suite)
    client, server = handshake(script)
    assert client.group == X25519MLKEM768
    assert len(server.client_hellos) == 1


def test_the_first_flight_has_a_share_for_servers_without_it() -> None:
    client, server = handshake(TlsScript(groups=(X25519,)))
    assert client.group == X25519
    (hello,) = server.client_hellos
    assert hello.supported_groups == list(ALL)
    shares = shares_of(hello)
    assert list(shares) == [X25519MLKEM768, X25519]
    assert len(shares[X25519MLKEM768]) == ML_KEM_KEY + 32
    # one key for both
    assert shares[X25519MLKEM768][ML_KEM_KEY:] == shares[X25519]


@pytest.mark.parametrize(
    ("groups", "offered"),
    [
        ((0x11EC,), [0x11EC]),
        ((0x11EC, 0x0017), [0x11EC]),
        ((0x11EC, 0x0017, 0x001D), [0x11EC, 0x001D]),
        ((0x001D, 0x11EC), [0x001D]),
        ((0x0017, 0x11EC, 0x001D), [0x0017]),
    ],
)
def test_which_shares_go_out_first(groups: tuple[int, ...], offered: list[int]) -> None:
    _, server = handshake(TlsScript(groups=tuple(offered)), groups)
    assert list(shares_of(server.client_hellos[0])) == offered


@pytest.mark.parametrize("group", [0x0017, 0x0018])
def test_a_hello_retry_request_away_from_it(group: int) -> None:
    client, server = handshake(TlsScript(groups=(group,), retry_group=group))
    first, second = server.client_hellos
    assert client.group == group
    assert list(shares_of(first)) == [X25519MLKEM768, X25519]
    assert list(shares_of(second)) == [group]
    assert second.supported_groups == list(ALL)


def test_a_hello_retry_request_towards_it() -> None:
    script = TlsScript(groups=(X25519MLKEM768,), retry_group=X25519MLKEM768)
    client, server = handshake(script, (0x001D, 0x11EC))
    first, second = server.client_hellos
    assert client.group == X25519MLKEM768
    assert list(shares_of(first)) == [X25519]
    assert list(shares_of(second)) == [X25519MLKEM768]


@pytest.mark.parametrize("group", [X25519MLKEM768, X25519])
def test_a_hello_retry_request_for_what_was_sent(group: int) -> None:
    client = pki.make_client(groups=ALL)
    with pytest.raises(BadPacketError, match=f"asks for group {group:#06x}") as caught:
        run(client, TlsScript(retry_group=group))
    assert caught.value.code == CRYPTO_ERROR + ILLEGAL_PARAMETER


@pytest.mark.parametrize(
    "change",
    [
        lambda share: share[:-1],
        lambda share: share + b"x",
        lambda share: share[-32:],
        lambda share: share[:ML_KEM_CIPHERTEXT],
        # ML-KEM's good, X25519's not
        lambda share: share[:ML_KEM_CIPHERTEXT] + bytes(32),
    ],
)
def test_a_bad_share(change: Change) -> None:
    refuses(change, ILLEGAL_PARAMETER, "key share is bad")


@pytest.mark.parametrize(
    "change",
    [
        lambda share: bytes([share[0] ^ 1]) + share[1:],
        lambda share: bytes(ML_KEM_CIPHERTEXT) + share[ML_KEM_CIPHERTEXT:],
        lambda share: share[:-1] + bytes([share[-1] ^ 1]),
        # X25519 before ML-KEM
        lambda share: share[ML_KEM_CIPHERTEXT:] + share[:ML_KEM_CIPHERTEXT],
    ],
)
def test_another_ciphertext_or_point_is_another_secret(change: Change) -> None:
    """ML-KEM tells nobody that a ciphertext was wrong; the secrets just differ."""
    refuses(change, DECRYPT_ERROR, "Finished does not match")


def test_a_library_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cryptography` has the names whatever OpenSSL it was built with."""

    class Lacking:
        @staticmethod
        def from_seed_bytes(seed: bytes) -> None:
            raise UnsupportedAlgorithm("ML-KEM is not supported")

    assert key_exchange._has_ml_kem()
    monkeypatch.setattr(mlkem, "MLKEM768PrivateKey", Lacking)
    assert not key_exchange._has_ml_kem()
