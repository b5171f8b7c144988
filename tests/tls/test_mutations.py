"""Whatever a server sends, in whatever order: only BadPacketError escapes."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import tls_server as peer
from tests.tls import pki
from tests.tls.scripted import (
    RETRY,
    SHARE,
    UNEXPECTED_MESSAGE,
    VERSION,
    compressed,
    extension,
    hello,
    message,
    ocsp,
    rewriting,
    stapling,
)
from trioquic._protocol.errors import CRYPTO_ERROR, PROTOCOL_VIOLATION, BadPacketError
from trioquic._protocol.space import HANDSHAKE, INITIAL
from trioquic._protocol.tls.assembler import MAX_MESSAGE, MessageAssembler
from trioquic._protocol.tls.key_exchange import GROUPS, make_key_share
from trioquic._protocol.tls.state import TABLE, TlsInput, TlsState


def test_every_message_out_of_order_is_unexpected() -> None:
    """All states and all inputs: what the table does not have is refused, and it has only this."""
    allowed = {(state.name, event.name) for state, event in TABLE}
    assert allowed == {
        ("START", "START"),
        ("WAIT_SERVER_HELLO", "HELLO_RETRY_REQUEST"),
        ("WAIT_SERVER_HELLO", "SERVER_HELLO"),
        ("WAIT_SECOND_SERVER_HELLO", "SERVER_HELLO"),
        ("WAIT_ENCRYPTED_EXTENSIONS", "ENCRYPTED_EXTENSIONS"),
        ("WAIT_ENCRYPTED_EXTENSIONS", "RESUMED_EXTENSIONS"),
        ("WAIT_CERTIFICATE_OR_REQUEST", "CERTIFICATE_REQUEST"),
        ("WAIT_CERTIFICATE_OR_REQUEST", "CERTIFICATE"),
        ("WAIT_CERTIFICATE", "CERTIFICATE"),
        ("WAIT_CERTIFICATE_VERIFY", "CERTIFICATE_VERIFY"),
        ("WAIT_FINISHED", "FINISHED"),
        ("CONNECTED", "NEW_SESSION_TICKET"),
    }
    samples = {
        TlsInput.HELLO_RETRY_REQUEST: hello(VERSION + extension(51, b"\0\x17"), random=RETRY),
        TlsInput.SERVER_HELLO: hello(VERSION + SHARE),
        TlsInput.ENCRYPTED_EXTENSIONS: message(peer.ENCRYPTED_EXTENSIONS, b""),
        TlsInput.CERTIFICATE_REQUEST: message(peer.CERTIFICATE_REQUEST, b""),
        TlsInput.CERTIFICATE: message(peer.CERTIFICATE, b""),
        TlsInput.CERTIFICATE_VERIFY: message(peer.CERTIFICATE_VERIFY, b""),
        TlsInput.FINISHED: message(peer.FINISHED, b""),
        TlsInput.NEW_SESSION_TICKET: message(peer.NEW_SESSION_TICKET, b""),
    }
    for state in set(TlsState) - {TlsState.FAILED}:
        for event, sample in samples.items():
            if (state, event) in TABLE:
                continue
            client = pki.make_client()
            client.state = state
            with pytest.raises(BadPacketError) as caught:
                client.receive_untrusted(client.level, sample)
            after = state is TlsState.CONNECTED and event is TlsInput.CERTIFICATE_REQUEST
            expected = PROTOCOL_VIOLATION if after else CRYPTO_ERROR + UNEXPECTED_MESSAGE
            assert caught.value.code == expected, (state, event)
            assert client.state is TlsState.FAILED


def test_what_is_announced_is_judged_before_it_is_kept() -> None:
    assembler = MessageAssembler()
    assembler.feed(b"\x0b" + (MAX_MESSAGE - 4).to_bytes(3, "big"))
    assert assembler.next_untrusted() is None
    assembler = MessageAssembler()
    assembler.feed(b"\x0b" + (MAX_MESSAGE - 3).to_bytes(3, "big"))
    with pytest.raises(BadPacketError, match="refused"):
        assembler.next_untrusted()


def recorded_flight(script: peer.TlsScript) -> tuple[bytes, bytes]:
    """The bytes of a server for the client of seed 0, which always asks the same."""
    client = pki.make_client(groups=GROUPS)
    client.start()
    server = peer.TlsServer(script)
    for level, data in client.take_output():
        server.receive(level, data)
    flights = [b"", b""]
    for level, data in server.output:
        flights[level] += data
    return flights[0], flights[1]


FLIGHTS = (
    recorded_flight(peer.TlsScript(request_certificate=True)),
    # with ML-KEM, stapled extensions, and compressed
    recorded_flight(
        rewriting(
            "certificate",
            lambda data: compressed(stapling(ocsp(b"response"))(data)),
            groups=(peer.X25519MLKEM768,),
        )
    ),
)


@pytest.mark.parametrize("recorded", FLIGHTS)
def test_the_recorded_flights_are_good(recorded: tuple[bytes, bytes]) -> None:
    client = pki.make_client(groups=GROUPS)
    client.start()
    client.receive_untrusted(INITIAL, recorded[0])
    client.receive_untrusted(HANDSHAKE, recorded[1])
    assert client.complete


@settings(max_examples=350)
@given(st.data())
def test_mutated_flights(data: st.DataObject) -> None:
    verification = data.draw(st.sampled_from([None, pki.trust(), pki.trust(strict=False)]))
    client = pki.make_client(verification, groups=GROUPS)
    client.start()
    flights = [bytearray(flight) for flight in data.draw(st.sampled_from(FLIGHTS))]
    which = data.draw(st.sampled_from([0, 1, 1]))
    flight = flights[which]
    before = bytes(flight)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(flight) - 1))
        action = data.draw(st.sampled_from(["set", "insert", "delete"]))
        if action == "set":
            flight[position] = data.draw(st.integers(0, 255))
        elif action == "insert":
            flight[position:position] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del flight[position : position + data.draw(st.integers(1, 8))]
    try:
        client.receive_untrusted(INITIAL, bytes(flights[0]))
        client.receive_untrusted(HANDSHAKE, bytes(flights[1]))
    except BadPacketError:
        assert client.state is TlsState.FAILED
        return
    assert not client.complete or bytes(flight) == before


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=64)), max_size=8))
def test_random_bytes(pieces: list[tuple[int, bytes]]) -> None:
    client = pki.make_client()
    client.start()
    for level, piece in pieces:
        try:
            client.receive_untrusted(level, piece)
        except BadPacketError:
            assert client.state is TlsState.FAILED
    assert not client.complete


@settings(max_examples=300)
@given(
    st.sampled_from([2, 8, 11, 25, 13, 15, 20, 4]),
    st.binary(max_size=80),
    st.sampled_from(sorted(set(TlsState) - {TlsState.START}, key=lambda state: state.name)),
)
def test_any_body_in_any_state(kind: int, body: bytes, state: TlsState) -> None:
    client = pki.make_client()
    client.start()
    client.state = state
    client.server.certificates = (pki.der(pki.server_identity().certificate),)
    if state not in (TlsState.WAIT_SERVER_HELLO, TlsState.WAIT_SECOND_SERVER_HELLO):
        client._schedule.choose(0x1301)
    try:
        client.receive_untrusted(client.level, message(kind, body))
    except BadPacketError:
        assert client.state is TlsState.FAILED


@given(
    st.sampled_from(GROUPS),
    st.binary(max_size=100) | st.binary(min_size=1119, max_size=1121),
)
def test_any_key_share(group: int, public: bytes) -> None:
    share = make_key_share(group, os.urandom)
    try:
        secret = share.shared_secret_untrusted(public)
    except BadPacketError:
        return
    assert len(secret) == (64 if group == peer.X25519MLKEM768 else 48 if group == 0x18 else 32)
