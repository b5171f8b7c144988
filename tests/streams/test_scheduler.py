"""Whose turn it is: urgency, then turns among incremental streams, the others one by one."""

from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.streams.scheduler import NOTHING, Scheduler


def turns(scheduler: Scheduler, count: int) -> list[int]:
    found = []
    for _ in range(count):
        found.append(scheduler.next())
        scheduler.served()
    return found


def test_incremental_streams_take_turns() -> None:
    scheduler = Scheduler()
    for number in (8, 0, 4):
        scheduler.add(number, 3, True)
    assert turns(scheduler, 7) == [8, 0, 4, 8, 0, 4, 8]


def test_the_others_are_served_one_by_one_in_the_order_of_their_numbers() -> None:
    scheduler = Scheduler()
    for number in (8, 0, 4):
        scheduler.add(number, 3, False)
    assert turns(scheduler, 3) == [0, 0, 0]
    scheduler.remove(0)
    assert turns(scheduler, 2) == [4, 4]


def test_both_kinds_share() -> None:
    scheduler = Scheduler()
    for number in (0, 4):
        scheduler.add(number, 3, True)
        scheduler.add(number + 100, 3, False)
    assert turns(scheduler, 6) == [100, 0, 100, 4, 100, 0]


def test_a_last_frame_is_a_turn_as_well() -> None:
    scheduler = Scheduler()
    for number in (0, 4):
        scheduler.add(number, 3, True)
        scheduler.add(number + 100, 3, False)
    order = []
    while len(scheduler):
        order.append(scheduler.next())
        scheduler.remove(order[-1])
    assert order == [100, 0, 104, 4]


def test_a_lower_urgency_goes_first() -> None:
    scheduler = Scheduler()
    scheduler.add(0, 7, True)
    scheduler.add(4, 0, False)
    scheduler.add(8, 3, True)
    order = []
    while len(scheduler):
        order.append((scheduler.urgency, scheduler.next()))
        scheduler.remove(scheduler.next())
    assert order == [(0, 4), (3, 8), (7, 0)]
    assert scheduler.urgency == NOTHING


def test_adding_twice_and_removing_a_stranger_change_nothing() -> None:
    scheduler = Scheduler()
    scheduler.add(0, 3, True)
    scheduler.add(0, 1, False)
    scheduler.remove(4)
    assert len(scheduler) == 1
    assert 0 in scheduler
    assert scheduler.urgency == 3
    scheduler.remove(0)
    assert 0 not in scheduler
    assert scheduler.urgency == NOTHING


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 7), st.booleans(), st.booleans()), max_size=60
    )
)
def test_nobody_starves(steps: list[tuple[int, int, bool, bool]]) -> None:
    scheduler = Scheduler()
    model: dict[int, tuple[int, bool]] = {}
    for number, urgency, incremental, add in steps:
        if add:
            scheduler.add(number, urgency, incremental)
            model.setdefault(number, (urgency, incremental))
        else:
            scheduler.remove(number)
            model.pop(number, None)
        best = min((place[0] for place in model.values()), default=NOTHING)
        assert scheduler.urgency == best
        if not model:
            continue
        equals = {n for n, place in model.items() if place[0] == best}
        ordered = sorted(n for n in equals if not model[n][1])
        expected = {n for n in equals if model[n][1]} | set(ordered[:1])
        assert set(turns(scheduler, 2 * len(equals))) == expected
