"""What can go wrong inside the protocol, and the numbers that go on the wire for it.

Every function that takes bytes from the network (its name ends in `_untrusted`) raises
`BadPacketError` and nothing else. Whoever calls it decides what that means: before a packet is
authenticated the packet is dropped, after it the connection is closed with the error's code.
"""

from typing import Final

# RFC 9000 section 20.1
INTERNAL_ERROR: Final = 0x01
FLOW_CONTROL_ERROR: Final = 0x03
STREAM_LIMIT_ERROR: Final = 0x04
STREAM_STATE_ERROR: Final = 0x05
FINAL_SIZE_ERROR: Final = 0x06
FRAME_ENCODING_ERROR: Final = 0x07
TRANSPORT_PARAMETER_ERROR: Final = 0x08
CONNECTION_ID_LIMIT_ERROR: Final = 0x09
PROTOCOL_VIOLATION: Final = 0x0A
APPLICATION_ERROR: Final = 0x0C
CRYPTO_BUFFER_EXCEEDED: Final = 0x0D
KEY_UPDATE_ERROR: Final = 0x0E
AEAD_LIMIT_REACHED: Final = 0x0F
VERSION_NEGOTIATION_ERROR: Final = 0x11  # RFC 9368 section 10.2
CRYPTO_ERROR: Final = 0x100  # plus the TLS alert's number (RFC 9001 section 4.8)

NAMES: Final[dict[int, str]] = dict(
    enumerate(
        """
        NO_ERROR INTERNAL_ERROR CONNECTION_REFUSED FLOW_CONTROL_ERROR STREAM_LIMIT_ERROR
        STREAM_STATE_ERROR FINAL_SIZE_ERROR FRAME_ENCODING_ERROR TRANSPORT_PARAMETER_ERROR
        CONNECTION_ID_LIMIT_ERROR PROTOCOL_VIOLATION INVALID_TOKEN APPLICATION_ERROR
        CRYPTO_BUFFER_EXCEEDED KEY_UPDATE_ERROR AEAD_LIMIT_REACHED NO_VIABLE_PATH
        VERSION_NEGOTIATION_ERROR
        """.split()
    )
)


def error_name(code: int) -> str:
    """The RFC's name of a transport error code, for messages to people."""
    if CRYPTO_ERROR <= code <= CRYPTO_ERROR + 0xFF:
        return f"CRYPTO_ERROR (TLS alert {code - CRYPTO_ERROR})"
    return NAMES.get(code, f"error {code:#x}")


class BadPacketError(Exception):
    """The peer sent something that the specification does not allow."""

    def __init__(self, code: int, reason: str, frame_type: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.frame_type = frame_type

    def __str__(self) -> str:
        return f"{error_name(self.code)}: {self.reason}"


class IllegalTransitionError(Exception):
    """A state machine was asked for a step its table does not have: a bug of ours."""


class CommandError(Exception):
    """The application asked for something the connection cannot do in its present state."""
