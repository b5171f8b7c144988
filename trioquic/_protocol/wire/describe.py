"""Packets and frames as qlog describes them (draft-ietf-quic-qlog-quic-events), as JSON text.

For traces only. It says kinds, streams, offsets, lengths, limits and ranges, and nothing that a
frame carries for others: no data, no token, no stateless reset token. The data of PATH_CHALLENGE is
said, since it tells which response belongs to which challenge. Text rather than dictionaries, as
this is done for every packet of a traced connection; all of it is ASCII.
"""

from typing import Final

from ..errors import CRYPTO_ERROR, NAMES, BadPacketError
from . import frames
from .varint import Reader

# by packet-number space
PACKET_TYPES: Final = ("initial", "handshake", "1RTT", "0RTT")
# An ACK frame may have hundreds of ranges and is repeated; those of the newest packets matter.
_MOST_RANGES: Final = 32
_MOST_REASON: Final = 128

# what comes behind the type of a frame that is made of integers, and its name
_INTEGERS: Final = {
    frames.RESET_STREAM: (
        'reset_stream","stream_id":%d,"error":"unknown","error_code":%d,"final_size":%d'
    ),
    frames.STOP_SENDING: 'stop_sending","stream_id":%d,"error":"unknown","error_code":%d',
    frames.MAX_DATA: 'max_data","maximum":%d',
    frames.MAX_STREAM_DATA: 'max_stream_data","stream_id":%d,"maximum":%d',
    frames.MAX_STREAMS_BIDI: 'max_streams","stream_type":"bidirectional","maximum":%d',
    frames.MAX_STREAMS_UNI: 'max_streams","stream_type":"unidirectional","maximum":%d',
    frames.DATA_BLOCKED: 'data_blocked","limit":%d',
    frames.STREAM_DATA_BLOCKED: 'stream_data_blocked","stream_id":%d,"limit":%d',
    frames.STREAMS_BLOCKED_BIDI: 'streams_blocked","stream_type":"bidirectional","limit":%d',
    frames.STREAMS_BLOCKED_UNI: 'streams_blocked","stream_type":"unidirectional","limit":%d',
    frames.RETIRE_CONNECTION_ID: 'retire_connection_id","sequence_number":%d',
}
_PATH_DATA: Final = {frames.PATH_CHALLENGE: "challenge", frames.PATH_RESPONSE: "response"}


def describe_packet_untrusted(
    time: str,
    way: str,
    path_id: int,
    space: int,
    number: int,
    size: int,
    payload: bytes,
    ack_delay_exponent: int,
) -> str:
    """One record of a JSON text sequence (RFC 7464): a packet "sent" or "received" at `time`, in
    milliseconds."""
    frames_text = describe_frames_untrusted(payload, ack_delay_exponent)
    return (
        f'\x1e{{"time":{time},"name":"quic:packet_{way}","tuple":"{path_id}"'
        f',"data":{{"header":{{"packet_type":"{PACKET_TYPES[space]}","packet_number":{number}}}'
        f',"raw":{{"length":{size}}},"frames":[{frames_text}]}}}}\n'
    )


def describe_frames_untrusted(payload: bytes, ack_delay_exponent: int) -> str:
    """The elements of qlog's `frames`, separated by commas. Never raises: a frame that cannot be
    read is the last one, of an unknown type."""
    out: list[str] = []
    pos = 0
    end = len(payload)
    while pos < end:
        kind = payload[pos]
        try:
            if kind & 0xF8 == frames.STREAM:
                pos = _stream_untrusted(out, payload, kind, pos + 1, end)
            elif kind == frames.PADDING:
                start = pos
                pos = end - len(payload[start:].lstrip(b"\0"))
                out.append(f'{{"frame_type":"padding","raw":{{"payload_length":{pos - start}}}}}')
            else:
                reader = Reader(payload, 0, pos + 1, end)
                out.append(_other_untrusted(reader, kind, ack_delay_exponent))
                pos = reader.pos
        except BadPacketError:
            out.append(f'{{"frame_type":"unknown","frame_type_bytes":{kind}}}')
            break
    return ",".join(out)


def _stream_untrusted(out: list[str], payload: bytes, kind: int, pos: int, end: int) -> int:
    stream_id, offset, start, stop = frames.parse_stream_untrusted(payload, kind, pos, end)
    fin = ',"fin":true' if kind & frames.STREAM_FIN_BIT else ""
    place = f'"stream_id":{stream_id},"offset":{offset}'
    out.append(f'{{"frame_type":"stream",{place}{_lengths(stop - start, fin)}}}')
    return stop


