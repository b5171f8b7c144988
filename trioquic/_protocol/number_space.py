"""One packet-number space: its keys, its CRYPTO stream and what it has received.

RFC 9000 section 12.3: Initial, Handshake and application data count packets apart from each other.
The 1-RTT keys are not here: they come in phases and have a component of their own.
"""

from typing import Final

from .crypto.keys import PacketKeys
from .recovery.ack_tracker import AckTracker
from .space import APPLICATION
from .streams.crypto_stream import CryptoStream

# In the place of what a space has no use for any more. Both take in nothing: who feeds them asks
# `discarded` first, or is ignored. All connections share them.
_NO_CRYPTO: Final = CryptoStream()
_NO_CRYPTO.discard()
_NO_ACKS: Final = AckTracker(APPLICATION, 0.0)


class NumberSpace:
    """State of one space; discarded once its keys are (RFC 9001 section 4.9)."""

    def __init__(self, index: int, max_ack_delay: float) -> None:
        self.index = index
        self.crypto = CryptoStream()
        self.acks = AckTracker(index, max_ack_delay)
        self.read: PacketKeys | None = None
        self.write: PacketKeys | None = None
        self.discarded = False

    def install(self, suite: int, read: bytes, write: bytes, version: int) -> None:
        """Packets are opened and sealed with keys that follow from these secrets from now on."""
        self.read = PacketKeys.derive(suite, read, version)
        self.write = PacketKeys.derive(suite, write, version)

    def discard(self) -> None:
        """Forget keys and data; packets of this space are dropped from now on."""
        self.read = None
        self.write = None
        self.crypto = _NO_CRYPTO
        self.acks = _NO_ACKS
        self.discarded = True
