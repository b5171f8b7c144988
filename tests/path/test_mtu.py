"""The search for a path's MTU, by itself: every step of its table, every bound, any losses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.errors import IllegalTransitionError
from trioquic._protocol.machine import advance
from trioquic._protocol.path.mtu import (
    BASE,
    LARGEST,
    TRANSITIONS,
    MtuInput,
    MtuSearch,
    MtuState,
)

PLENTY = 1 << 20
"""A congestion window that does not matter."""


class Trial:
    """A search, a clock, and a path that carries what it carries."""

    def __init__(
        self, carries: int, interface: int = 1500, *, ipv6: bool = False, limit: int = 65527
    ) -> None:
        self.search = MtuSearch(ipv6, interface, limit)
        self.carries = carries
        self.now = 100.0
        self.probed: list[int] = []

    def due(self, window: int = PLENTY) -> int:
        """The size to probe when data has filled a datagram."""
        self.search.on_full_datagram()
        return self.search.next_size(self.now, window)

    def probe(self, window: int = PLENTY) -> bool:
        """Probe once, if anything is due; whether it was."""
        size = self.due(window)
        if size:
            self.probed.append(size)
            self.search.on_probe_sent(size)
            number = self.search.number
            if size <= self.carries:
                self.search.on_probe_acked(number, size)
            else:
                self.search.on_probe_lost(number, size)
        return size > 0

    def finish(self, window: int = PLENTY) -> "Trial":
        for _ in range(100):
            if not self.probe(window):
                return self
        raise AssertionError("it does not end")


def test_what_the_interface_sends_is_tried_first() -> None:
    trial = Trial(1472).finish()
    assert trial.probed == [1472]
    assert trial.search.size == 1472
    assert trial.search.state is MtuState.COMPLETE


@pytest.mark.parametrize(
    ("interface", "ipv6", "limit", "top"),
    [
        (1500, False, 65527, 1472),
        (1500, True, 65527, 1452),
        (9000, False, 65527, 8972),
        (65536, False, 65527, LARGEST),
        (65536, False, 1452, 1452),
        (1400, True, 65527, 1352),
        (1280, True, 65527, 1232),
        (1500, False, 1200, BASE),
        (1228, False, 65527, BASE),
        (576, False, 65527, BASE),
        (0, False, 65527, BASE),
    ],
)
def test_the_bounds(interface: int, ipv6: bool, limit: int, top: int) -> None:
    """The interface's MTU without IP's and UDP's headers, what the peer takes, and our own cap."""
    trial = Trial(1 << 20, interface, ipv6=ipv6, limit=limit).finish()
    assert trial.search.size == top
    assert trial.probed == ([top] if top > BASE else [])


def test_the_peer_may_restrict_it_later() -> None:
    trial = Trial(1 << 20, 9000)
    trial.search.restrict(1300)
    assert trial.finish().search.size == 1300
    other = Trial(1 << 20, 9000)
    other.search.restrict(1200)
    assert not other.probe()


def test_three_losses_refuse_a_size_and_two_do_not() -> None:
    trial = Trial(0)
    for _ in range(2):
        trial.probe()
    trial.carries = 1 << 20
    trial.finish()
    assert trial.probed == [1472, 1472, 1472]
    assert trial.search.size == 1472


def test_losses_of_a_size_count_also_when_another_was_probed_between() -> None:
    """A window that goes up and down must not make an endless search."""
    trial = Trial(2300, 9000)
    for _ in range(2):
        trial.probe()
        trial.probe(window=4 * 1400)
    trial.finish()
    assert trial.probed.count(8972) == 3


def test_ethernets_size_comes_second_and_then_halves() -> None:
    trial = Trial(1392, 9000).finish()
    assert trial.probed == [8972] * 3 + [1472] * 3 + [1372, *[1432] * 3, 1392, *[1412] * 3]
    assert trial.search.size == 1392


def test_a_size_waits_for_the_window_and_smaller_ones_do_not() -> None:
    trial = Trial(1 << 20, 65536)
    windows = [4 * 1252 - 1, 12_000, 12_000, 24_000, 80_000]
    for window in windows:
        trial.probe(window)
    assert trial.probed == [2276, 4324, LARGEST]
    assert not trial.probe()


def test_nothing_is_probed_without_full_datagrams() -> None:
    search = MtuSearch(False, 1500, 65527)
    assert search.next_size(0.0, PLENTY) == 0
    assert search.state is MtuState.BASE
    search.on_full_datagram()
    assert search.next_size(0.0, PLENTY) == 1472
    search.on_probe_sent(1472)
    search.on_probe_lost(0, 1472)
    assert search.next_size(0.0, PLENTY) == 0, "each probe follows data of its own"


def test_one_probe_at_a_time() -> None:
    trial = Trial(1472)
    trial.search.on_probe_sent(trial.due())
    assert trial.due() == 0
    trial.search.on_probe_acked(0, 1472)
    assert trial.search.size == 1472


def test_after_600_seconds_it_looks_for_more() -> None:
    trial = Trial(1400).finish()
    assert trial.search.size == 1392
    trial.carries = 1472
    trial.now += 599.0
    assert trial.due() == 0
    trial.now += 1.0
    assert trial.due() == 1472
    assert trial.search.state is MtuState.SEARCHING
    assert trial.search.size == 1392, "what works goes on working"
    assert trial.finish().search.size == 1472


