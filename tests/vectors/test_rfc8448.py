"""RFC 8448 section 3 through the client's parts: key exchange, schedule, messages, signature."""

import datetime

import pytest

from tests.vectors import rfc8448 as rfc
from trioquic._protocol.errors import PROTOCOL_VIOLATION, BadPacketError
from trioquic._protocol.tls import messages as msg
from trioquic._protocol.tls.assembler import HEADER_SIZE, MessageAssembler
from trioquic._protocol.tls.certificate_message import parse_chain_untrusted
from trioquic._protocol.tls.certificates import (
    read_server_certificate_untrusted,
    signing_key_untrusted,
)
from trioquic._protocol.tls.key_exchange import X25519, make_key_share
from trioquic._protocol.tls.key_schedule import KeySchedule
from trioquic._protocol.tls.signatures import RSA_PSS_RSAE_SHA256, verify_untrusted


def split(flight: bytes) -> list[bytes]:
    """The flight's messages, reassembled from fragments of seven bytes."""
    assembler = MessageAssembler()
    found = []
    for start in range(0, len(flight), 7):
        assembler.feed(flight[start : start + 7])
        while (message := assembler.next_untrusted()) is not None:
            found.append(message)
    assert assembler.pending == 0
    return found


def schedule_after_server_hello() -> KeySchedule:
    schedule = KeySchedule()
    schedule.absorb(rfc.CLIENT_HELLO)
    schedule.choose(0x1301)
    assert schedule.secret == rfc.EARLY_SECRET
    schedule.absorb(rfc.SERVER_HELLO)
    return schedule


def test_key_exchange() -> None:
    share = make_key_share(X25519, lambda size: rfc.CLIENT_PRIVATE)
    assert share.public == rfc.CLIENT_PUBLIC
    hello = msg.parse_server_hello_untrusted(rfc.SERVER_HELLO[HEADER_SIZE:])
    key_share = hello.extensions[51]
    assert key_share[:4] == b"\x00\x1d\x00\x20"
    assert share.shared_secret_untrusted(key_share[4:]) == rfc.SHARED_SECRET


def test_server_hello() -> None:
    hello = msg.parse_server_hello_untrusted(rfc.SERVER_HELLO[HEADER_SIZE:])
    assert hello.legacy_version == 0x0303
    assert hello.random == rfc.SERVER_HELLO[6:38]
    assert (hello.session_id, hello.cipher_suite, hello.compression) == (b"", 0x1301, 0)
    assert hello.random != msg.RETRY_RANDOM
    assert set(hello.extensions) == {43, 51}


def test_schedule_and_finished_of_both_sides() -> None:
    schedule = schedule_after_server_hello()
    assert schedule.transcript_hash() == rfc.HASH_TO_SERVER_HELLO
    client, server = schedule.enter_handshake(rfc.SHARED_SECRET)
    assert schedule.secret == rfc.HANDSHAKE_SECRET
    assert (client, server) == (rfc.CLIENT_HANDSHAKE, rfc.SERVER_HANDSHAKE)

    *before, finished = split(rfc.SERVER_FLIGHT)
    for message in before:
        schedule.absorb(message)
    assert msg.encode_message(msg.FINISHED, schedule.finished(server)) == finished
    schedule.absorb(finished)
    assert schedule.transcript_hash() == rfc.HASH_TO_SERVER_FINISHED

    assert schedule.enter_application() == (rfc.CLIENT_APPLICATION, rfc.SERVER_APPLICATION)
    assert schedule.secret == rfc.MASTER_SECRET
    own = msg.encode_message(msg.FINISHED, schedule.finished(client))
    assert own == rfc.CLIENT_FINISHED
    schedule.absorb(own)
    assert schedule.transcript_hash() == rfc.HASH_TO_CLIENT_FINISHED


def test_server_authentication() -> None:
    extensions, certificate, verify, _ = split(rfc.SERVER_FLIGHT)
    found = msg.parse_encrypted_extensions_untrusted(extensions[HEADER_SIZE:])
    assert set(found) == {10, 28, 0}
    chain = parse_chain_untrusted(certificate[HEADER_SIZE:], frozenset()).chain
    leaf = read_server_certificate_untrusted(chain[0])
    assert leaf.certificate.not_before == datetime.datetime(
        2016, 7, 30, 1, 23, 59, tzinfo=datetime.UTC
    )
    schedule = schedule_after_server_hello()
    schedule.absorb(extensions)
    schedule.absorb(certificate)
    scheme, signature = msg.parse_certificate_verify_untrusted(verify[HEADER_SIZE:])
    assert scheme == RSA_PSS_RSAE_SHA256
    key = signing_key_untrusted(leaf)
    verify_untrusted(key, scheme, signature, schedule.transcript_hash())
    schedule.absorb(verify)
    with pytest.raises(BadPacketError, match="does not hold the key"):
        verify_untrusted(key, scheme, signature, schedule.transcript_hash())


def test_the_ticket_of_the_rfc_is_not_for_quic() -> None:
    """It allows 1024 bytes of early data, and QUIC knows only "any" (RFC 9001 section 4.6.1)."""
    with pytest.raises(BadPacketError, match="1024") as caught:
        msg.parse_new_session_ticket_untrusted(rfc.NEW_SESSION_TICKET[HEADER_SIZE:])
    assert caught.value.code == PROTOCOL_VIOLATION
    fitting = rfc.NEW_SESSION_TICKET[HEADER_SIZE:-4] + b"\xff\xff\xff\xff"
    ticket = msg.parse_new_session_ticket_untrusted(fitting)
    assert (ticket.lifetime, ticket.nonce, len(ticket.ticket)) == (30, b"\x00\x00", 0xB2)
