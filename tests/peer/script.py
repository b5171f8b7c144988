"""What a scripted server does on its own. Everything else a test sends by hand."""

from dataclasses import dataclass, field

from trioquic._protocol.wire.varint import encode_varint

from .packets import APPLICATION
from .tls_server import TlsScript

GREASE_QUIC_BIT = 0x2AB2
ORIGINAL_DCID, MAX_IDLE_TIMEOUT, RESET_TOKEN, MAX_UDP_PAYLOAD = 0x00, 0x01, 0x02, 0x03
MAX_DATA, STREAM_DATA_BIDI_LOCAL, STREAM_DATA_BIDI_REMOTE, STREAM_DATA_UNI = 0x04, 0x05, 0x06, 0x07
STREAMS_BIDI, STREAMS_UNI, ACK_DELAY_EXPONENT, MAX_ACK_DELAY = 0x08, 0x09, 0x0A, 0x0B
DISABLE_ACTIVE_MIGRATION, PREFERRED_ADDRESS, ACTIVE_CID_LIMIT = 0x0C, 0x0D, 0x0E
INITIAL_SCID, RETRY_SCID = 0x0F, 0x10


def encode_parameters(parameters: dict[int, bytes]) -> bytes:
    """Transport parameters as they come, right or wrong."""
    return b"".join(
        encode_varint(key) + encode_varint(len(value)) + value for key, value in parameters.items()
    )


def preferred_address(
    ipv4: tuple[bytes, int], cid: bytes, token: bytes, ipv6: tuple[bytes, int] = (bytes(16), 0)
) -> bytes:
    address = ipv4[0] + ipv4[1].to_bytes(2, "big") + ipv6[0] + ipv6[1].to_bytes(2, "big")
    return address + bytes([len(cid)]) + cid + token


@dataclass
class ServerScript:
    """The defaults make an ordinary, well-behaved server."""

    tls: TlsScript = field(default_factory=TlsScript)
    cid: bytes = b"\xc0" + b"server0"
    reset_token: bytes = b"reset-token-seq0"
    retry: bool = False
    retry_cid: bytes = b"\xcfretrycid"
    retry_token: bytes = b"address validated"
    # transport parameters by number; None leaves a default one out
    parameters: dict[int, bytes | None] = field(default_factory=dict)
    parameter_suffix: bytes = b""  # raw bytes after them: duplicates, truncated ones
    send_crypto: bool = True  # False: the TLS flight waits in `tls.output` for the test
    handshake_done: bool = True  # False: our Finished has not come, and 1-RTT waits for it
    acknowledge: bool = True
    report_ecn: bool = False  # ACK frames count the marks that came in
    answer_challenges: bool = True
    challenge_new_paths: bool = True  # RFC 9000 section 9.3: the server validates too
    # a packet makes a new path only if it has the highest number so far, and is dropped otherwise
    new_paths_need_newest: bool = False
    follow_migration: bool = True  # send to the path of the newest non-probing packet
    spare_ids: int = 4  # how many connection IDs to keep the client supplied with
    hoard_ids: bool = False  # keep the client's IDs of paths that the client gave up
    obey_retire_prior_to: bool = True

    def acknowledges(self, space: int) -> bool:
        """Whether what comes in this space is acknowledged by itself."""
        return self.acknowledge and (self.handshake_done or space != APPLICATION)


def default_parameters(script: ServerScript, original_dcid: bytes) -> dict[int, bytes]:
    parameters: dict[int, bytes] = {
        ORIGINAL_DCID: original_dcid,
        INITIAL_SCID: script.cid,
        MAX_IDLE_TIMEOUT: encode_varint(30_000),
        RESET_TOKEN: script.reset_token,
        MAX_UDP_PAYLOAD: encode_varint(1472),
        MAX_DATA: encode_varint(1 << 20),
        STREAM_DATA_BIDI_LOCAL: encode_varint(1 << 18),
        STREAM_DATA_BIDI_REMOTE: encode_varint(1 << 18),
        STREAM_DATA_UNI: encode_varint(1 << 18),
        STREAMS_BIDI: encode_varint(100),
        STREAMS_UNI: encode_varint(100),
        ACTIVE_CID_LIMIT: encode_varint(4),
    }
    if script.retry:
        parameters[RETRY_SCID] = script.retry_cid
    if not script.cid:
        # RFC 9000 section 18.2: no reset token goes with a zero-length connection ID
        del parameters[RESET_TOKEN]
    for key, value in script.parameters.items():
        if value is None:
            parameters.pop(key, None)
        else:
            parameters[key] = value
    return parameters


def set_parameters(script: ServerScript, original_dcid: bytes) -> None:
    """Fill in the transport parameters, now that the client's first connection ID is known."""
    if script.tls.transport_parameters == b"":
        parameters = encode_parameters(default_parameters(script, original_dcid))
        script.tls.transport_parameters = parameters + script.parameter_suffix
