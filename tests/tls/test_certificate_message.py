"""Certificates that come compressed (RFC 8879), and what is stapled to them: an OCSP response (RFC
6066 section 8) and certificate timestamps (RFC 6962 section 3.3)."""

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import tls_server as peer
from tests.peer.certificates import identity
from tests.tls import pki
from tests.tls.scripted import (
    BAD_CERTIFICATE,
    DECODE_ERROR,
    ILLEGAL_PARAMETER,
    OCSP,
    TIMESTAMPS,
    UNEXPECTED_MESSAGE,
    Change,
    compressed,
    extension,
    message,
    ocsp,
    opaque,
    refused,
    rewriting,
    run,
    stapling,
)
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.tls.assembler import MAX_MESSAGE
from trioquic._protocol.tls.certificate_message import decompress_untrusted, parse_chain_untrusted

STAMPS = opaque(2, opaque(2, b"first") + opaque(2, b"second"))


@pytest.mark.parametrize("request_certificate", [False, True])
def test_a_compressed_certificate(request_certificate: bool) -> None:
    plain, short = pki.make_client(), pki.make_client()
    more = {"request_certificate": request_certificate}
    sizes = []

    def measured(data: bytes) -> bytes:
        sizes.append((len(data), len(compressed(data))))
        return compressed(data)

    run(plain, rewriting("certificate", lambda data: data, **more))
    run(short, rewriting("certificate", measured, **more))
    assert plain.complete and short.complete
    assert short.server.certificates == plain.server.certificates != ()
    assert sizes[0][1] < sizes[0][0]


def test_what_the_offer_says() -> None:
    server = peer.TlsServer(peer.TlsScript())
    client = pki.make_client()
    client.start()
    server.receive(*client.take_output()[0])
    offered = dict(server.client_hellos[0].other_extensions)
    assert offered[27] == b"\x02\x00\x01"  # zlib, and nothing else
    assert offered[OCSP] == b"\x01\x00\x00\x00\x00"
    assert offered[TIMESTAMPS] == b""


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


