"""Frames as qlog describes them: valid JSON whatever comes, and true for every kind of frame."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer.wire import encode_new_token
from trioquic._protocol.wire import frames
from trioquic._protocol.wire.describe import describe_frames_untrusted


def described(payload: bytes, exponent: int = 3) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(f"[{describe_frames_untrusted(payload, exponent)}]")
    return found


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (bytes(20), {"frame_type": "padding", "raw": {"payload_length": 20}}),
        (b"\x01", {"frame_type": "ping"}),
        (
            frames.encode_ack([(9, 12), (5, 5)], 100, None),
            {"frame_type": "ack", "ack_delay": 0.8, "acked_ranges": [[9, 12], [5]]},
        ),
        (
            frames.encode_ack([(0, 0)], 0, (1, 2, 3)),
            {
                "frame_type": "ack",
                "ack_delay": 0,
                "acked_ranges": [[0]],
                "ect0": 1,
                "ect1": 2,
                "ce": 3,
            },
        ),
        (
            frames.encode_integers(frames.RESET_STREAM, 4, 7, 1000),
            {
                "frame_type": "reset_stream",
                "stream_id": 4,
                "error": "unknown",
                "error_code": 7,
                "final_size": 1000,
            },
        ),
        (
            frames.encode_integers(frames.STOP_SENDING, 4, 7),
            {"frame_type": "stop_sending", "stream_id": 4, "error": "unknown", "error_code": 7},
        ),
        (
            frames.encode_crypto(70, b"secret"),
            {"frame_type": "crypto", "offset": 70, "length": 6, "raw": {"length": 6}},
        ),
        (
            encode_new_token(b"secret"),
            {"frame_type": "new_token", "token": {"raw": {"length": 6}}},
        ),
        (
            frames.encode_stream_header(4, 70_000, 6, True) + b"secret",
            {
                "frame_type": "stream",
                "stream_id": 4,
                "offset": 70_000,
                "length": 6,
                "fin": True,
                "raw": {"length": 6},
            },
        ),
        (
            frames.encode_stream_header(0, 0, 6, False, has_length=False) + b"secret",
            {
                "frame_type": "stream",
                "stream_id": 0,
                "offset": 0,
                "length": 6,
                "raw": {"length": 6},
            },
        ),
        (frames.encode_integers(frames.MAX_DATA, 5), {"frame_type": "max_data", "maximum": 5}),
        (
            frames.encode_integers(frames.MAX_STREAM_DATA, 8, 5),
            {"frame_type": "max_stream_data", "stream_id": 8, "maximum": 5},
        ),
        (
            frames.encode_integers(frames.MAX_STREAMS_UNI, 5),
            {"frame_type": "max_streams", "stream_type": "unidirectional", "maximum": 5},
        ),
        (
            frames.encode_integers(frames.DATA_BLOCKED, 5),
            {"frame_type": "data_blocked", "limit": 5},
        ),
        (
            frames.encode_integers(frames.STREAM_DATA_BLOCKED, 8, 5),
            {"frame_type": "stream_data_blocked", "stream_id": 8, "limit": 5},
        ),
        (
            frames.encode_integers(frames.STREAMS_BLOCKED_BIDI, 5),
            {"frame_type": "streams_blocked", "stream_type": "bidirectional", "limit": 5},
        ),
        (
            frames.encode_new_connection_id(3, 1, b"\xab\xcd", bytes(16)),
            {
                "frame_type": "new_connection_id",
                "sequence_number": 3,
                "retire_prior_to": 1,
                "connection_id": "abcd",
            },
        ),
        (
            frames.encode_integers(frames.RETIRE_CONNECTION_ID, 3),
            {"frame_type": "retire_connection_id", "sequence_number": 3},
        ),
        (
            frames.encode_path_data(frames.PATH_CHALLENGE, b"12345678"),
            {"frame_type": "path_challenge", "data": b"12345678".hex()},
        ),
        (
            frames.encode_path_data(frames.PATH_RESPONSE, b"12345678"),
            {"frame_type": "path_response", "data": b"12345678".hex()},
        ),
        (
            frames.encode_connection_close(0x0A, 6, b'no "way"\x00'),
            {
                "frame_type": "connection_close",
                "error_space": "transport",
                "error": "protocol_violation",
                "error_code": 10,
                "trigger_frame_type": 6,
                "reason": "no ?way??",
            },
        ),
        (
            frames.encode_connection_close(0x100, None, b""),
            {
                "frame_type": "connection_close",
                "error_space": "application",
                "error": "unknown",
                "error_code": 256,
                "reason": "",
            },
        ),
        (b"\x1e", {"frame_type": "handshake_done"}),
        (b"\x31\x06secret", {"frame_type": "datagram", "length": 6, "raw": {"length": 6}}),
        (b"\x30secret", {"frame_type": "datagram", "length": 6, "raw": {"length": 6}}),
    ],
)
def test_every_kind(frame: bytes, said: dict[str, Any]) -> None:
    assert described(frame) == [said]
    # in the middle of others, unless it reaches to the end of the packet
    if frame[0] & 0xFA != frames.STREAM and frame[0] != frames.DATAGRAM:
        before_and_after = [{"frame_type": "ping"}] * 2
        assert described(b"\x01" + frame + b"\x01") == [
            before_and_after[0],
            said,
            {"frame_type": "ping"},
        ]


def test_the_senders_unit_of_delays() -> None:
    (ack,) = described(frames.encode_ack([(0, 0)], 100, None), 10)
    assert ack["ack_delay"] == 102.4


def test_many_ranges_are_cut() -> None:
    ranges = [(2 * n, 2 * n) for n in range(200, 0, -1)]
    (ack,) = described(frames.encode_ack(ranges, 0, None))
    assert ack["acked_ranges"][0] == [400]
    assert len(ack["acked_ranges"]) == 32


@pytest.mark.parametrize("payload", [b"\x06\x00\x05abc", b"\x0a\x00\x05abc", b"\x21", b"\x40\x01"])
def test_what_cannot_be_read_is_the_last_frame(payload: bytes) -> None:
    assert described(b"\x01" + payload) == [
        {"frame_type": "ping"},
        {"frame_type": "unknown", "frame_type_bytes": payload[0]},
    ]


@given(st.binary(max_size=200))
def test_anything_is_valid_json(payload: bytes) -> None:
    text = describe_frames_untrusted(payload, 3)
    assert text.isascii()
    assert json.loads(f"[{text}]") or not payload
