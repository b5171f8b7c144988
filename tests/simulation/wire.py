"""What the phone put on the wire of the simulated network, opened, and what must hold for it.

The packets are opened with the keys that the server logged, not with the client's own code: every
datagram of the phone is looked at, also those that were lost later. The points are those of
docs/paths.md.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import trioquic
from tests.peer.keys import KeyStore
from tests.peer.packets import APPLICATION, PROBING, Frame, number_from, parse_frames, unmask
from tests.simulation.case import Case, Outcome
from trioquic._protocol.wire import frames as fr
from trioquic.testing import Record

Address = tuple[str, int]
Pair = tuple[Address, Address]
"""Local and remote address and port: a path."""

SERVER_ID_LENGTH: Final = 8
SUITES: Final = {32: 0x1301, 48: 0x1302}
"""By the length of their secrets; the server has no other of 32 bytes."""

_SERVERS: Final = frozenset((fr.NEW_TOKEN, fr.HANDSHAKE_DONE))


@dataclass(frozen=True, slots=True, kw_only=True)
class WirePacket:
    """A 1-RTT packet of the phone's."""

    time: float
    number: int
    pair: Pair
    connection_id: bytes
    size: int
    frames: tuple[Frame, ...]

    @property
    def probing(self) -> bool:
        """Whether it has nothing but probing frames (section 9.1)."""
        return all(frame.kind in PROBING for frame in self.frames)

    def all(self, kind: int) -> list[bytes]:
        """The values of the frames of one kind."""
        return [frame.value for frame in self.frames if frame.kind == kind]


def pair_of(record: Record) -> Pair:
    return (record.source[:2], record.destination[:2])


def open_packets(records: Sequence[Record], secrets: str) -> list[WirePacket]:
    """The phone's 1-RTT packets that have a datagram of their own, in the order of sending."""
    keys = KeyStore()
    for line in secrets.splitlines():
        label, _, secret = line.split()
        if label == "CLIENT_TRAFFIC_SECRET_0":
            client = bytes.fromhex(secret)
            keys.install(APPLICATION, SUITES[len(client)], client, client)
    if APPLICATION not in keys.read:
        # the server never got so far as to know them, so nothing of the phone's reached it either
        return []
    found = []
    largest = -1
    generation = 0
    for record in records:
        packet = record.payload
        if record.copy or not packet or packet[0] & 0x80:
            continue
        header, length = unmask(keys.read[APPLICATION].generation(0), packet, 1 + SERVER_ID_LENGTH)
        number = number_from(header, length, largest)
        opened = keys.open(APPLICATION, generation, number, header, packet[len(header) :])
        assert opened is not None, "a packet of the phone's that the server cannot open"
        payload, generation = opened
        largest = max(largest, number)
        found.append(
            WirePacket(
                time=record.time,
                number=number,
                pair=pair_of(record),
                connection_id=packet[1 : 1 + SERVER_ID_LENGTH],
                size=record.size,
                frames=parse_frames(payload),
            )
        )
    return found


def violations(case: Case, outcome: Outcome) -> list[str]:
    """Everything that broke a rule."""
    records = [record for record in outcome.records if record.host == "phone"]
    packets = open_packets(records, outcome.secrets)
    handshake = pair_of(records[0])
    return [
        *_shared_ids(packets),
        *_strange_addresses(case, handshake, records),
        *_too_early(outcome, handshake, records),
        *_forbidden(case, handshake, records, packets),
        *_silent_moves(outcome, handshake, packets),
        *_bad_probes(packets),
        *_for_servers(records, packets),
    ]


def _shared_ids(packets: list[WirePacket]) -> list[str]:
    """4. Ports count as well: a new port is a new path."""
    pairs: defaultdict[bytes, set[Pair]] = defaultdict(set)
    for packet in packets:
        pairs[packet.connection_id].add(packet.pair)
    return [f"one ID on several paths: {used}" for used in pairs.values() if len(used) > 1]


def _strange_addresses(case: Case, handshake: Pair, records: list[Record]) -> list[str]:
    """Nothing goes anywhere but to the server's two addresses (19)."""
    known = {handshake[1][0], case.preferred if case.policy.use_preferred_address else None}
    strange = {record.destination[0] for record in records} - known
    return [f"packets to {strange}"] if strange else []


def _too_early(outcome: Outcome, handshake: Pair, records: list[Record]) -> list[str]:
    """1. Before the handshake is confirmed there is one path, and long headers stay on it."""
    return [
        f"{pair_of(record)} before the handshake was confirmed"
        for record in records
        if pair_of(record) != handshake
        and (record.time < outcome.confirmed_at or (record.payload and record.payload[0] & 0x80))
    ]


def _forbidden(
    case: Case, handshake: Pair, records: list[Record], packets: list[WirePacket]
) -> list[str]:
    """2. Not even a probe, until the preferred address is in use."""
    if not case.disable_active_migration:
        return []
    (local, remote) = handshake
    used = [p.time for p in packets if p.pair[1] != remote and not p.probing]
    return [
        f"{pair_of(record)} although the server forbade it"
        for record in records
        if record.destination[:2] == remote
        and record.source[:2] != local
        and (not used or record.time < used[0])
    ]


def _silent_moves(outcome: Outcome, handshake: Pair, packets: list[WirePacket]) -> list[str]:
    """14, 15. What is not a probe goes where the connection was last said to have moved to."""
    moves = [event for _, event in outcome.events if isinstance(event, trioquic.Migrated)]
    told = [handshake, *((event.new.local, event.new.remote) for event in moves)]
    carried: list[Pair] = []
    # what a socket did not take at once may be sent after the move; the server goes by the number
    # (section 9.3)
    for packet in sorted(packets, key=lambda packet: packet.number):
        if not packet.probing and (not carried or carried[-1] != packet.pair):
            carried.append(packet.pair)
    rest = iter(told)
    # a move that the next one overtook may have sent nothing
    return [f"{pair} carried data unasked" for pair in carried if pair not in rest]


def _bad_probes(packets: list[WirePacket]) -> list[str]:
    """8, 9, 10. Challenges are new each time, answers are given once, both are padded."""
    found = []
    for kind, name in ((fr.PATH_CHALLENGE, "challenge"), (fr.PATH_RESPONSE, "response")):
        values = Counter(value for packet in packets for value in packet.all(kind))
        found += [f"{name} {value.hex()} {n} times" for value, n in values.items() if n > 1]
        sizes = [p.size for p in packets if p.all(kind) and p.size < 1200]
        found += [f"{name} in {size} bytes" for size in sizes]
    return found


def _for_servers(records: list[Record], packets: list[WirePacket]) -> list[str]:
    """What only servers send: Version Negotiation (section 6.1), NEW_TOKEN (19.7), HANDSHAKE_DONE
    (19.20)."""
    found = [f"{frame.kind:#x}" for p in packets for frame in p.frames if frame.kind in _SERVERS]
    for record in records:
        payload = record.payload
        if payload and payload[0] & 0x80 and not any(payload[1:5]):
            found.append("Version Negotiation")
    return [f"{what} from a client" for what in found]
