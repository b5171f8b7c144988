"""The client core and a scripted peer, joined by links with a delay, under a clock of our own.

A link is a path number: what the client transmits on path 3 reaches the peer from address 3, and
what the peer sends to path 3 arrives there. Links may be cut, delayed, or filtered by a function.
Every run is bounded in simulated time and in steps, so a client that spins fails its test.
"""

import heapq
import math
import random
from collections.abc import Callable
from typing import TypeVar

from trioquic._protocol import events as ev
from trioquic._protocol.config import MOST_DATAGRAM, CoreConfig
from trioquic._protocol.connection import ClientConnection
from trioquic._protocol.observer import Observer
from trioquic._protocol.path.mtu import ETHERNET
from trioquic._protocol.streams.config import StreamConfig
from trioquic._protocol.tls.config import TlsClientConfig
from trioquic._protocol.tls.own_roots import OwnRoots
from trioquic._protocol.tls.resumption import Resumption

from .certificates import SERVER_NAME, WALL_TIME, root
from .packets import APPLICATION
from .script import ServerScript
from .server import ScriptedServer

REMOTE = ("198.51.100.1", 4433)
LOCAL = ("192.0.2.1", 50000)
E = TypeVar("E", bound=ev.Event)
Filter = Callable[[int, bytes], bytes | None]


class World:
    """One client, one peer, and the network between them."""

    def __init__(
        self,
        script: ServerScript | None = None,
        *,
        delay: float = 0.010,
        seed: int = 1,
        streams: StreamConfig | None = None,
        server_name: str = SERVER_NAME,
        idle_timeout: float = 30.0,
        keep_alive: float = 0.0,
        alpn: tuple[str, ...] = ("test",),
        root_number: int = 0,
        interface_mtu: int = ETHERNET,
        max_datagram_size: int = MOST_DATAGRAM,
        token: bytes = b"",
        keep_tickets: bool = False,
        early: Resumption | None = None,
        datagrams: bool = False,
        observer: Observer | None = None,
        spin_bit: bool = True,
        use_preferred_address: bool = True,
    ) -> None:
        self.now = 1000.0
        self.delay = delay
        self.delays: dict[int, float] = {}
        self.cut: set[int] = set()
        self.drops_marked: set[int] = set()
        """Links on which nothing arrives that the client has marked ECT (RFC 9000, 13.4.2.2)."""
        self.bleached: set[int] = set()
        """Links that take marks off."""
        self.to_client: Filter | None = None
        self.to_peer: Filter | None = None
        self.events: list[ev.Event] = []
        self.steps = 0
        self.peer = ScriptedServer(script)
        self._heap: list[tuple[float, int, bool, int, bytes, int]] = []
        self._sequence = 0
        self.random = random.Random(seed)
        tls = TlsClientConfig(
            server_name=server_name,
            alpn=alpn,
            verification=OwnRoots([root(root_number)]),
        )
        config = CoreConfig(
            tls=tls,
            streams=streams or StreamConfig(),
            idle_timeout=idle_timeout,
            keep_alive=keep_alive,
            max_datagram_size=max_datagram_size,
            keep_tickets=keep_tickets,
            spin_bit=spin_bit,
            use_preferred_address=use_preferred_address,
            token=token,
            resumption=early,
            early_data=early is not None,
            datagrams=datagrams,
        )
        self.client = ClientConnection(
            config, rng=self.random.randbytes, wall_time=WALL_TIME.timestamp(), now=self.now
        )
        if observer is not None:
            self.client.observe(observer)
        self.client.start(LOCAL, REMOTE, interface_mtu)

    # --- time -------------------------------------------------------------------------------------

    def run_until(
        self, condition: Callable[[], object], limit: float = 20.0, steps: int = 20_000
    ) -> None:
        """Run until `condition()`; AssertionError if that takes too long or too many steps."""
        end = self.now + limit
        for _ in range(steps):
            self.flush()
            if condition():
                return
            at = self._next()
            assert at <= end, f"nothing came of it within {limit} s: {self.events[-5:]}"
            self._step(at)
        raise AssertionError(f"more than {steps} steps")

    def run_for(self, seconds: float, steps: int = 20_000) -> None:
        """Let time pass."""
        end = self.now + seconds
        for _ in range(steps):
            self.flush()
            at = self._next()
            if at > end:
                self.now = end
                return
            self._step(at)
        raise AssertionError(f"more than {steps} steps")

    def settle(self) -> None:
        """Everything under way arrives and is answered: a few round trips and ACK delays."""
        self.run_for(20 * self.delay + 0.1)

    def _next(self) -> float:
        arrival = self._heap[0][0] if self._heap else math.inf
        return min(self.client.next_deadline(self.now), arrival)

    def _step(self, at: float) -> None:
        self.steps += 1
        self.now = max(self.now, at)
        if self._heap and self._heap[0][0] <= self.now:
            _, _, to_client, path, data, ecn = heapq.heappop(self._heap)
            if to_client:
                self.client.receive(path, data, len(data), 0, self.now)
            else:
                self.peer.receive(path, data, self.now, ecn)
        elif self.client.next_deadline(self.now) <= self.now:
            self.client.handle_deadline(self.now)

    # --- the network ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Put what both sides have to send on the links, and collect the client's events."""
        for path in list(self.client.live_paths()):
            for _ in range(1000):
                batch = self.client.transmit(path, self.now)
                if batch is None:
                    break
                for start in range(0, len(batch.data), batch.segment_size):
                    datagram = batch.data[start : start + batch.segment_size]
                    self._put(False, path, datagram, batch.ecn)
            else:
                raise AssertionError("the client does not stop sending")
        self.peer.now = self.now
        outbox, self.peer.outbox = self.peer.outbox, []
        for path, data in outbox:
            self._put(True, path, data)
        while (event := self.client.next_event()) is not None:
            self.events.append(event)

    def _put(self, to_client: bool, path: int, data: bytes, ecn: int = 0) -> None:
        if path in self.cut or (ecn and path in self.drops_marked):
            return
        chosen = self.to_client if to_client else self.to_peer
        passed = chosen(path, data) if chosen is not None else data
        if passed is None:
            return
        if path in self.bleached:
            ecn = 0
        self._sequence += 1
        at = self.now + self.delays.get(path, self.delay)
        heapq.heappush(self._heap, (at, self._sequence, to_client, path, passed, ecn))

    def inject(self, data: bytes, path: int = 0) -> None:
        """A datagram reaches the client now, past all links."""
        self.client.receive(path, data, len(data), 0, self.now)
        self.flush()

    # --- common steps -----------------------------------------------------------------------------

    def connect(self) -> "World":
        """Run to the confirmed handshake, with everything after it acknowledged."""
        self.run_until(lambda: self.seen(ev.HandshakeConfirmed))
        self.settle()
        return self

    def attack(self, payload: bytes, space: int = APPLICATION, path: int | None = None) -> None:
        """The peer sends these frames; both sides answer for a while."""
        self.peer.send(space, payload, path=path)
        self.settle()

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def terminated(self) -> ev.Terminated | None:
        found = self.seen(ev.Terminated)
        assert len(found) <= 1, "a connection ends once"
        return found[0] if found else None
