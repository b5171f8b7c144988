"""The process behind the lab: makes the namespaces and devices, and carries packets between them.

    python -m tests.lab.relay [--ipv6]

Both namespaces are anonymous. They exist as long as a process is in them or holds them open, so
there are no names to collide and nothing to clean up: whatever ends this process ends them, and the
devices in them. It ends with its standard input, and first ends whoever is left inside or about to
enter (inhabitants.py).

One thread, one `select`, one heap of what is under way. A packet waits for its turn at the link's
rate, is dropped if the queue in front of it is longer than 50 ms, and arrives half a round trip
later. Every packet is remembered: when, on which link, from and to where, and what became of it.

Commands come as lines on standard input, each is answered by one line of JSON on standard output:

    silent LINK         everything on the link is lost from now on, also what is under way
    deliver LINK        and is delivered again
    loss LINK SHARE     a share of the packets is lost at random
    narrow LINK BYTES   larger packets are lost, and nobody is told
    void LINK           UDP datagrams are lost, and nobody is told; everything else passes
    block LINK ADDRESS [PORT]
                        packets to and from this address of the server are lost
    trace FILE          write what was remembered into FILE, as JSON
    late                how late packets were delivered, at worst and at the 99th percentile
"""

import ctypes
import fcntl
import gc
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from examples.relay import Direction
from tests.programs import find_program

from .inhabitants import end_inhabitants, name_of
from .packets import Datagram, read_datagram
from .plan import LINKS, PREFERRED6, SERVER_ADDRESSES, LinkPlan, way_back, way_back6

_CLONE_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_TUN_WITHOUT_HEADER: Final = 0x1001
_IFREQ: Final = struct.Struct("16sH22x")
_BATCH: Final = 16
_LARGEST_PACKET: Final = 65535

UP: Final = "up"
DOWN: Final = "down"


@dataclass(slots=True)
class Passage:
    """One packet, as it is remembered. Times are those of `time.monotonic()`."""

    at: float
    link: str
    way: str
    datagram: Datagram
    fate: str = "under way"
    due: float = 0.0
    arrived: float = 0.0


@dataclass(kw_only=True)
class End(Direction):
    """A direction, and the device that it ends in."""

    device: int


@dataclass
class Link:
    """One access link: the devices at its ends and what it suffers."""

    name: str
    ends: dict[str, End]
    """By the way that packets go: `up` leads into the server's namespace."""
    silent: bool = False
    void: bool = False
    loss: float = 0.0
    largest: int = _LARGEST_PACKET
    blocked: set[tuple[str, int]] = field(default_factory=set)
    """Addresses with a port, or with 0 for all of them."""


@dataclass(order=True, slots=True)
class Flight:
    """A packet under way."""

    arrival: float
    number: int
    link: Link = field(compare=False)
    packet: bytes = field(compare=False)
    passage: Passage | None = field(compare=False)
    way: str = field(compare=False)


