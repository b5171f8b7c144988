"""From CRYPTO bytes to handshake messages.

QUIC hands over the bytes of one encryption level in order, cut anywhere. A message is a type
byte, a 24-bit length and a body (RFC 8446 section 4). The length is judged as soon as it is
readable, so that no server can make us keep more than `MAX_MESSAGE` bytes and what one CRYPTO
frame adds to them.
"""

from typing import Final

from .alerts import ILLEGAL_PARAMETER, tls_error

HEADER_SIZE: Final = 4
# Room for the largest chains seen in the wild many times over, and far below the 16 MiB that the
# length field would allow.
MAX_MESSAGE: Final = 128 * 1024


class MessageAssembler:
    """The unread bytes of the encryption level that is being received."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self.buffer += data

    def next_untrusted(self) -> bytes | None:
        """The next whole message with its header, or None while it is incomplete."""
        buffer = self.buffer
        if len(buffer) < HEADER_SIZE:
            return None
        size = HEADER_SIZE + int.from_bytes(buffer[1:HEADER_SIZE], "big")
        if size > MAX_MESSAGE:
            raise tls_error(ILLEGAL_PARAMETER, f"a handshake message of {size} bytes is refused")
        if len(buffer) < size:
            return None
        message = bytes(buffer[:size])
        del buffer[:size]  # constant time at the front of a bytearray
        return message

    @property
    def pending(self) -> int:
        """Bytes that belong to no whole message yet."""
        return len(self.buffer)
