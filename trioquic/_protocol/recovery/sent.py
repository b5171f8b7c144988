"""The ledger of sent packets of one packet-number space, all paths together.

It answers one question fast: which of the packets an ACK frame names are news? A peer repeats its
ranges in every ACK, and a range may reach back to the connection's beginning, so numbers are never
walked one by one. The numbers that are still waiting form a `RangeSet`; an ACK range is intersected
with it, and the work is proportional to what is newly acknowledged.

A packet that was declared lost stays for a while (`remember`), so that a late acknowledgement can
still tell the owners of its frames. That memory is bounded, and so is the number of packets that
elicit no acknowledgement: nobody may ever acknowledge those.
"""

from bisect import bisect_right
from typing import Final

from ..range_set import RangeSet
from ..token import Token
from .ecn import EcnCounts

# where a packet is in its life; ints, for every packet passes through here
OUTSTANDING: Final = 0
ACKED: Final = 1
LOST: Final = 2  # by loss detection: a late acknowledgement means that we were wrong
REQUEUED: Final = 3  # given up with its path, or on a silent standby path: no judgement
FORGOTTEN: Final = 4

MAX_REMEMBERED: Final = 1024
MAX_QUIET: Final = 64


class SentPacket:
    """One packet on its way. `seq` counts the packets of its path and space without gaps."""

    __slots__ = (
        "ack_eliciting",
        "ecn",
        "epoch",
        "in_flight",
        "number",
        "path",
        "requeued",
        "seq",
        "size",
        "space",
        "state",
        "time_sent",
        "tokens",
    )

    def __init__(
        self,
        number: int,
        space: int,
        path: int,
        time_sent: float,
        size: int,
        ack_eliciting: bool,
        tokens: list[Token],
        padded: bool = False,
        ecn: int = 0,
    ) -> None:
        self.number = number
        self.space = space
        self.path = path
        self.time_sent = time_sent
        self.size = size
        self.ack_eliciting = ack_eliciting
        # RFC 9002 section 2: what elicits an ACK or contains PADDING counts
        self.in_flight = ack_eliciting or padded
        self.tokens = tokens
        self.ecn = ecn  # the codepoint in the IP header, 0 for Not-ECT
        self.seq = -1  # given by the path
        self.epoch = 0  # given by the path: which of its controllers this packet may feed
        self.requeued = False  # its frames were sent again already, as a probe
        self.state: int = OUTSTANDING


class Ledger:
    """The packets of one space that wait for an acknowledgement, or for a late one."""

    def __init__(self) -> None:
        self.largest_acked = -1
        self.ecn = EcnCounts()
        self._packets: dict[int, SentPacket] = {}
        self._waiting = RangeSet()
        # lists, though the oldest goes first: they are short, and empty in most connections
        self._remembered: list[SentPacket] = []
        self._quiet: list[SentPacket] = []

    def add(self, packet: SentPacket) -> None:
        """Enter a packet. Numbers come in rising order."""
        number = packet.number
        self._packets[number] = packet
        self._waiting.add(number, number + 1)
        if packet.ecn:
            self.ecn.marked += 1
        if not packet.in_flight:
            quiet = self._quiet
            quiet.append(packet)
            if len(quiet) > MAX_QUIET:
                self.forget(quiet.pop(0))

    def take_acked(self, ranges: list[tuple[int, int]]) -> list[SentPacket]:
        """Remove and return the packets in `ranges` (descending, inclusive) that are news."""
        taken: list[SentPacket] = []
        packets = self._packets
        waiting = self._waiting
        starts = waiting.starts
        ends = waiting.ends
        for low, high in ranges:
            if not starts or high < starts[0]:
                break
            index = bisect_right(ends, low)
            if index == len(starts) or starts[index] > high:
                continue
            while index < len(starts) and starts[index] <= high:
                first = max(low, starts[index])
                behind = min(high + 1, ends[index])
                taken.extend([packets.pop(number) for number in range(first, behind)])
                index += 1
            waiting.remove(low, high + 1)
        return taken

    def remember(self, packet: SentPacket) -> None:
        """Keep a packet that was given up, for a late acknowledgement."""
        remembered = self._remembered
        remembered.append(packet)
        if len(remembered) > MAX_REMEMBERED:
            self.forget(remembered.pop(0))

    def forget(self, packet: SentPacket) -> None:
        """Drop a packet; a later acknowledgement of it means nothing. Harmless if acknowledged."""
        if packet.state not in (ACKED, FORGOTTEN):
            packet.state = FORGOTTEN
            del self._packets[packet.number]
            self._waiting.remove(packet.number, packet.number + 1)
