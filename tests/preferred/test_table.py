"""The table of all orders is complete, comes from the rules alone, and is folded without loss."""

import ast
import itertools
from collections import Counter
from collections.abc import Sequence
from math import inf
from pathlib import Path
from types import ModuleType

import pytest

from tests.peer.packets import Frame
from tests.preferred import never, orders, rules, table
from tests.preferred.orders import BESIDE, ORDERS, Active, Ids, Migration, Mover, Order, Preferred
from tests.preferred.rules import Rule, verdict
from tests.preferred.world import ORIGINAL, preferred_of
from tests.simulation.wire import Address, Pair, WirePacket
from trioquic._protocol.wire import frames as fr

FORBIDDEN = Order(Active.UP, Preferred.PENDING, Migration.FORBIDDEN, Mover.SUPERVISOR, Ids.MANY)
HOME, AWAY = ("192.0.2.10", 1), ("203.0.113.10", 2)
THERE = preferred_of(FORBIDDEN)


def test_every_combination_is_there_once() -> None:
    assert len(ORDERS) == len(set(ORDERS)) == 3 * 6 * 2 * 2 * 3
    assert len(BESIDE) == 3 * 2 * 2 * 3
    assert len({str(order) for order in table.ALL}) == len(ORDERS) + len(BESIDE)


def test_each_has_an_outcome_and_a_sentence_for_it() -> None:
    for order in table.ALL:
        found = verdict(order)
        assert str(found.outcome) and found.rules, order
        assert found == verdict(order)
    used = {rule for order in table.ALL for rule in verdict(order).rules}
    assert used == set(Rule)


@pytest.mark.parametrize("module", [orders, rules])
def test_the_rules_know_nothing_of_the_library(module: ModuleType) -> None:
    """So no outcome is one that was seen."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    imported: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    ours = {name for name in imported if name.split(".")[0] in ("tests", "trioquic")}
    assert ours <= {"tests.preferred.orders"}


def test_the_folded_rows_stand_for_each_order_once() -> None:
    rows = table.folded()
    found = Counter(order for row in rows for order in row.orders())
    assert found == Counter(table.ALL)
    assert all(verdict(order) == row.verdict for row in rows for order in row.orders())
    assert len(rows) < len(table.ALL) / 3


def test_the_suite_plays_every_pair_of_values() -> None:
    played = [order for order in ORDERS if orders.is_sampled(order)]
    assert len(played) == len(ORDERS) / 3
    for one, other in itertools.combinations(range(len(Order.__slots__)), 2):

        def pairs(some: Sequence[Order], one: int = one, other: int = other) -> set[object]:
            return {(orders.values_of(o)[one], orders.values_of(o)[other]) for o in some}

        assert pairs(played) == pairs(ORDERS)


# -- what must never happen is noticed -------------------------------------------------------------

STAYS = [(1.0, (HOME, ORIGINAL)), (1.0, (AWAY, THERE))]


def packet(
    pair: Pair, frame: int = fr.PING, *, at: float = 2.0, peer_id: bytes = b"a"
) -> WirePacket:
    frames = (Frame(kind=frame),)
    return WirePacket(time=at, number=1, pair=pair, connection_id=peer_id, size=1200, frames=frames)


@pytest.mark.parametrize("local", [AWAY, (HOME[0], HOME[1] + 1)], ids=["address", "port"])
def test_a_forbidden_packet_is_noticed(local: Address) -> None:
    assert list(never.forbidden(FORBIDDEN, HOME, STAYS)) == []
    assert len(list(never.forbidden(FORBIDDEN, HOME, [*STAYS, (2.0, (local, ORIGINAL))]))) == 1


def test_a_packet_to_the_address_that_was_left_is_noticed() -> None:
    moves = [(1.5, THERE)]
    assert list(never.left_for_good(moves, STAYS)) == []
    assert list(never.left_for_good([(0.5, ORIGINAL)], STAYS)) == []
    assert len(list(never.left_for_good(moves, [*STAYS, (2.0, (HOME, ORIGINAL))]))) == 1


def test_more_than_a_probe_before_the_answer_is_noticed() -> None:
    answers = [(1.0, (HOME, THERE))]

    def found(*packets: WirePacket, lost_at: float = inf) -> list[str]:
        return list(never.not_validated(answers, lost_at, HOME, packets))

    assert found(packet((HOME, ORIGINAL)), packet((HOME, THERE))) == []
    assert found(packet((AWAY, ORIGINAL), fr.PATH_CHALLENGE)) == []
    assert len(found(packet((HOME, THERE), at=0.5))) == 1
    assert len(found(packet((HOME, THERE), at=0.5), lost_at=0.0)) == 1
    assert len(found(packet((AWAY, ORIGINAL)))) == 1
    assert found(packet((AWAY, ORIGINAL)), packet((AWAY, THERE)), lost_at=1.5) == []


def test_an_id_on_two_paths_is_noticed() -> None:
    one, other = packet((HOME, ORIGINAL)), packet((AWAY, ORIGINAL), peer_id=b"b")
    assert list(never.shared_ids([one, other])) == []
    assert len(list(never.shared_ids([one, packet((AWAY, ORIGINAL))]))) == 1
