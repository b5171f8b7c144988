"""The kernel's messages and attributes are taken apart as rtnetlink(7) puts them together."""

import struct

import pytest

from trioquic._runtime.system import netlink


def test_requests_and_attributes_are_read_as_they_were_written() -> None:
    body = b"\0" * 8 + netlink.attribute(1, b"four") + netlink.attribute(2, b"")
    data = netlink.request(26, 1, body) + netlink.request(3, 2, b"")
    assert list(netlink.messages(data)) == [(26, 1, body), (3, 2, b"")]
    attributes = [(kind, whole[netlink.VALUE :]) for kind, whole in netlink.attributes(body, 8)]
    assert attributes == [(1, b"four"), (2, b"")]


def test_the_next_begins_at_a_whole_word() -> None:
    odd = struct.pack("=HH", 5, 7) + b"x"
    body = odd + bytes(3) + odd
    assert list(netlink.attributes(body, 0)) == [(7, odd), (7, odd)]
    message = struct.pack("=IHHII", 17, 7, 0, 0, 0) + b"x"
    assert list(netlink.messages(message + bytes(3) + message)) == [(7, 0, b"x"), (7, 0, b"x")]


@pytest.mark.parametrize("length", [0, 1, 3, 9, 0xFFFF])
def test_attributes_of_an_impossible_length(length: int) -> None:
    body = struct.pack("=HH", length, 1) + b"four"
    with pytest.raises(OSError, match="impossible"):
        list(netlink.attributes(body, 0))


@pytest.mark.parametrize("length", [0, 4, 15, 21, 0xFFFFFFFF])
def test_messages_of_an_impossible_length(length: int) -> None:
    data = struct.pack("=IHHII", length, 20, 0, 0, 0) + b"four"
    with pytest.raises(OSError, match="impossible"):
        list(netlink.messages(data))