class Relay:
    """Carries packets and takes commands."""

    def __init__(self, links: dict[str, Link]) -> None:
        self.links = links
        self.flights: list[Flight] = []
        self.number = 0
        self.passages: list[Passage] = []
        self.lateness: list[float] = []
        self.chance = random.Random(1)
        self.running = True
        # A packet that comes out of the client's device goes up.
        self.readers = {
            link.ends[other].device: (link, way)
            for link in links.values()
            for way, other in ((UP, DOWN), (DOWN, UP))
        }

    def run(self) -> None:
        sources = [sys.stdin.fileno(), *self.readers]
        while self.running:
            timeout = None
            if self.flights:
                timeout = max(0.0, self.flights[0].arrival - time.monotonic())
            for source in select.select(sources, [], [], timeout)[0]:
                if source == sys.stdin.fileno():
                    self._command()
                else:
                    self._take(source)
            self._land()

    def _take(self, device: int) -> None:
        """Packets that come out of a device enter the link."""
        link, way = self.readers[device]
        for _ in range(_BATCH):
            try:
                packet = os.read(device, _LARGEST_PACKET)
            except OSError:
                return  # nothing left, or the interface is down
            self._launch(link, way, packet)

    def _launch(self, link: Link, way: str, packet: bytes) -> None:
        now = time.monotonic()
        datagram = read_datagram(packet)
        passage = None
        if datagram is not None:
            passage = Passage(now, link.name, way, datagram)
            self.passages.append(passage)
        fate = self._fate(link, datagram, len(packet))
        arrival = None if fate else link.ends[way].arrival(now, len(packet))
        if arrival is not None:
            self.number += 1
            if passage is not None:
                passage.due = arrival
            heapq.heappush(self.flights, Flight(arrival, self.number, link, packet, passage, way))
        elif passage is not None:
            passage.fate = fate or "queue full"

    def _fate(self, link: Link, datagram: Datagram | None, size: int) -> str:
        if link.silent:
            return "silent"
        if link.void and datagram is not None:
            return "void"
        if size > link.largest:
            return "too large"
        if datagram is not None and link.blocked:
            ends = datagram.source, datagram.destination
            if {*ends, *((host, 0) for host, _ in ends)} & link.blocked:
                return "blocked"
        if link.loss and self.chance.random() < link.loss:
            return "lost"
        return ""

    def _land(self) -> None:
        now = time.monotonic()
        while self.flights and self.flights[0].arrival <= now:
            flight = heapq.heappop(self.flights)
            fate = "silent"
            if not flight.link.silent:
                try:
                    os.write(flight.link.ends[flight.way].device, flight.packet)
                    fate = "delivered"
                except OSError:
                    fate = "interface down"
            self.lateness.append(now - flight.arrival)
            if flight.passage is not None:
                flight.passage.fate = fate
                flight.passage.arrived = now

    # -- commands ----------------------------------------------------------------------------------

    def _command(self) -> None:
        text = os.read(sys.stdin.fileno(), _LARGEST_PACKET).decode()
        self.running = bool(text)
        for line in text.splitlines():
            answer(self._execute(line.split()))

    def _execute(self, words: list[str]) -> dict[str, object]:
        match words:
            case ["silent" | "deliver" as word, name]:
                self.links[name].silent = word == "silent"
                self.links[name].void = False
            case ["void", name]:
                self.links[name].void = True
            case ["loss", name, share]:
                self.links[name].loss = float(share)
            case ["narrow", name, size]:
                self.links[name].largest = int(size)
            case ["block", name, address, *port]:
                self.links[name].blocked.add((address, int(port[0]) if port else 0))
            case ["trace", path]:
                with open(path, "w", encoding="ascii") as file:
                    json.dump([describe(passage) for passage in self.passages], file)
            case ["late"]:
                late = sorted(self.lateness) or [0.0]
                return {"worst": late[-1], "p99": late[len(late) * 99 // 100]}
            case _:
                raise ValueError(words)
        return {"at": time.monotonic()}


def describe(passage: Passage) -> list[object]:
    """A passage as JSON; see `network.Passage`, which reads it."""
    datagram = passage.datagram
    return [
        passage.at,
        passage.due,
        passage.arrived,
        passage.link,
        passage.way,
        datagram.source,
        datagram.destination,
        datagram.size,
        datagram.connection_id,
        passage.fate,
    ]


def answer(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


# -- namespaces and devices ------------------------------------------------------------------------


def enter_new_namespace(*, ipv6: bool = False) -> int:
    """Move this process into a network namespace of its own; returns what keeps it open."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")
    # Router solicitations and the like would disturb what is counted.
    with suppress(OSError), open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as file:
        file.write("0" if ipv6 else "1")
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def make_device(name: str) -> int:
    """A TUN device in this namespace; it lives as long as its descriptor is open."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, _IFREQ.pack(name.encode(), _TUN_WITHOUT_HEADER))
    return device


def configure(lines: list[str]) -> None:
    program = find_program("ip")
    assert program is not None
    subprocess.run([program, "-batch", "-"], input="\n".join(lines), text=True, check=True)


def make_client(*, ipv6: bool) -> dict[str, int]:
    devices = {}
    lines = ["link set lo up"]
    for plan in LINKS.values():
        devices[plan.name] = make_device(plan.name)
        lines += [
            f"address add {plan.client}/24 dev {plan.name}",
            f"link set {plan.name} up",
            f"route add {way_back(plan)}",
        ]
        if ipv6:
            lines += [
                f"link set {plan.name} addrgenmode none",
                f"address add {plan.client6}/64 dev {plan.name} nodad",
                f"route add {way_back6(plan)}",
            ]
    configure(lines)
    return devices


def make_server(*, ipv6: bool) -> dict[str, int]:
    devices = {}
    lines = ["link set lo up"]
    lines += [f"address add {address}/32 dev lo" for address in SERVER_ADDRESSES]
    if ipv6:
        lines.append(f"address add {PREFERRED6}/128 dev lo nodad")
    for plan in LINKS.values():
        devices[plan.name] = make_device(plan.name)
        lines += [f"address add {plan.gateway}/24 dev {plan.name}", f"link set {plan.name} up"]
        if ipv6:
            lines += [
                f"link set {plan.name} addrgenmode none",
                f"address add {plan.gateway6}/64 dev {plan.name} nodad",
            ]
    configure(lines)
    return devices


def make_link(plan: LinkPlan, client_end: int, server_end: int) -> Link:
    rate, delay = plan.megabits * 1e6 / 8, plan.rtt / 2
    ends = {
        UP: End(rate, delay, device=server_end),
        DOWN: End(rate, delay, device=client_end),
    }
    return Link(plan.name, ends)


def main() -> None:
    ipv6 = "--ipv6" in sys.argv[1:]
    client_space = enter_new_namespace(ipv6=ipv6)
    client_ends = make_client(ipv6=ipv6)
    server_space = enter_new_namespace(ipv6=ipv6)
    server_ends = make_server(ipv6=ipv6)
    links = {
        name: make_link(plan, client_ends[name], server_ends[name]) for name, plan in LINKS.items()
    }
    # Packets are to arrive in time also when the machine is busy.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    gc.disable()
    spaces = {"client": client_space, "server": server_space}
    doors = {name: os.dup(space) for name, space in spaces.items()}
    answer({name: f"/proc/{os.getpid()}/fd/{door}" for name, door in doors.items()})
    try:
        Relay(links).run()
    finally:
        for door in doors.values():
            os.close(door)
        end_inhabitants({name_of(space) for space in spaces.values()})


if __name__ == "__main__":
    main()
