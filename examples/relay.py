"""A UDP relay in user space that makes loopback look like several access links, and cuts them.

    python -m examples.relay --target 127.0.0.1:4433 --link 127.0.0.1=60:20 --link 127.0.0.2=60:40

Each link is named by the client's address and has a rate in Mbit/s and a round-trip time in ms.
The relay prints `listening on HOST PORT`. On its standard input it takes commands, one a line:
`cut ADDRESS` loses everything to and from that address from now on, also what is under way, without
a word to anybody, as a dying access link does; `mend ADDRESS` brings it back. `rebind ADDRESS` has
the server see the client at another port, as a NAT does that has forgotten it. It ends with its
standard input.

Every client address and port gets a socket of its own towards the server, bound to the client's
address, so that the server sees a client that moves, as it would see it on the Internet.
"""

import argparse
import heapq
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Address = tuple[str, int]
MAX_DATAGRAM = 65535
# What a router's queue holds at most, as time, if nothing else is said: beyond it datagrams are
# dropped.
QUEUE_SECONDS = 0.05
SOCKET_BUFFER = 4 << 20
BATCH = 64


@dataclass
class Direction:
    """One way over a link: a queue that drains at a rate, then a delay."""

    rate: float
    delay: float
    busy_until: float = 0.0
    queue: float = QUEUE_SECONDS

    def arrival(self, now: float, size: int) -> float | None:
        """When a datagram that is sent now arrives; None if the queue is full."""
        start = max(now, self.busy_until)
        if start - now > self.queue:
            return None
        self.busy_until = start + size / self.rate
        return self.busy_until + self.delay


@dataclass
class Link:
    """The access link of one client address."""

    up: Direction
    down: Direction
    cut: bool = False


@dataclass(order=True)
class Flight:
    """A datagram under way."""

    arrival: float
    number: int
    link: Link = field(compare=False)
    deliver: Callable[[bytes], object] = field(compare=False)
    data: bytes = field(compare=False)


class Relay:
    """One thread, one selector, one heap of what is under way."""

    def __init__(self, listen: Address, target: Address, links: dict[str, Link]) -> None:
        self.target = target
        self.links = links
        self.selector = selectors.DefaultSelector()
        self.flights: list[Flight] = []
        self.number = 0
        self.upstream: dict[Address, socket.socket] = {}
        self.front = self._socket(listen)
        self.selector.register(self.front, selectors.EVENT_READ, self._from_clients)
        self.selector.register(sys.stdin, selectors.EVENT_READ, self._command)
        self.running = True

    @property
    def address(self) -> Address:
        host, port = self.front.getsockname()
        return host, port

    def run(self) -> None:
        while self.running:
            timeout = None
            if self.flights:
                timeout = max(0.0, self.flights[0].arrival - time.monotonic())
            for key, _ in self.selector.select(timeout):
                key.data()
            self._land()

    def _socket(self, address: Address) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        sock.bind(address)
        sock.setblocking(False)
        return sock

    def _launch(
        self, link: Link, way: Direction, deliver: Callable[[bytes], object], data: bytes
    ) -> None:
        if link.cut:
            return
        arrival = way.arrival(time.monotonic(), len(data))
        if arrival is not None:
            self.number += 1
            heapq.heappush(self.flights, Flight(arrival, self.number, link, deliver, data))

    def _land(self) -> None:
        now = time.monotonic()
        while self.flights and self.flights[0].arrival <= now:
            flight = heapq.heappop(self.flights)
            if not flight.link.cut:
                try:
                    flight.deliver(flight.data)
                except OSError:
                    pass  # a full buffer or a closed port: lost, as on any network

    def _from_clients(self) -> None:
        for _ in range(BATCH):
            try:
                data, client = self.front.recvfrom(MAX_DATAGRAM)
            except OSError:
                return
            link = self.links.get(client[0])
            if link is not None:
                self._launch(link, link.up, self._upstream(client, link).send, data)

    def _upstream(self, client: Address, link: Link) -> socket.socket:
        sock = self.upstream.get(client)
        if sock is None:
            sock = self.upstream[client] = self._socket((client[0], 0))
            sock.connect(self.target)

            def deliver(data: bytes) -> int:
                return self.front.sendto(data, client)

            def from_server() -> None:
                for _ in range(BATCH):
                    try:
                        data = sock.recv(MAX_DATAGRAM)
                    except OSError:
                        return
                    self._launch(link, link.down, deliver, data)

            self.selector.register(sock, selectors.EVENT_READ, from_server)
        return sock

    def _command(self) -> None:
        text = os.read(sys.stdin.fileno(), MAX_DATAGRAM).decode()
        self.running = bool(text)
        for line in text.splitlines():
            verb, _, address = line.partition(" ")
            if verb == "rebind":
                self._forget(address)
            else:
                self.links[address].cut = {"cut": True, "mend": False}[verb]
            print(line, flush=True)

    def _forget(self, address: str) -> None:
        """Its next datagram gets a socket with another port; what comes to the old one is lost."""
        for client in [client for client in self.upstream if client[0] == address]:
            sock = self.upstream.pop(client)
            self.selector.unregister(sock)
            sock.close()


def parse_link(text: str) -> tuple[str, Link]:
    """`ADDRESS=MBIT:RTT`"""
    address, _, numbers = text.partition("=")
    mbit, _, rtt = numbers.partition(":")
    rate, delay = float(mbit) * 1e6 / 8, float(rtt) / 2000
    return address, Link(Direction(rate, delay), Direction(rate, delay))


def parse_address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--listen", type=parse_address, default=("127.0.0.1", 0))
    parser.add_argument("--target", type=parse_address, required=True)
    parser.add_argument("--link", type=parse_link, action="append", required=True)
    options = parser.parse_args()
    relay = Relay(options.listen, options.target, dict(options.link))
    print("listening on {} {}".format(*relay.address), flush=True)
    relay.run()


if __name__ == "__main__":
    main()
