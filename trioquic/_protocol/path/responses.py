"""PATH_RESPONSE frames of one path (RFC 9000 section 8.2.2).

A challenge is answered once, on the path it came in on, and never again: the peer repeats the
question if it has to. Each answer makes a datagram of 1200 bytes, so a peer that does nothing but
challenge would get far more than it sends. Therefore the answers that wait share one packet, they
obey the congestion window, and no more than a few are on their way without an acknowledgement. Of
those that wait there may be as many; what comes beyond that is dropped and counted.
"""

from typing import Final

from ..builder import PacketBuilder
from ..recovery.sent import OUTSTANDING, SentPacket
from ..wire import frames

# So many may wait, and so many may be unacknowledged.
MOST_RESPONSES: Final = 8
_FRAME_SIZE: Final = 9


class Responses:
    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self._muted = False
        self.sent = 0
        self.dropped = 0
        # the packets that carry some, and how many each carries
        self._carriers: list[tuple[SentPacket, int]] = []
        # how many are in the packet that is being made
        self.written = 0

    def add_untrusted(self, data: bytes) -> None:
        """A PATH_CHALLENGE with this data came in."""
        if len(self.waiting) < MOST_RESPONSES and not self._muted:
            self.waiting.append(data)
        else:
            self.dropped += 1

    def mute(self, muted: bool) -> None:
        """None is sent from now on, or again."""
        self._muted = muted
        if muted:
            self.dropped += len(self.waiting)
            self.waiting.clear()

    @property
    def due(self) -> int:
        """How many may go out now, as far as the congestion window lets them."""
        if not self.waiting:
            return 0
        if self._carriers:
            # A packet that a PTO has repeated is still on its way (RFC 9002 section 6.2).
            self._carriers = [each for each in self._carriers if each[0].state == OUTSTANDING]
        allowed = MOST_RESPONSES - sum([count for _, count in self._carriers])
        return min(len(self.waiting), allowed)

    def write(self, builder: PacketBuilder) -> bool:
        """All that may go out, as far as there is room; no token, as none is ever repeated."""
        count = min(self.due, builder.room // _FRAME_SIZE)
        for data in self.waiting[:count]:
            builder.add_probing(frames.encode_path_data(frames.PATH_RESPONSE, data))
        del self.waiting[:count]
        self.sent += count
        self.written = count
        return count > 0

    def on_sent(self, packet: SentPacket) -> None:
        """The packet that was being made is sealed, with as many as were written."""
        self._carriers.append((packet, self.written))
        self.written = 0
