"""Datagrams to packets (RFC 9000 sections 5.2 and 12.2): the entry to the receiving side.

Nothing is believed before it is authenticated; what fails is dropped and counted, and may only turn
out to be a stateless reset. Short headers go one way (`short.py`), the datagrams of the handshake
another (`long.py`), and what cannot be opened, perhaps not yet, is for `undecryptable.py`.
"""

from ..components import Components
from ..establishment import Establishment
from ..lifetime import CoreState
from ..path.path import NetworkPath
from .arrival import Arrival, ReceiveCounters
from .dispatch import Dispatcher
from .long import LongHeaders
from .short import ShortHeaders
from .undecryptable import Undecryptable


class Receiver:
    def __init__(self, parts: Components, establishment: Establishment) -> None:
        self._own_ids = parts.ids.own
        self._lifetime = parts.lifetime
        dispatcher = Dispatcher(parts, establishment)
        undecryptable = Undecryptable(parts)
        self._short = ShortHeaders(parts, dispatcher, undecryptable)
        self._long = LongHeaders(parts, establishment, dispatcher, undecryptable, self._short)
        self.counters: ReceiveCounters = undecryptable.counters

    def receive_untrusted(
        self, path: NetworkPath, data: bytes, segment_size: int, ecn: int, now: float
    ) -> None:
        """One datagram, or several of `segment_size` bytes put together by the kernel.

        BadPacketError: an authentic packet that the connection must be closed for."""
        total = len(data)
        if segment_size <= 0:
            segment_size = max(total, 1)
        path.traffic.on_received(total, -(-total // segment_size) or 1)
        if not self._lifetime.open:
            if self._lifetime.state is CoreState.CLOSING and self._own_ids.in_header(data):
                self._lifetime.on_packet_in_closing()
            return
        arrival = Arrival(path, ecn, now, path.pto())
        short: list[int] = []
        start = 0
        while start < total:
            if data[start] & 0x80:
                end = min(start + segment_size, total)
                self._long.receive_untrusted(arrival, data[start:end])
            else:
                short.append(start)
            start += segment_size
        if short and self._lifetime.open:
            self._short.receive_untrusted(arrival, data, short, segment_size)
