"""Attacks 9 to 18: Version Negotiation, Retry, transport parameters, TLS."""

import dataclasses
import struct
from collections.abc import Callable

import pytest

from tests.attacks.expect import closed_with, goes_on, released
from tests.peer.certificates import SERVER_NAME, identity
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import (
    ACK_DELAY_EXPONENT,
    ACTIVE_CID_LIMIT,
    DISABLE_ACTIVE_MIGRATION,
    INITIAL_SCID,
    MAX_ACK_DELAY,
    MAX_DATA,
    MAX_UDP_PAYLOAD,
    ORIGINAL_DCID,
    PREFERRED_ADDRESS,
    RESET_TOKEN,
    RETRY_SCID,
    STREAMS_BIDI,
    ServerScript,
    preferred_address,
)
from tests.peer.tls_server import (
    CERTIFICATE_VERIFY,
    KEY_UPDATE,
    TlsScript,
    certificate_message,
    extension,
    message,
    new_session_ticket,
    opaque,
)
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.errors import (
    CRYPTO_BUFFER_EXCEEDED,
    CRYPTO_ERROR,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
    TRANSPORT_PARAMETER_ERROR,
)
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

UNEXPECTED_MESSAGE, BAD_RECORD_MAC, HANDSHAKE_FAILURE = 10, 20, 40
BAD_CERTIFICATE, CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN = 42, 45, 46
ILLEGAL_PARAMETER, UNKNOWN_CA, DECODE_ERROR, DECRYPT_ERROR = 47, 48, 50, 51
MISSING_EXTENSION, NO_APPLICATION_PROTOCOL = 109, 120


def silent() -> World:
    """The client has sent its first flight; the server knows what it would answer."""
    world = World(ServerScript(send_crypto=False, acknowledge=False))
    world.run_until(lambda: world.peer.tls.output)
    return world


def resume(world: World) -> None:
    """The server goes on as if nothing had happened, and so does the client."""
    world.peer.script.send_crypto = world.peer.script.acknowledge = True
    world.peer.send_flight()
    world.connect()
    goes_on(world)


def refused(script: ServerScript, code: int) -> World:
    world = World(script)
    world.run_until(lambda: world.terminated)
    world.settle()
    closed_with(world, code)
    assert not released(world), "nothing is usable of a server that is not what it says"
    return world


# --- 9 ------------------------------------------------------------------------------------------


def test_9_version_negotiation_that_lists_our_version_is_ignored() -> None:
    world = silent()
    world.peer.send_version_negotiation((0xFF00001D, 1, 0x0A0A0A0A))
    world.settle()
    assert world.terminated is None
    resume(world)


@pytest.mark.parametrize("ids", [{"dcid": b"wrong-id"}, {"scid": b"wrong-id"}, {"scid": b""}])
def test_9_version_negotiation_with_wrong_ids_is_ignored(ids: dict[str, bytes]) -> None:
    world = silent()
    world.peer.send_version_negotiation((0xFF00001D,), **ids)
    world.settle()
    assert world.terminated is None
    resume(world)


def test_9_late_version_negotiation_is_ignored() -> None:
    world = silent()
    world.peer.send(INITIAL, b"\x01")
    world.settle()
    world.peer.send_version_negotiation((0xFF00001D,))
    world.settle()
    assert world.terminated is None
    resume(world)
    world.peer.send_version_negotiation((0xFF00001D,))
    goes_on(world)


@pytest.mark.parametrize("tail", [b"", b"\x00", b"\xff\x00\x00"])
def test_9_version_negotiation_without_or_with_broken_versions(tail: bytes) -> None:
    world = silent()
    world.peer.send_version_negotiation(())
    path, data = world.peer.outbox.pop()
    world.peer.send_datagram(data + tail, path)
    world.settle()
    assert world.terminated is None
    resume(world)


def test_9_honest_version_negotiation_ends_with_a_typed_reason() -> None:
    world = silent()
    world.peer.send_version_negotiation((0xFF00001D, 0x6B3343CF))
    world.settle()
    event = world.terminated
    assert event is not None
    assert event.ending is ev.Ending.VERSION
    assert "0x6b3343cf" in event.reason


# --- 10 -----------------------------------------------------------------------------------------


