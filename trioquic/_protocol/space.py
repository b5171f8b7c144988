"""Numbers of the packet-number spaces (RFC 9000 section 12.3), which are also the TLS levels."""

from typing import Final

INITIAL: Final = 0
HANDSHAKE: Final = 1
APPLICATION: Final = 2

SPACES: Final = (INITIAL, HANDSHAKE, APPLICATION)
# Not a space: 0-RTT packets are numbered with application data. Observers are told the difference.
ZERO_RTT: Final = 3