def _lengths(length: int, between: str = "") -> str:
    # The drafts have moved the length into `raw`; qvis looks for it where it was.
    return f',"length":{length}{between},"raw":{{"length":{length}}}'


def _other_untrusted(reader: Reader, kind: int, ack_delay_exponent: int) -> str:
    if kind in _INTEGERS:
        text = _INTEGERS[kind] % frames.read_integers_untrusted(reader, kind)
        return f'{{"frame_type":"{text}}}'
    if kind in _PATH_DATA:
        data = frames.read_path_data_untrusted(reader).hex()
        return f'{{"frame_type":"path_{_PATH_DATA[kind]}","data":"{data}"}}'
    if kind == frames.ACK or kind == frames.ACK_ECN:
        ack, reader.pos = frames.parse_ack_untrusted(
            reader.data, reader.pos, reader.end, kind == frames.ACK_ECN
        )
        return _ack(ack, ack_delay_exponent)
    if kind == frames.PING:
        return '{"frame_type":"ping"}'
    if kind == frames.CRYPTO:
        offset, start, reader.pos = frames.parse_crypto_untrusted(
            reader.data, reader.pos, reader.end
        )
        return f'{{"frame_type":"crypto","offset":{offset}{_lengths(reader.pos - start)}}}'
    if kind == frames.NEW_TOKEN:
        start, reader.pos = frames.parse_new_token_untrusted(reader.data, reader.pos, reader.end)
        length = reader.pos - start
        return f'{{"frame_type":"new_token","token":{{"raw":{{"length":{length}}}}}}}'
    if kind == frames.NEW_CONNECTION_ID:
        new = frames.read_new_connection_id_untrusted(reader)
        return (
            f'{{"frame_type":"new_connection_id","sequence_number":{new.sequence}'
            f',"retire_prior_to":{new.retire_prior_to}'
            f',"connection_id":"{new.connection_id.hex()}"}}'
        )
    if kind == frames.CONNECTION_CLOSE or kind == frames.CONNECTION_CLOSE_APP:
        return _close_untrusted(reader, kind == frames.CONNECTION_CLOSE_APP)
    if kind == frames.DATAGRAM or kind == frames.DATAGRAM_WITH_LENGTH:
        start, reader.pos = frames.parse_datagram_untrusted(
            reader.data, kind, reader.pos, reader.end
        )
        return f'{{"frame_type":"datagram"{_lengths(reader.pos - start)}}}'
    if kind == frames.HANDSHAKE_DONE:
        return '{"frame_type":"handshake_done"}'
    raise reader.bad("unknown frame type")


def _ack(ack: frames.AckFrame, exponent: int) -> str:
    ranges = ",".join(
        [
            f"[{low}]" if low == high else f"[{low},{high}]"
            for low, high in ack.ranges[:_MOST_RANGES]
        ]
    )
    # microseconds to milliseconds
    delay = (ack.delay << exponent) / 1000
    counts = ""
    if ack.ecn is not None:
        counts = f',"ect0":{ack.ecn[0]},"ect1":{ack.ecn[1]},"ce":{ack.ecn[2]}'
    return f'{{"frame_type":"ack","ack_delay":{delay:.3f},"acked_ranges":[{ranges}]{counts}}}'


def _close_untrusted(reader: Reader, application: bool) -> str:
    code, frame_type, reason = frames.read_connection_close_untrusted(reader, application)
    space = "application" if application else "transport"
    error = "unknown" if application else describe_error(code)
    cause = "" if frame_type is None else f',"trigger_frame_type":{frame_type}'
    return (
        f'{{"frame_type":"connection_close","error_space":"{space}","error":"{error}"'
        f',"error_code":{code}{cause},"reason":"{plain_text(reason)}"}}'
    )


def describe_error(code: int) -> str:
    """qlog's name of a transport error code (TransportError and CryptoError)."""
    if CRYPTO_ERROR <= code <= CRYPTO_ERROR + 0xFF:
        return f"crypto_error_{code:#x}"
    return NAMES.get(code, "unknown").lower()


def plain_text(words: bytes) -> str:
    """Somebody's words, bounded, as the inside of a JSON string: nothing that could end it."""
    text = words[:_MOST_REASON].decode("ascii", "replace")
    return "".join([c if c.isalnum() or c in " .,:;-_/()#=+" else "?" for c in text])
