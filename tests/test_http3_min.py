"""The prepared HTTP/3 bytes are right for a complete implementation, and answers are read back."""

import pylsqpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import http3_min as h3


def decode(block: bytes) -> dict[bytes, bytes]:
    _, headers = pylsqpack.Decoder(0, 0).feed_header(0, block)
    return dict(headers)


@pytest.mark.parametrize("post", [False, True])
def test_a_request_is_understood_by_a_qpack_decoder(post: bool) -> None:
    path = "/" + "long/" * 60
    data = h3.request("localhost:4433", path, post=post)
    kind, pos = h3.read_varint(data, 0) or (None, 0)
    size, pos = h3.read_varint(data, pos) or (None, 0)
    assert (kind, size) == (h3.HEADERS, len(data) - pos)
    assert decode(data[pos:]) == {
        b":method": b"POST" if post else b"GET",
        b":scheme": b"https",
        b":authority": b"localhost:4433",
        b":path": path.encode(),
    }


@pytest.mark.parametrize(
    "status", [100, 103, 200, 204, 206, 301, 404, 418, 425, 500, 503, 599, 678]
)
def test_the_status_is_found_however_it_is_coded(status: int) -> None:
    headers = [(b":status", str(status).encode()), (b"server", b"x")]
    _, block = pylsqpack.Encoder().encode(0, headers)
    assert h3.read_status(block) == status


@given(st.data())
def test_a_response_in_any_pieces_gives_the_body(data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.binary(max_size=200), max_size=5))
    interim = h3.frame(h3.HEADERS, bytes.fromhex("0000") + h3.prefixed(63, 6, 0xC0))
    wire = interim + h3.frame(h3.HEADERS, bytes.fromhex("0000d9")) + h3.frame(0x21, b"grease")
    wire += b"".join(h3.frame(h3.DATA, part) for part in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    parser = h3.ResponseParser()
    body = b"".join(
        parser.feed(wire[a:b]) for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)
    )
    parser.finish()
    assert (parser.status, body, parser.body_size) == (200, b"".join(parts), len(body))


def test_a_response_that_is_cut_off_is_no_response() -> None:
    parser = h3.ResponseParser()
    parser.feed(h3.frame(h3.HEADERS, bytes.fromhex("0000d9")) + h3.data_header(10) + b"123")
    with pytest.raises(h3.BadResponseError):
        parser.finish()


@pytest.mark.parametrize("block", ["", "0000", "0000ff", "000080", "000051", "0000d1"])
def test_a_header_block_without_a_status_is_refused(block: str) -> None:
    with pytest.raises(h3.BadResponseError):
        h3.read_status(bytes.fromhex(block))