def test_10_a_good_retry_is_followed() -> None:
    world = World(ServerScript(retry=True)).connect()
    initials = [p for p in world.peer.packets if p.space == INITIAL]
    assert initials
    assert all(p.token == world.peer.script.retry_token for p in initials)
    assert {p.dcid for p in initials} <= {world.peer.script.retry_cid, world.peer.script.cid}
    assert [p.number for p in initials] == sorted({p.number for p in initials})
    assert initials[0].number > 0, "RFC 9000 section 17.2.5.3: packet numbers go on"
    goes_on(world)


def test_10_retry_with_a_bad_tag_is_discarded() -> None:
    world = silent()
    sent = len(world.peer.packets)
    world.peer.send_retry(tag=bytes(16))
    world.peer.send_retry(tag=b"\xff" * 16)
    world.run_for(0.1)
    assert not [p for p in world.peer.packets[sent:] if p.token]
    assert not world.peer.undecryptable, "it has not changed its keys"
    resume(world)


def test_10_retry_with_an_empty_token_is_discarded() -> None:
    world = silent()
    world.peer.send_retry(token=b"")
    world.run_for(0.1)
    assert not world.peer.undecryptable
    resume(world)


def test_10_a_second_retry_is_discarded() -> None:
    world = World(ServerScript(retry=True, send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    world.peer.script.retry_cid, first = b"\xcfsecond-retry", world.peer.script.retry_cid
    world.peer.send_retry(token=b"another token")
    world.peer.script.retry_cid = first
    world.run_for(0.1)
    assert all(p.token != b"another token" for p in world.peer.packets)
    resume(world)


def test_10_a_late_retry_is_discarded() -> None:
    world = silent()
    world.peer.send(INITIAL, b"\x01")
    world.settle()
    world.peer.send_retry()
    world.run_for(0.1)
    assert all(not p.token for p in world.peer.packets)
    resume(world)
    world.peer.send_retry()
    goes_on(world)


def test_10_retry_whose_id_equals_the_clients_choice_is_discarded() -> None:
    """RFC 9000 section 17.2.5.1."""
    world = silent()
    assert world.peer.original_dcid is not None
    world.peer.script.retry_cid = world.peer.original_dcid
    world.peer.send_retry()
    world.run_for(0.1)
    assert all(not p.token for p in world.peer.packets)
    resume(world)


# --- 11 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", [ORIGINAL_DCID, INITIAL_SCID])
@pytest.mark.parametrize("value", [None, b"", b"wrong-id", bytes(20)])
def test_11_connection_ids_missing_or_wrong(parameter: int, value: bytes | None) -> None:
    refused(ServerScript(parameters={parameter: value}), TRANSPORT_PARAMETER_ERROR)


@pytest.mark.parametrize("value", [None, b"", b"wrong-id"])
def test_11_retry_source_connection_id_missing_or_wrong(value: bytes | None) -> None:
    script = ServerScript(retry=True, parameters={RETRY_SCID: value})
    refused(script, TRANSPORT_PARAMETER_ERROR)


@pytest.mark.parametrize("value", [b"", b"a retry id"])
def test_11_retry_source_connection_id_without_a_retry(value: bytes) -> None:
    refused(ServerScript(parameters={RETRY_SCID: value}), TRANSPORT_PARAMETER_ERROR)


# --- 12 -----------------------------------------------------------------------------------------

TOKEN = b"0123456789abcdef"
V4 = (bytes([198, 51, 100, 9]), 4433)
BROKEN_PARAMETERS: dict[str, tuple[int, bytes]] = {
    "max_udp_payload_size below 1200": (MAX_UDP_PAYLOAD, encode_varint(1199)),
    "max_udp_payload_size 0": (MAX_UDP_PAYLOAD, encode_varint(0)),
    "ack_delay_exponent above 20": (ACK_DELAY_EXPONENT, encode_varint(21)),
    "max_ack_delay 2^14": (MAX_ACK_DELAY, encode_varint(1 << 14)),
    "active_connection_id_limit 1": (ACTIVE_CID_LIMIT, encode_varint(1)),
    "active_connection_id_limit 0": (ACTIVE_CID_LIMIT, encode_varint(0)),
    "initial_max_streams above 2^60": (STREAMS_BIDI, encode_varint((1 << 60) + 1)),
    "integer that is too long": (MAX_DATA, encode_varint(7) + b"\x00"),
    "integer that is cut": (MAX_DATA, b"\x80\x00"),
    "integer without a value": (MAX_DATA, b""),
    "reset token of 15 bytes": (RESET_TOKEN, bytes(15)),
    "reset token of 17 bytes": (RESET_TOKEN, bytes(17)),
    "disable_active_migration with a value": (DISABLE_ACTIVE_MIGRATION, b"\x01"),
    "original_destination_connection_id of 21 bytes": (ORIGINAL_DCID, bytes(21)),
    "preferred_address empty": (PREFERRED_ADDRESS, b""),
    "preferred_address cut": (
        PREFERRED_ADDRESS,
        preferred_address(V4, b"prefer-1", TOKEN)[:-1],
    ),
    "preferred_address too long": (
        PREFERRED_ADDRESS,
        preferred_address(V4, b"prefer-1", TOKEN) + b"\x00",
    ),
    "preferred_address with a zero-length ID": (
        PREFERRED_ADDRESS,
        preferred_address(V4, b"", TOKEN),
    ),
    "preferred_address with an ID of 21 bytes": (
        PREFERRED_ADDRESS,
        preferred_address(V4, bytes(21), TOKEN),
    ),
}


@pytest.mark.parametrize("name", list(BROKEN_PARAMETERS))
def test_12_malformed_transport_parameter(name: str) -> None:
    parameter, value = BROKEN_PARAMETERS[name]
    refused(ServerScript(parameters={parameter: value}), TRANSPORT_PARAMETER_ERROR)


@pytest.mark.parametrize(
    "twice", [encode_varint(MAX_DATA) + b"\x01\x05", b"\x40\x1b\x00\x40\x1b\x00"]
)
def test_12_duplicate_parameter(twice: bytes) -> None:
    refused(ServerScript(parameter_suffix=twice), TRANSPORT_PARAMETER_ERROR)


def test_12_preferred_address_from_a_server_with_zero_length_ids() -> None:
    value = preferred_address(V4, b"prefer-1", TOKEN)
    script = ServerScript(cid=b"", spare_ids=0, parameters={PREFERRED_ADDRESS: value})
    refused(script, TRANSPORT_PARAMETER_ERROR)


def test_12_limits_that_are_just_right() -> None:
    parameters: dict[int, bytes | None] = {
        MAX_UDP_PAYLOAD: encode_varint(1200),
        ACK_DELAY_EXPONENT: encode_varint(20),
        MAX_ACK_DELAY: encode_varint((1 << 14) - 1),
        ACTIVE_CID_LIMIT: encode_varint(2),
        STREAMS_BIDI: encode_varint(1 << 60),
        PREFERRED_ADDRESS: preferred_address(V4, b"prefer-1", TOKEN),
        0x1B: b"reserved",
    }
    script = ServerScript(parameters=parameters, spare_ids=0)
    goes_on(World(script).connect())


# --- 13 -----------------------------------------------------------------------------------------


def with_tls(**changes: object) -> ServerScript:
    return ServerScript(tls=dataclasses.replace(TlsScript(), **changes))  # type: ignore[arg-type]


def test_13_no_transport_parameter_extension() -> None:
    script = with_tls(transport_parameters=None)
    refused(script, CRYPTO_ERROR + MISSING_EXTENSION)


@pytest.mark.parametrize("alpn", [None, "h2", "tes", "test2"])
def test_13_wrong_alpn(alpn: str | None) -> None:
    refused(with_tls(alpn=alpn), CRYPTO_ERROR + NO_APPLICATION_PROTOCOL)


# --- 14 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [200_000, 1 << 32, (1 << 62) - 2])
@pytest.mark.parametrize("space", [INITIAL, APPLICATION])
def test_14_crypto_data_far_ahead(space: int, offset: int) -> None:
    world = silent() if space == INITIAL else World().connect()
    world.attack(fr.encode_crypto(offset, b"x"), space)
    closed_with(world, CRYPTO_BUFFER_EXCEEDED)


def test_14_crypto_data_with_gaps_without_end() -> None:
    """One byte in two, for ever: it ends with an error, not with the memory."""
    world = silent()
    for start in range(1, 200_000, 400):
        parts = [fr.encode_crypto(start + at, b"x") for at in range(0, 400, 4)]
        world.peer.send(INITIAL, b"".join(parts))
        if world.terminated is not None:
            break
        world.run_for(2 * world.delay)
    world.settle()
    closed_with(world, CRYPTO_BUFFER_EXCEEDED)


def test_14_at_least_4_kib_are_buffered() -> None:
    """The handshake arrives with its beginning last."""
    script = with_tls(rewrite=long_flight)
    script.send_crypto = False
    world = World(script)
    world.run_until(lambda: world.peer.tls.output)
    (level, hello), *rest = world.peer.tls.output
    assert level == INITIAL
    world.peer.send_crypto(INITIAL, hello)
    flight = b"".join(data for _, data in rest)
    assert len(flight) > 4096
    for start in reversed(range(0, len(flight), 1000)):
        frame = fr.encode_crypto(start, flight[start : start + 1000])
        world.peer.send(HANDSHAKE, frame)
        world.run_for(2 * world.delay)
    world.peer.tls.output.clear()
    world.connect()
    goes_on(world)


def long_flight(name: str, data: bytes) -> bytes:
    """Makes the Certificate message as long as a chain of four."""
    if name == "certificate":
        return certificate_message(identity().chain * 8)
    return data


# --- 15 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("requested", [0, 1])
def test_15_tls_key_update_message(requested: int) -> None:
    world = World().connect()
    world.peer.send_crypto(APPLICATION, message(KEY_UPDATE, bytes([requested])))
    world.settle()
    closed_with(world, CRYPTO_ERROR + UNEXPECTED_MESSAGE)


def test_15_tls_key_update_message_during_the_handshake() -> None:
    world = silent()
    world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
    world.peer.send_crypto(HANDSHAKE, message(KEY_UPDATE, b"\x00"))
    world.settle()
    closed_with(world, CRYPTO_ERROR + UNEXPECTED_MESSAGE)


# --- 16 -----------------------------------------------------------------------------------------


def test_16_certificate_for_another_name() -> None:
    script = with_tls(identity=identity("other.test"))
    world = World(script)
    world.run_until(lambda: world.terminated)
    world.settle()
    event = world.terminated
    assert event is not None
    assert event.code in (CRYPTO_ERROR + BAD_CERTIFICATE, CRYPTO_ERROR + CERTIFICATE_UNKNOWN)
    closed_with(world, event.code)
    assert SERVER_NAME in event.reason
    assert not released(world)


def test_16_expired_certificate() -> None:
    refused(with_tls(identity=identity(expired=True)), CRYPTO_ERROR + CERTIFICATE_EXPIRED)


def test_16_untrusted_certificate() -> None:
    refused(with_tls(identity=identity(number=1)), CRYPTO_ERROR + UNKNOWN_CA)


def rewriting(name: str, change: Callable[[bytes], bytes]) -> ServerScript:
    def rewrite(seen: str, data: bytes) -> bytes:
        return change(data) if seen == name else data

    return with_tls(rewrite=rewrite)


def flip_last_bit(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_16_bad_certificate_verify() -> None:
    script = rewriting("certificate_verify", flip_last_bit)
    refused(script, CRYPTO_ERROR + DECRYPT_ERROR)


def test_16_certificate_verify_with_a_signature_algorithm_not_offered() -> None:
    def change(data: bytes) -> bytes:
        return message(CERTIFICATE_VERIFY, b"\x02\x01" + data[6:])

    world = refused(rewriting("certificate_verify", change), CRYPTO_ERROR + ILLEGAL_PARAMETER)
    assert world.terminated is not None


def test_16_bad_finished() -> None:
    refused(rewriting("finished", flip_last_bit), CRYPTO_ERROR + DECRYPT_ERROR)


def test_16_empty_chain() -> None:
    script = rewriting("certificate", lambda _: certificate_message([]))
    refused(script, CRYPTO_ERROR + DECODE_ERROR)


def test_16_a_chain_that_is_not_x509() -> None:
    script = rewriting("certificate", lambda _: certificate_message([b"not a certificate"]))
    refused(script, CRYPTO_ERROR + BAD_CERTIFICATE)


def test_16_oversized_chain_ends_before_it_is_buffered() -> None:
    """The header announces 16 MiB: the alert comes with the announcement."""
    world = silent()
    world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
    encrypted_extensions = world.peer.tls.output[1][1]
    world.peer.send_crypto(HANDSHAKE, encrypted_extensions)
    world.peer.send_crypto(HANDSHAKE, b"\x0b\xff\xff\xff" + bytes(100))
    world.settle()
    event = world.terminated
    assert event is not None
    assert CRYPTO_ERROR <= event.code <= CRYPTO_ERROR + 255
    closed_with(world, event.code)
    assert not released(world)


@pytest.mark.parametrize(
    ("name", "change", "alert"),
    [
        # a cipher suite that was not offered
        ("server_hello", lambda d: d[:39] + b"\x13\x04" + d[41:], ILLEGAL_PARAMETER),
        # an extension that was not asked for (RFC 8446 section 4.2)
        (
            "encrypted_extensions",
            lambda d: message(8, opaque(2, d[6:] + extension(0x4242, b""))),
            110,
        ),
        # the same extension twice
        (
            "encrypted_extensions",
            lambda d: message(8, opaque(2, d[6:] + extension(16, b"\x00\x05\x04test"))),
            ILLEGAL_PARAMETER,
        ),
        ("server_hello", lambda d: message(2, d[4:-1]), DECODE_ERROR),
    ],
)
def test_16_other_broken_messages(name: str, change: Callable[[bytes], bytes], alert: int) -> None:
    refused(rewriting(name, change), CRYPTO_ERROR + alert)


def test_16_second_hello_retry_request() -> None:
    tls = TlsScript(retry_group=0x18, hello_retries=2, groups=(0x18,))
    refused(ServerScript(tls=tls), CRYPTO_ERROR + UNEXPECTED_MESSAGE)


# --- 17 -----------------------------------------------------------------------------------------


def test_17_handshake_done_too_early() -> None:
    world = silent()
    world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
    world.settle()
    world.attack(b"\x1e", HANDSHAKE)
    closed_with(world, PROTOCOL_VIOLATION, 0x1E)
    assert not world.seen(ev.HandshakeConfirmed)


def test_17_handshake_done_in_1_rtt_before_our_finished() -> None:
    """It waits for its keys, and then says that the server knew what it cannot have known."""
    world = silent()
    world.peer.send(APPLICATION, b"\x1e")
    world.settle()
    assert world.terminated is None
    world.peer.send_flight()
    world.settle()
    closed_with(world, PROTOCOL_VIOLATION, 0x1E)
    assert not world.seen(ev.HandshakeConfirmed)


def test_17_empty_new_token() -> None:
    world = World().connect()
    world.attack(b"\x07\x00")
    closed_with(world, FRAME_ENCODING_ERROR, 0x07)


def test_17_tokens_are_capped() -> None:
    world = World().connect()
    for number in range(100):
        world.peer.send(APPLICATION, fr.encode_new_token(b"token %d" % number + bytes(900)))
        world.run_for(2 * world.delay)
    assert 1 <= len(world.client._dispatcher.new_tokens) <= 16
    goes_on(world)


def test_17_tickets_are_capped() -> None:
    world = World().connect()
    for number in range(100):
        ticket = new_session_ticket(ticket=b"ticket %d" % number + bytes(900))
        world.peer.send_crypto(APPLICATION, ticket)
        world.run_for(2 * world.delay)
    assert 1 <= len(world.client._handshake._tls.tickets) <= 16
    goes_on(world)


# --- 18 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 1, 0xFFFFFFFE])
def test_18_ticket_with_another_max_early_data(limit: int) -> None:
    world = World().connect()
    world.peer.send_crypto(APPLICATION, new_session_ticket(limit))
    world.settle()
    closed_with(world, PROTOCOL_VIOLATION)


def test_18_ticket_with_the_right_max_early_data() -> None:
    world = World().connect()
    world.peer.send_crypto(APPLICATION, new_session_ticket(0xFFFFFFFF))
    world.settle()
    goes_on(world)


def test_18_ticket_that_is_cut_short() -> None:
    world = World().connect()
    body = struct.pack(">II", 7200, 1) + b"\x05ab"
    world.peer.send_crypto(APPLICATION, message(4, body))
    world.settle()
    closed_with(world, CRYPTO_ERROR + DECODE_ERROR)