BAD: dict[str, tuple[Change, int, str]] = {
    "brotli": (lambda data: compressed(data, algorithm=2), ILLEGAL_PARAMETER, "was not offered"),
    "no zlib": (
        lambda data: compressed(data, content=b"rubbish"),
        BAD_CERTIFICATE,
        "no zlib data",
    ),
    "a broken checksum": (
        lambda data: compressed(data, content=flipped(zlib.compress(data[4:]))),
        BAD_CERTIFICATE,
        "no zlib data",
    ),
    "cut off": (
        lambda data: compressed(data, content=zlib.compress(data[4:])[:-1]),
        BAD_CERTIFICATE,
        "not as long",
    ),
    "more than it says": (
        lambda data: compressed(data, size=len(data) - 5),
        BAD_CERTIFICATE,
        "not as long",
    ),
    "less than it says": (
        lambda data: compressed(data, size=len(data) - 3),
        BAD_CERTIFICATE,
        "not as long",
    ),
    "something behind": (
        lambda data: compressed(data, content=zlib.compress(data[4:]) + b"x"),
        BAD_CERTIFICATE,
        "not as long",
    ),
    "empty": (lambda data: compressed(data, content=b""), DECODE_ERROR, "too short"),
    "too long": (
        lambda data: compressed(data, size=MAX_MESSAGE - 3),
        BAD_CERTIFICATE,
        "bytes is refused",
    ),
    "bytes after it": (
        lambda data: message(peer.COMPRESSED_CERTIFICATE, compressed(data)[4:] + b"x"),
        DECODE_ERROR,
        "too many",
    ),
    "a whole message inside": (
        lambda data: compressed(b"head" + data),
        DECODE_ERROR,
        "truncated",
    ),
    "no certificate in it": (
        lambda data: compressed(peer.certificate_message([])),
        DECODE_ERROR,
        "no certificate",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_compression(name: str) -> None:
    change, alert, text = BAD[name]
    refused(rewriting("certificate", change), alert, text)


@pytest.mark.parametrize("place", ["encrypted_extensions", "certificate_verify", "finished"])
def test_only_in_the_place_of_a_certificate(place: str) -> None:
    more = compressed(peer.certificate_message(identity().chain))
    if place == "encrypted_extensions":
        refused(rewriting(place, lambda data: more + data), UNEXPECTED_MESSAGE, "Certificate while")
    else:
        refused(rewriting(place, lambda data: more), UNEXPECTED_MESSAGE, "Certificate while")


@pytest.mark.parametrize("declared", [1, MAX_MESSAGE - 4])
def test_a_bomb_never_explodes(declared: int) -> None:
    """16 MiB behind 16 KiB: nothing beyond what was announced is produced."""
    bomb = zlib.compress(bytes(16 << 20))
    assert len(bomb) < MAX_MESSAGE
    body = compressed(b"head", size=declared, content=bomb)[4:]
    tracemalloc.start()
    try:
        with pytest.raises(BadPacketError, match="not as long"):
            decompress_untrusted(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_MESSAGE


def test_the_staples_are_given_out() -> None:
    client = pki.make_client()
    leaf, issuer = ocsp(b"of the leaf") + extension(TIMESTAMPS, STAMPS), ocsp(b"of the issuer")
    run(client, rewriting("certificate", stapling(leaf, issuer)))
    assert client.complete
    assert client.server.ocsp_response == b"of the leaf"
    assert client.server.signed_certificate_timestamps == STAMPS


def test_staples_in_a_compressed_certificate() -> None:
    client = pki.make_client()
    staple = stapling(ocsp(b"response"))
    run(client, rewriting("certificate", lambda data: compressed(staple(data))))
    assert client.complete
    assert (client.server.ocsp_response, client.server.signed_certificate_timestamps) == (
        b"response",
        None,
    )


def test_the_staples_of_an_issuer_are_not_the_leafs() -> None:
    client = pki.make_client()
    run(client, rewriting("certificate", stapling(b"", ocsp(b"of the issuer"))))
    assert client.complete
    assert (client.server.ocsp_response, client.server.signed_certificate_timestamps) == (
        None,
        None,
    )


BAD_STAPLES: dict[str, tuple[Change, int, str]] = {
    "another type of status": (
        stapling(ocsp(b"response", kind=b"\x02")),
        ILLEGAL_PARAMETER,
        "status of type 2",
    ),
    "empty response": (stapling(ocsp(b"")), DECODE_ERROR, "too short"),
    "empty status": (stapling(extension(OCSP, b"")), DECODE_ERROR, "truncated"),
    "cut response": (
        stapling(extension(OCSP, b"\x01\x00\x00\x05resp")),
        DECODE_ERROR,
        "truncated",
    ),
    "bytes after the response": (
        stapling(extension(OCSP, b"\x01" + opaque(3, b"response") + b"x")),
        DECODE_ERROR,
        "too many",
    ),
    "bad status of an issuer": (stapling(b"", extension(OCSP, b"")), DECODE_ERROR, "truncated"),
    "no timestamps": (stapling(extension(TIMESTAMPS, b"\0\0")), DECODE_ERROR, "too short"),
    "empty timestamp": (stapling(extension(TIMESTAMPS, b"\0\2\0\0")), DECODE_ERROR, "too short"),
    "cut timestamp": (stapling(extension(TIMESTAMPS, b"\0\3\0\2x")), DECODE_ERROR, "truncated"),
    "bytes after the timestamps": (
        stapling(extension(TIMESTAMPS, STAMPS + b"x")),
        DECODE_ERROR,
        "too many",
    ),
    "twice": (stapling(ocsp(b"1") + ocsp(b"2")), ILLEGAL_PARAMETER, "extension 5 twice"),
    "compression in the wrong place": (
        stapling(extension(27, b"\x02\x00\x01")),
        ILLEGAL_PARAMETER,
        "must not have extension 27",
    ),
}


@pytest.mark.parametrize("name", BAD_STAPLES)
def test_bad_staples(name: str) -> None:
    change, alert, text = BAD_STAPLES[name]
    refused(rewriting("certificate", change), alert, text)


@pytest.mark.parametrize("content", [ocsp(b"response"), extension(TIMESTAMPS, STAMPS)])
@pytest.mark.parametrize("where", ["encrypted_extensions", "server_hello"])
def test_staples_in_the_wrong_message(where: str, content: bytes) -> None:
    """RFC 8446 section 4.2: an extension in a message it does not belong to."""

    def change(data: bytes) -> bytes:
        at = 4 if where == "encrypted_extensions" else 4 + 2 + 32 + 1 + 2 + 1
        block = int.from_bytes(data[at : at + 2], "big") + len(content)
        body = data[4:at] + block.to_bytes(2, "big") + data[at + 2 :] + content
        return message(data[0], body)

    refused(rewriting(where, change), ILLEGAL_PARAMETER, "must not have extension")


@given(st.binary(max_size=200), st.integers(0, 300), st.booleans())
def test_any_compressed_body(content: bytes, size: int, packed: bool) -> None:
    data = zlib.compress(content) if packed else content
    body = b"\x00\x01" + size.to_bytes(3, "big") + opaque(3, data)
    try:
        assert len(decompress_untrusted(body)) == size
    except BadPacketError:
        return


@given(st.binary(max_size=60), st.sampled_from([OCSP, TIMESTAMPS]))
def test_any_staple(content: bytes, kind: int) -> None:
    entry = opaque(3, b"certificate") + opaque(2, extension(kind, content))
    body = opaque(1, b"") + opaque(3, entry)
    try:
        found = parse_chain_untrusted(body, frozenset((OCSP, TIMESTAMPS)))
    except BadPacketError:
        return
    if kind == OCSP:
        assert found.ocsp_response == content[4:]
    else:
        assert found.signed_certificate_timestamps == content