def test_where_the_largest_works_there_is_nothing_to_look_for() -> None:
    trial = Trial(1472).finish()
    trial.now += 1e6
    assert trial.due() == 0
    assert trial.search.state is MtuState.COMPLETE


def test_a_fall_is_followed_by_patience_that_doubles() -> None:
    trial = Trial(1472)
    for patience in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]:
        trial.finish()
        assert trial.search.size == 1472
        trial.search.fall(trial.now)
        assert trial.search.size == BASE
        assert trial.search.state is MtuState.BASE
        trial.now += patience - 0.5
        assert trial.due() == 0
        trial.now += 0.5


def test_a_fall_long_ago_is_forgiven() -> None:
    trial = Trial(1472)
    for _ in range(3):
        trial.finish()
        trial.search.fall(trial.now)
        trial.now += 10.0
    trial.finish()
    trial.now += 1200.0
    trial.search.fall(trial.now)
    trial.now += 1.0
    assert trial.due() == 1472


def test_coming_back_begins_anew_with_no_patience() -> None:
    trial = Trial(1472).finish()
    trial.search.fall(trial.now)
    trial.search.restart()
    assert trial.finish().search.size == 1472
    trial.search.restart()
    assert trial.search.size == BASE
    assert trial.finish().search.size == 1472
    trial.search.fall(trial.now)
    trial.now += 1.0
    assert trial.due() == 1472


@pytest.mark.parametrize("acked", [True, False])
def test_a_probe_of_an_earlier_search_means_nothing(acked: bool) -> None:
    trial = Trial(1472)
    trial.search.on_probe_sent(trial.due())
    trial.search.restart()
    assert trial.due() == 1472
    trial.search.on_probe_sent(1472)
    for _ in range(3):
        if acked:
            trial.search.on_probe_acked(0, 1472)
        else:
            trial.search.on_probe_lost(0, 1472)
    assert trial.search.size == BASE
    assert trial.due() == 0, "the probe of this search is still on its way"
    trial.search.on_probe_acked(1, 1472)
    assert trial.search.size == 1472


def test_a_late_acknowledgement_counts() -> None:
    """Also when the size was refused by then, and a smaller one is on its way."""
    trial = Trial(0, 9000)
    for _ in range(3):
        trial.probe()
    assert trial.due() == 1472
    trial.search.on_probe_sent(1472)
    trial.search.on_probe_acked(0, 8972)
    assert trial.search.size == 8972
    assert trial.due() == 0
    trial.search.on_probe_acked(0, 1472)
    assert trial.search.size == 8972
    assert trial.due() == 0
    assert trial.search.state is MtuState.COMPLETE


def test_the_table_has_no_other_steps() -> None:
    steps = {(s, e) for s in MtuState for e in MtuInput} - set(TRANSITIONS)
    assert (MtuState.BASE, MtuInput.FALL) in steps
    for state, event in steps:
        with pytest.raises(IllegalTransitionError):
            advance(TRANSITIONS, state, event)


@given(
    carries=st.integers(1200, 70_000),
    interface=st.integers(1228, 65_536),
    ipv6=st.booleans(),
    limit=st.integers(1200, 65_527),
    windows=st.lists(st.integers(2400, 100_000), max_size=40),
    losses=st.lists(st.booleans(), max_size=60),
)
def test_whatever_is_lost_it_ends_with_a_size_that_works(
    carries: int,
    interface: int,
    ipv6: bool,
    limit: int,
    windows: list[int],
    losses: list[bool],
) -> None:
    """Random losses may make it settle for less, never for more than the path carries; nor does it
    probe without end, above its bounds, or below what it has found."""
    trial = Trial(carries, interface, ipv6=ipv6, limit=limit)
    top = max(min(interface - (48 if ipv6 else 28), limit, LARGEST), BASE)
    accidents = iter(losses)
    for window in [*windows, *[PLENTY] * 100]:
        size = trial.due(window)
        if not size:
            continue
        assert trial.search.size < size <= top
        assert 4 * size <= window
        trial.probed.append(size)
        trial.search.on_probe_sent(size)
        if size > carries or next(accidents, False):
            trial.search.on_probe_lost(0, size)
        else:
            trial.search.on_probe_acked(0, size)
        assert trial.search.size <= min(carries, top)
    assert trial.due() == 0
    assert all(trial.probed.count(size) <= 3 for size in trial.probed)
    assert len(trial.probed) <= 3 * 18
    if top > BASE:
        assert trial.search.state is MtuState.COMPLETE


@given(carries=st.integers(1200, 70_000), interface=st.sampled_from([1500, 9000, 65_536]))
def test_without_accidents_it_comes_close_and_is_short(carries: int, interface: int) -> None:
    trial = Trial(carries, interface).finish()
    works = min(carries, interface - 28, LARGEST)
    assert trial.search.size <= works
    if 1252 <= works <= 1500:
        assert works - trial.search.size < 40
    lost = [size for size in trial.probed if size > carries]
    assert len(lost) <= 18
    assert len(trial.probed) - len(lost) <= 6
