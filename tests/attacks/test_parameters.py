"""Attacks 11 to 13: transport parameters and ALPN."""

import pytest

from tests.attacks.expect import goes_on
from tests.attacks.handshakes import MISSING_EXTENSION, NO_APPLICATION_PROTOCOL, refused, with_tls
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
from tests.peer.world import World
from trioquic._protocol.errors import (
    CRYPTO_ERROR,
    TRANSPORT_PARAMETER_ERROR,
)
from trioquic._protocol.wire.varint import encode_varint

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


def test_12_preferred_address_with_the_connection_id_of_the_handshake() -> None:
    """It would be used on two paths, as number 0 and as number 1 (RFC 9000 section 9.5)."""
    value = preferred_address(V4, ServerScript().cid, TOKEN)
    script = ServerScript(spare_ids=0, parameters={PREFERRED_ADDRESS: value})
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


def test_13_no_transport_parameter_extension() -> None:
    script = with_tls(transport_parameters=None)
    refused(script, CRYPTO_ERROR + MISSING_EXTENSION)


@pytest.mark.parametrize("alpn", [None, "h2", "tes", "test2"])
def test_13_wrong_alpn(alpn: str | None) -> None:
    refused(with_tls(alpn=alpn), CRYPTO_ERROR + NO_APPLICATION_PROTOCOL)
