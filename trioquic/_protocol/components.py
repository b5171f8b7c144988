"""The components of one connection, made in the order in which they need each other.

The receiving and the sending side take from here what they need; the façade and the place that
applies the handshake, which speak to nearly all of them, keep this.
"""

from collections.abc import Callable

from .cid.ids import ConnectionIds
from .config import CoreConfig
from .datagrams import Datagrams
from .events import Event
from .facts import ConnectionFacts
from .handshake.future_connections import FutureConnections
from .handshake.handshake import Handshake
from .lifetime import Lifetime
from .number_space import NumberSpace
from .path.liveness import Liveness
from .path.mover import Mover
from .path.prober import Prober
from .path.table import PathTable
from .path.watch import Watch
from .recovery.loss import LossDetector
from .space import APPLICATION, HANDSHAKE, INITIAL
from .streams.table import StreamTable


class Components:
    """`wall_time`: seconds since 1970 when the connection begins, at `now` of its own clock."""

    def __init__(
        self, config: CoreConfig, rng: Callable[[int], bytes], wall_time: float, now: float
    ) -> None:
        self.events: list[Event] = []
        self.facts = ConnectionFacts(config.max_datagram_size)
        # only in 1-RTT may an ACK be held back
        self.spaces = [NumberSpace(index, 0.0) for index in (INITIAL, HANDSHAKE)]
        self.spaces.append(NumberSpace(APPLICATION, config.max_ack_delay))
        self.ids = ConnectionIds(rng)
        self.lifetime = Lifetime(config.idle_timeout, config.keep_alive, now, self.events)
        self.loss = LossDetector(self.facts, rng, congestion=config.congestion)
        self.streams = StreamTable(config.streams)
        self.datagrams = Datagrams(config.datagrams, config.datagram_buffer, self.events)
        self.paths = PathTable(self.facts, config, self.ids, self.loss, rng, self.events)
        self.watch = Watch(self.facts, self.paths, config.degraded_after, self.events)
        self.liveness = Liveness()
        self.prober = Prober(
            self.facts, self.paths, self.ids.peer, self.watch, self.loss, self.events
        )
        self.mover = Mover(self.facts, self.paths, self.prober, self.watch, self.loss, self.events)
        self.handshake = Handshake(
            config, self.spaces, self.ids.own.first, self.facts, rng, wall_time
        )
        self.future = FutureConnections(
            config.keep_tickets, self.facts, self.events, wall_time, now
        )
        # what is random of 1-RTT packets is drawn when they are made
        self.rng = rng
