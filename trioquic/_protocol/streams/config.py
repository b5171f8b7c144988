"""How much this side buffers and lets the peer send.

The `initial_*` values are what goes into our transport parameters (RFC 9000 section 18.2), that of
a stream for all three kinds. The `max_*` values bound what the windows may grow to.
"""

from dataclasses import dataclass
from typing import Final

MEBIBYTE: Final = 1 << 20


@dataclass(slots=True, kw_only=True)
class StreamConfig:
    """Limits of all streams of one connection, in bytes and streams."""

    initial_max_data: int = 2 * MEBIBYTE
    initial_max_stream_data: int = MEBIBYTE
    max_data_window: int = 24 * MEBIBYTE
    max_stream_window: int = 16 * MEBIBYTE
    initial_max_streams_bidi: int = 100
    initial_max_streams_uni: int = 100
    send_buffer: int = MEBIBYTE
