"""Streams, their flow control, the handshake's CRYPTO streams (RFC 9000 sections 2-4, 7.5).

table.py         the façade: commands, views, frames in
inventory.py     which streams exist, may be opened, are gone (sections 2.1, 4.6)
send_half.py     one direction, sending (section 3.1)      send_buffer.py  its bytes
receive_half.py  one direction, receiving (section 3.2)    reassembly.py   its bytes
flow.py          windows and credit (section 4)
outbound.py      frames out, their loss and acknowledgement
scheduler.py     whose turn it is to send (section 2.3)    control.py      queued control frames
crypto_stream.py CRYPTO frames of one packet-number space
"""

from .config import StreamConfig
from .crypto_stream import CryptoStream
from .receive_half import ReceiveState
from .send_half import SendState
from .table import StreamTable

__all__ = ["CryptoStream", "ReceiveState", "SendState", "StreamConfig", "StreamTable"]
