"""What must never happen, whatever the order: read off the wire.

The packets are opened with the keys that the server logged, not with the client's own code. Times
are those of the simulated world.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf

import trioquic
from tests.preferred.orders import Active, Migration, Order
from tests.preferred.world import ORIGINAL, Run
from tests.simulation.wire import Address, Pair, WirePacket, open_packets

# Seconds after an event in which what was sent before it may still be on its way out
_AT_ONCE = 1e-6


def faults(run: Run) -> list[str]:
    """Everything that broke a rule."""
    records = run.here.world.record.select(host="phone")
    sent = [(r.time, (r.source[:2], r.destination[:2])) for r in records]
    home = sent[0][1][0]
    packets = open_packets(records, run.keys.getvalue())
    moves, answers = [], []
    for at, event in run.here.events:
        if isinstance(event, trioquic.Migrated):
            moves.append((at, event.new.remote))
        elif isinstance(event, trioquic.PathValidated):
            answers.append((at, (event.path.local, event.path.remote)))
    lost_at = inf if run.order.active is Active.UP else run.event_at
    return [
        *forbidden(run.order, home, sent),
        *left_for_good(moves, sent),
        *not_validated(answers, lost_at, home, packets),
        *shared_ids(packets),
    ]


def forbidden(order: Order, home: Address, sent: Iterable[tuple[float, Pair]]) -> Iterator[str]:
    """Section 9: not even a probe goes to the address of the handshake from another one of ours,
    before the connection has gone to the preferred address; afterwards see `left_for_good`."""
    if order.migration is Migration.FORBIDDEN:
        for at, (local, remote) in sent:
            if remote == ORIGINAL and local != home:
                yield f"{at:.3f}: from {local} to the original address, which is forbidden"


def left_for_good(
    moves: Iterable[tuple[float, Address]], sent: Iterable[tuple[float, Pair]]
) -> Iterator[str]:
    """Section 9.6.1: all future packets go to the preferred address once it is in use."""
    left = min([at for at, remote in moves if remote != ORIGINAL], default=inf)
    for at, (_, remote) in sent:
        if remote == ORIGINAL and at > left + _AT_ONCE:
            yield f"{at:.3f}: to the original address, which was left at {left:.3f}"


def not_validated(
    answers: Sequence[tuple[float, Pair]],
    lost_at: float,
    home: Address,
    packets: Iterable[WirePacket],
) -> Iterator[str]:
    """Section 9.6.2: a preferred address is validated before it carries anything but probes. So is
    any path as long as the one in use works; where that is gone, section 9.2 allows to move to a
    known address of the server at once."""
    for packet in packets:
        if packet.probing or packet.pair == (home, ORIGINAL):
            continue
        proven = [pair for at, pair in answers if at <= packet.time + _AT_ONCE]
        known = packet.pair[1] in (ORIGINAL, *(remote for _, remote in proven))
        if packet.pair not in proven and not (known and packet.time >= lost_at):
            yield f"{packet.time:.3f}: {packet.pair} was not validated"


def shared_ids(packets: Iterable[WirePacket]) -> Iterator[str]:
    """Section 9.5: one connection ID, one path."""
    used: defaultdict[bytes, set[Pair]] = defaultdict(set)
    for packet in packets:
        used[packet.connection_id].add(packet.pair)
    for pairs in used.values():
        if len(pairs) > 1:
            yield f"one connection ID on several paths: {sorted(pairs)}"
