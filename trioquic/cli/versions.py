"""Which versions of QUIC a server speaks: asked with a packet of a version that nobody speaks.

A server answers a long-header packet of an unknown version with Version Negotiation (RFC 9000
section 6), if the datagram is long enough to begin a connection. The versions of the form
0x?a?a?a?a are reserved for exactly this (section 15). The answer is not authenticated: it is
believed only as far as it repeats the connection IDs of the question.
"""

import os
from collections.abc import Awaitable
from typing import Final, TypeVar

import trio

from .. import Interface, bind_to_interface

_T = TypeVar("_T")
_LONG_HEADER: Final = 0x80
_FIXED_BIT: Final = 0x40
_SMALLEST_INITIAL: Final = 1200
_RESERVED_BITS: Final = 0x0F0F0F0F
_RESERVED: Final = 0x0A0A0A0A
_ID_LENGTH: Final = 8
# of the first repetition; then twice that
_FIRST_REPETITION: Final = 0.25
_REFUSALS: Final = 2
_NAMES: Final = {1: "1 (RFC 9000)", 0x6B3343CF: "2 (RFC 9369)", 0x709A50C4: "2 (draft)"}


def is_reserved(version: int) -> bool:
    """Whether a server lists the version only to keep clients used to unknown ones."""
    return version & _RESERVED_BITS == _RESERVED


def version_name(version: int) -> str:
    """For people."""
    if version >> 8 == 0xFF0000:
        return f"draft {version & 0xFF}"
    return _NAMES.get(version, f"{version:#010x}")


async def offered_versions(
    address: tuple[str, int], patience: float, interface: Interface | None = None
) -> tuple[int, ...] | None:
    """The versions that the server at this IP address and port offers, in its order. It is asked
    through the interface; None: wherever the system sends packets.

    None if it does not answer within `patience` seconds, or cannot be reached: also where its host
    says twice that nobody listens. Once may be a stray word about an earlier socket.
    """
    version = int.from_bytes(os.urandom(4), "big") & ~_RESERVED_BITS & 0xFFFFFFFF | _RESERVED
    destination, source = os.urandom(_ID_LENGTH), os.urandom(_ID_LENGTH)
    question = b"".join(
        [
            bytes([_LONG_HEADER | _FIXED_BIT | os.urandom(1)[0] & 0x3F]),
            version.to_bytes(4, "big"),
            bytes([_ID_LENGTH]) + destination,
            bytes([_ID_LENGTH]) + source,
        ]
    ).ljust(_SMALLEST_INITIAL, b"\0")
    family = trio.socket.AF_INET6 if ":" in address[0] else trio.socket.AF_INET
    with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as sock:
        pause = _FIRST_REPETITION
        refused = 0
        with trio.move_on_after(patience):
            try:
                if interface is not None:
                    bind_to_interface(sock, interface)
                await sock.connect(address)
            except OSError:
                return None
            while True:
                with trio.move_on_after(pause):
                    try:
                        await _undisturbed(sock.send(question))
                        while True:
                            answer = await _undisturbed(sock.recv(1 << 16))
                            versions = read_answer(answer, destination, source)
                            if versions is not None:
                                return versions
                    except ConnectionRefusedError:
                        refused += 1
                        if refused == _REFUSALS:
                            return None
                        await trio.sleep_forever()
                pause *= 2
    return None


async def _undisturbed(call: Awaitable[_T]) -> _T:
    """What it returns. A system's opinion about an earlier datagram, or about the route now, is no
    answer: it is to be asked again later."""
    try:
        return await call
    except ConnectionRefusedError:
        raise
    except OSError:
        await trio.sleep_forever()


def read_answer(data: bytes, destination: bytes, source: bytes) -> tuple[int, ...] | None:
    """The versions in a Version Negotiation packet (RFC 9000 section 17.2.1) that answers the
    question with these connection IDs; None if it is anything else."""
    ids = bytes([len(source)]) + source + bytes([len(destination)]) + destination
    versions = data[5 + len(ids) :]
    if not data or not data[0] & _LONG_HEADER or data[1:5] != bytes(4):
        return None
    if data[5 : 5 + len(ids)] != ids or not versions or len(versions) % 4:
        return None
    return tuple(int.from_bytes(versions[i : i + 4], "big") for i in range(0, len(versions), 4))
