"""RFC 9000 appendix A: sample variable-length integers and packet numbers."""

import pytest

from trioquic._protocol.wire.packets import decode_packet_number, packet_number_length
from trioquic._protocol.wire.varint import Reader, decode_varint_untrusted, encode_varint

A1_SAMPLES = [
    ("c2197c5eff14e88c", 151_288_809_941_952_652),
    ("9d7f3e7d", 494_878_333),
    ("7bbd", 15_293),
    ("25", 37),
]


@pytest.mark.parametrize(("encoded", "value"), A1_SAMPLES)
def test_a1_variable_length_integers(encoded: str, value: int) -> None:
    data = bytes.fromhex(encoded)
    assert encode_varint(value) == data
    assert Reader(data).varint_untrusted() == value
    assert decode_varint_untrusted(data, 0, len(data)) == (value, len(data))


def test_a1_an_encoding_longer_than_needed() -> None:
    assert Reader(bytes.fromhex("4025")).varint_untrusted() == 37


def test_a2_packet_number_encoding() -> None:
    assert packet_number_length(0xAC5C02, 0xABE8B3) == 2
    assert packet_number_length(0xACE8FE, 0xABE8B3) == 3


def test_a3_packet_number_decoding() -> None:
    assert decode_packet_number(0x9B32, 16, 0xA82F30EA) == 0xA82F9B32
