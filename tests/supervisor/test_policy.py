"""`MigrationPolicy.decide` as what it is: a pure function of a view."""

import math
from dataclasses import replace
from typing import Any

import pytest

from trioquic import NoPathReason, PathState
from trioquic.policy import (
    Candidate,
    Challenge,
    Migrate,
    MigrationPolicy,
    PathInfo,
    PolicyEvent,
    Trigger,
    View,
)

from .decisions import (
    calls_back,
    challenged,
    closed,
    end,
    goal,
    opened,
    suspends,
    unvalidated,
    waits,
)

SERVER = ("198.51.100.1", 4433)
PREFERRED = ("198.51.100.2", 4433)
NOW = 1000.0
TIME = PolicyEvent(trigger=Trigger.TIME)

WIFI = PathInfo(
    id=0,
    state=PathState.ACTIVE,
    local=("192.0.2.10", 5000),
    remote=SERVER,
    interface="wlan0",
    kind="wifi",
    metered=None,
    preferred=False,
    rank=0,
    usable=True,
    proven_at=-math.inf,
    silent_since=math.inf,
    rtt=0.05,
    pto=0.1,
    unanswered_ptos=0,
    probing=False,
    opened_by_supervisor=False,
    works_since=-math.inf,
)
CELLULAR = replace(
    WIFI,
    id=1,
    state=PathState.VALIDATED,
    local=("203.0.113.10", 5000),
    interface="wwan0",
    kind="cellular",
    metered=True,
    rank=1,
    proven_at=NOW - 5,
    opened_by_supervisor=True,
)
WAY = Candidate(
    local="203.0.113.10",
    interface="wwan0",
    kind="cellular",
    metered=True,
    remote=SERVER,
    preferred=False,
    rank=1,
    new_port=False,
    reason="",
)
SAME = replace(WAY, local="192.0.2.10", interface="wlan0", kind="wifi", rank=0, new_port=True)
VIEW = View(
    active=WIFI,
    paths=(WIFI,),
    candidates=(SAME, WAY),
    spare_ids=6,
    migration_allowed=True,
    preferred_pending=False,
    switches=(),
    returns=(),
    next_candidate_at=math.inf,
)
SILENT = replace(WIFI, silent_since=NOW - 0.1, unanswered_ptos=1)
POLICY = MigrationPolicy()


def test_a_standby_is_opened_on_another_network() -> None:
    decision = POLICY.decide(VIEW, TIME, NOW)
    assert opened(decision) == (WAY,)
    assert goal(decision) is None


def test_no_standby_where_none_is_wanted() -> None:
    assert not opened(MigrationPolicy(standby=0).decide(VIEW, TIME, NOW))
    assert not opened(MigrationPolicy(metered=False).decide(VIEW, TIME, NOW))
    assert not opened(MigrationPolicy(kinds=["wifi"]).decide(VIEW, TIME, NOW))


@pytest.mark.parametrize(
    "policy", [MigrationPolicy(enabled=False), MigrationPolicy(automatic=False)]
)
def test_off_means_off(policy: MigrationPolicy) -> None:
    view = replace(VIEW, active=SILENT, paths=(SILENT, CELLULAR))
    assert policy.decide(view, TIME, NOW) == type(policy.decide(view, TIME, NOW))()


def test_a_silent_path_has_everyone_asked() -> None:
    view = replace(VIEW, active=SILENT, paths=(SILENT, CELLULAR))
    decision = MigrationPolicy(move_after=2).decide(view, TIME, NOW)
    assert challenged(decision) == (0, 1)
    assert goal(decision) is None
    # when the next PTO is over at the latest
    assert decision.look_again <= NOW + 2 * SILENT.pto


def test_a_standby_is_moved_to_before_it_answers_again() -> None:
    """It was validated not long ago; both paths are challenged, to see which one works."""
    view = replace(VIEW, active=SILENT, paths=(SILENT, CELLULAR))
    decision = POLICY.decide(view, TIME, NOW)
    assert goal(decision) == 1
    assert set(challenged(decision)) == {0, 1}
    twice = replace(SILENT, unanswered_ptos=2)
    view = replace(VIEW, active=twice, paths=(twice, CELLULAR))
    assert goal(MigrationPolicy(move_after=2).decide(view, TIME, NOW)) == 1


@pytest.mark.parametrize(
    "doubtful",
    [
        replace(CELLULAR, state=PathState.PROBING, probing=True),
        replace(CELLULAR, state=PathState.CANDIDATE, probing=True),
        replace(CELLULAR, usable=False),
    ],
)
def test_no_move_to_a_path_that_was_never_validated_or_is_gone(doubtful: PathInfo) -> None:
    view = replace(VIEW, active=SILENT, paths=(SILENT, doubtful))
    assert goal(POLICY.decide(view, TIME, NOW)) is None


def test_the_first_that_answers_is_taken() -> None:
    answered = replace(CELLULAR, proven_at=NOW)
    view = replace(VIEW, active=SILENT, paths=(SILENT, answered))
    decision = POLICY.decide(view, TIME, NOW)
    assert goal(decision) == 1
    assert isinstance(decision.move, Migrate)
    assert "1 PTO" in decision.move.reason


def test_switches_are_bounded() -> None:
    answered = replace(CELLULAR, proven_at=NOW)
    view = replace(VIEW, active=SILENT, paths=(SILENT, answered))
    view = replace(view, switches=tuple(NOW - n for n in range(5)))
    assert goal(POLICY.decide(view, TIME, NOW)) is None


def test_another_port_when_there_is_no_other_network() -> None:
    view = replace(VIEW, active=SILENT, paths=(SILENT,), candidates=(SAME,))
    assert opened(POLICY.decide(view, TIME, NOW)) == (SAME,)
    assert not opened(MigrationPolicy(new_port=False).decide(view, TIME, NOW))


def test_another_address_of_the_only_network_is_as_good_as_another_port() -> None:
    other = replace(SAME, local="192.0.2.11", new_port=False)
    view = replace(VIEW, active=SILENT, paths=(SILENT,), candidates=(other,))
    assert opened(POLICY.decide(view, TIME, NOW)) == (other,)


def test_a_path_whose_network_is_gone_is_left_at_once() -> None:
    gone = replace(WIFI, usable=False)
    decision = POLICY.decide(replace(VIEW, active=gone, paths=(gone, CELLULAR)), TIME, NOW)
    assert (closed(decision), goal(decision)) == ((0,), 1)
    decision = POLICY.decide(
        replace(VIEW, active=gone, paths=(gone,), candidates=(WAY,)), TIME, NOW
    )
    # and kept until another is proven: its network may be back, and then its port is the only one
    assert (closed(decision), suspends(decision), goal(decision)) == ((), True, WAY)
    decision = POLICY.decide(replace(VIEW, active=gone, paths=(gone,), candidates=()), TIME, NOW)
    assert waits(decision)


def test_no_leap_to_a_server_address_that_never_answered() -> None:
    """Section 9.6.2: validation comes first there."""
    gone = replace(WIFI, usable=False)
    way = replace(WAY, remote=PREFERRED, preferred=True, known=False)
    view = replace(VIEW, active=gone, paths=(gone,), candidates=(way,), preferred_pending=True)
    assert goal(POLICY.decide(view, TIME, NOW)) is None


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_963_with_few_connection_ids_the_preferred_address_is_asked_first(spare: int) -> None:
    both = (WAY, replace(WAY, remote=PREFERRED, preferred=True))
    view = replace(VIEW, active=SILENT, paths=(SILENT,), candidates=both, spare_ids=spare)
    asked = opened(POLICY.decide(view, TIME, NOW))
    assert [candidate.preferred for candidate in asked] == [True, False][:spare]


def test_963_both_addresses_are_asked_in_whatever_order_the_candidates_come() -> None:
    """RFC 6724 may put another network between them."""
    there = replace(WAY, local="203.0.113.20", interface="wwan1")
    ways = [replace(WAY, remote=PREFERRED, preferred=True), WAY]
    view = replace(VIEW, candidates=(WAY, there, ways[0]))
    assert list(opened(POLICY.decide(view, TIME, NOW))) == ways


def test_a_path_that_the_application_chose_is_kept() -> None:
    back = replace(WIFI, state=PathState.VALIDATED, proven_at=NOW - 60)
    here = replace(CELLULAR, state=PathState.ACTIVE)
    view = replace(VIEW, active=here, paths=(back, here), candidates=())
    assert goal(POLICY.decide(view, TIME, NOW)) == WIFI.id
    here = replace(here, pinned=True)
    view = replace(VIEW, active=here, paths=(back, here), candidates=())
    assert goal(POLICY.decide(view, TIME, NOW)) is None


def test_a_second_path_that_differs_in_its_port_only_is_given_up() -> None:
    double = replace(
        WIFI, id=7, state=PathState.VALIDATED, opened_by_supervisor=True, proven_at=NOW
    )
    view = replace(VIEW, paths=(WIFI, double), candidates=())
    assert closed(POLICY.decide(view, TIME, NOW)) == (7,)
    view = replace(view, paths=(WIFI, replace(double, opened_by_supervisor=False)))
    assert closed(POLICY.decide(view, TIME, NOW)) == ()


def test_a_standby_on_the_same_network_is_none() -> None:
    """When that network goes, both are gone."""
    near = replace(WIFI, id=7, local=("192.0.2.11", 1), state=PathState.VALIDATED, proven_at=NOW)
    view = replace(VIEW, paths=(WIFI, near), candidates=(WAY,))
    assert opened(POLICY.decide(view, TIME, NOW)) == (WAY,)


def test_forbidden_migration_leaves_only_the_preferred_address() -> None:
    way = replace(SAME, remote=PREFERRED, preferred=True, known=False, new_port=False)
    view = replace(VIEW, migration_allowed=False, candidates=(SAME, WAY, way))
    view = replace(view, preferred_pending=True)
    assert opened(POLICY.decide(view, TIME, NOW)) == (way,)
    view = replace(view, preferred_pending=False, candidates=(SAME, WAY))
    silent = replace(view, active=SILENT, paths=(SILENT,))
    assert not opened(POLICY.decide(view, TIME, NOW))
    assert not opened(POLICY.decide(silent, TIME, NOW))


@pytest.mark.parametrize(("returns", "patience"), [(0, 1), (1, 2), (3, 8), (9, 128)])
def test_patience_before_the_return_to_a_better_network(returns: int, patience: float) -> None:
    active = replace(CELLULAR, state=PathState.ACTIVE)
    better = replace(WIFI, state=PathState.VALIDATED, proven_at=NOW + 0.5, works_since=NOW)
    view = replace(VIEW, active=active, paths=(better, active), candidates=())
    view = replace(view, returns=tuple(NOW - 1 for _ in range(returns)))
    early = POLICY.decide(view, TIME, NOW + patience - 0.1)
    assert goal(early) is None
    assert early.look_again == pytest.approx(NOW + patience)
    assert goal(POLICY.decide(view, TIME, NOW + patience)) == 0
    never = MigrationPolicy(move_back_after=math.inf)
    assert goal(never.decide(view, TIME, NOW + 10_000)) is None


def test_a_standby_is_challenged_again_before_a_nat_forgets_it() -> None:
    free = replace(CELLULAR, metered=False)
    view = replace(VIEW, paths=(WIFI, free), candidates=())
    assert challenged(POLICY.decide(view, TIME, free.proven_at + 24)) == ()
    assert challenged(POLICY.decide(view, TIME, free.proven_at + 25)) == (1,)
    metered = replace(VIEW, paths=(WIFI, CELLULAR), candidates=())
    assert challenged(POLICY.decide(metered, TIME, NOW + 10_000)) == ()


def test_a_standby_that_is_being_validated_is_waited_for() -> None:
    """Its answer or failure is an event; there is nothing to look at again before."""
    probing = replace(CELLULAR, state=PathState.PROBING, proven_at=-math.inf, probing=True)
    for metered in (True, False):
        view = replace(VIEW, paths=(WIFI, replace(probing, metered=metered)), candidates=())
        decision = POLICY.decide(view, TIME, NOW)
        assert decision.look_again == math.inf
        assert challenged(decision) == ()


@pytest.mark.parametrize(
    ("knob", "value", "error"),
    [
        ("standby", -1, ValueError),
        ("standby_interval", math.nan, ValueError),
        ("linger", math.inf, ValueError),
        ("kinds", "wifi", TypeError),
        ("automatic", 1, TypeError),
        ("no_path_timeout", "5", TypeError),
    ],
)
def test_bad_knobs(knob: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        MigrationPolicy(**{knob: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("preferred", [False, True])
def test_no_move_to_a_path_that_is_closed_in_the_same_breath(preferred: bool) -> None:
    """Its address is gone while its interface, which is the better one, has got another."""
    active = replace(CELLULAR, state=PathState.ACTIVE)
    gone = replace(
        WIFI, state=PathState.VALIDATED, proven_at=NOW - 5, usable=False, preferred=preferred
    )
    decision = POLICY.decide(replace(VIEW, active=active, paths=(gone, active)), TIME, NOW)
    assert (closed(decision), goal(decision)) == ((gone.id,), None)


def test_no_move_to_a_path_whose_network_is_gone_while_it_was_probed() -> None:
    silent = replace(SILENT, unanswered_ptos=3)
    gone = replace(CELLULAR, state=PathState.PROBING, probing=True, usable=False, opened_at=NOW - 2)
    view = replace(VIEW, active=silent, paths=(silent, gone))
    assert goal(POLICY.decide(view, TIME, NOW)) is None


GONE = replace(WIFI, usable=False, trouble="wlan0 is down")


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ({"migration_allowed": False}, NoPathReason.MIGRATION_FORBIDDEN),
        ({"spare_ids": 0}, NoPathReason.NO_CONNECTION_ID),
        ({"migration_allowed": False, "spare_ids": 0}, NoPathReason.MIGRATION_FORBIDDEN),
    ],
)
def test_networks_that_must_not_be_used_end_the_connection(
    why: dict[str, int], reason: NoPathReason
) -> None:
    """Also for want of a connection ID (section 9.5): who is to give one hears nothing of us. The
    one that was in use may be back in a moment."""
    lost = replace(VIEW, active=GONE, paths=(GONE,), lost_at=NOW, **why)  # type: ignore[arg-type]
    elsewhere = replace(lost, candidates=(WAY,))
    decision = MigrationPolicy(return_grace=0.2).decide(elsewhere, TIME, NOW)
    assert end(decision) == (reason, NOW + 0.2)
    assert (waits(decision), closed(decision), decision.look_again) == (True, (), NOW + 0.2)
    for nothing in (
        replace(lost, candidates=()),
        replace(lost, candidates=(replace(WAY, kind="other"),)),
    ):
        decision = MigrationPolicy(kinds=["wifi", "cellular"]).decide(nothing, TIME, NOW)
        assert (end(decision), waits(decision), closed(decision)) == (None, True, ())


def test_a_path_that_was_leapt_to_is_kept_when_it_took_the_last_connection_id() -> None:
    """It goes before it has answered: when its network is back, there is no ID for another."""
    leapt = replace(LEAPT, usable=False)
    view = replace(VIEW, active=leapt, paths=(leapt,), candidates=(), spare_ids=0)
    decision = POLICY.decide(view, TIME, NOW)
    assert (closed(decision), waits(decision)) == ((), True)


def test_a_path_that_may_still_answer_is_moved_to() -> None:
    """Its connection ID is the last one. Section 9.2 allows to move first; what is gone is kept
    until another path is proven."""
    asked = replace(CELLULAR, state=PathState.PROBING, probing=True)
    view = replace(VIEW, active=GONE, paths=(GONE, asked), candidates=(WAY,), spare_ids=0)
    decision = POLICY.decide(view, TIME, NOW)
    assert (end(decision), waits(decision), closed(decision)) == (None, False, ())
    assert (suspends(decision), goal(decision), unvalidated(decision)) == (True, asked.id, True)


def test_the_preferred_address_is_asked_where_migration_is_forbidden() -> None:
    """Section 9.6; one attempt from one network, and the end when that has failed."""
    way = replace(WAY, remote=PREFERRED, preferred=True, known=False)
    view = replace(
        VIEW,
        active=GONE,
        paths=(GONE,),
        candidates=(way, WAY),
        migration_allowed=False,
        preferred_pending=True,
    )
    decision = POLICY.decide(view, TIME, NOW)
    assert (opened(decision), waits(decision), end(decision)) == ((way,), True, None)
    failed = replace(view, candidates=(WAY,))
    assert end(POLICY.decide(failed, TIME, NOW)) == (NoPathReason.MIGRATION_FORBIDDEN, -math.inf)


@pytest.mark.parametrize("mine", [False, True])
@pytest.mark.parametrize("rank", [0, 2])
def test_a_server_that_goes_for_ever_is_let_go(mine: bool, rank: int) -> None:
    """To a network that is worse, or only metered: it is called back twice, and then all goes on as
    if it had not gone, but without a standby."""
    active = replace(WIFI, rank=1)
    there = replace(CELLULAR, rank=rank, server_moves=1, opened_by_supervisor=mine)
    view = replace(VIEW, active=active, paths=(active, there), candidates=())
    asked = POLICY.decide(view, TIME, NOW)
    assert (calls_back(asked), closed(asked)) == (True, ())
    again = POLICY.decide(replace(view, called_back=1), TIME, NOW)
    assert (calls_back(again), closed(again)) == (True, (there.id,) if mine else ())
    left = POLICY.decide(replace(view, called_back=2), TIME, NOW)
    dropped = (there.id,) if mine and rank else ()
    assert (calls_back(left), closed(left), opened(left)) == (False, dropped, ())
    # a better network is gone to by the connection itself
    assert goal(left) == (there.id if rank == 0 else None)


def test_a_server_is_called_to_another_port_and_the_connection_goes_there() -> None:
    """picoquic goes to each path once, when it is new, and to no PING. What it has sent to the
    standby meanwhile is waited for."""
    strayed = replace(CELLULAR, server_moves=1)
    view = replace(VIEW, paths=(WIFI, strayed))
    asked = POLICY.decide(view, TIME, NOW)
    assert (calls_back(asked), opened(asked), closed(asked)) == (True, (SAME,), ())
    twin = replace(
        WIFI,
        id=2,
        local=("192.0.2.10", 5001),
        state=PathState.PROBING,
        opened_at=NOW,
        opened_by_supervisor=True,
    )
    view = replace(view, paths=(WIFI, CELLULAR, twin), called_back=1)
    assert closed(POLICY.decide(view, TIME, NOW)) == ()
    there = replace(twin, state=PathState.VALIDATED)
    assert goal(POLICY.decide(replace(view, paths=(WIFI, CELLULAR, there)), TIME, NOW)) == 2
    active = replace(twin, state=PathState.ACTIVE)
    old = replace(WIFI, state=PathState.VALIDATED, opened_by_supervisor=True)
    view = replace(view, active=active, paths=(active, CELLULAR, old))
    decision = POLICY.decide(view, TIME, NOW)
    assert (goal(decision), closed(decision)) == (None, (old.id,))
    # the second time there is no standby any more, after a while
    view = replace(view, called_back=2)
    assert closed(POLICY.decide(view, TIME, NOW)) == (old.id,)
    assert set(closed(POLICY.decide(view, TIME, NOW + 1))) == {old.id, CELLULAR.id}


def test_a_server_is_not_followed_to_and_fro_for_ever() -> None:
    twin = replace(WIFI, id=7, state=PathState.VALIDATED, proven_at=NOW - 1, server_moves=1)
    view = replace(VIEW, paths=(WIFI, twin), candidates=())
    assert goal(POLICY.decide(view, TIME, NOW)) == twin.id
    often = replace(view, returns=tuple(NOW - n for n in range(POLICY.switches_per_minute)))
    assert goal(POLICY.decide(often, TIME, NOW)) is None
    assert goal(POLICY.decide(often, TIME, NOW + 60)) == twin.id


LEAPT = replace(CELLULAR, state=PathState.ACTIVE, doubtful=True, opened_at=NOW, probing=True)


def test_what_is_proven_is_a_refuge_while_the_active_path_is_in_doubt() -> None:
    """Also a twin on another port, which is no double then."""
    twin = replace(LEAPT, id=7, state=PathState.VALIDATED, doubtful=False, proven_at=NOW)
    decision = POLICY.decide(replace(VIEW, active=LEAPT, paths=(LEAPT, twin)), TIME, NOW)
    assert (goal(decision), closed(decision)) == (7, ())


def test_what_is_gone_is_kept_while_the_active_path_is_in_doubt_and_returned_to() -> None:
    gone = replace(WIFI, state=PathState.CANDIDATE, usable=False, opened_by_supervisor=True)
    view = replace(VIEW, active=LEAPT, paths=(gone, LEAPT), candidates=())
    assert closed(POLICY.decide(view, TIME, NOW)) == ()
    back = replace(gone, usable=True, returned=True)
    decision = POLICY.decide(replace(view, paths=(back, LEAPT)), TIME, NOW)
    assert (goal(decision), unvalidated(decision)) == (0, True)
    proven = replace(LEAPT, doubtful=False)
    view = replace(view, active=proven, paths=(gone, proven))
    assert closed(POLICY.decide(view, TIME, NOW)) == (0,)


def test_another_port_each_time_somebody_else_answers() -> None:
    there = replace(WAY, new_port=True)
    view = replace(VIEW, active=LEAPT, paths=(LEAPT,), candidates=(there,))
    decision = POLICY.decide(view, TIME, NOW + 0.1)
    assert opened(decision) == ()
    assert decision.look_again <= NOW + 0.25
    assert len(opened(POLICY.decide(view, TIME, NOW + 0.25))) == 1
    misled = replace(LEAPT, misled=True)
    view = replace(view, active=misled, paths=(misled,))
    assert len(opened(POLICY.decide(view, TIME, NOW + 0.1))) == 1
    more = replace(misled, id=5, state=PathState.PROBING)
    view = replace(view, paths=(misled, more))
    assert len(opened(POLICY.decide(view, TIME, NOW + 0.1))) == 2


def test_no_more_ports_in_question_than_the_server_has_ids_of_ours_to_answer_with() -> None:
    """nginx has one, and forgets the first path for the second."""
    there = replace(WAY, new_port=True)
    misled = replace(LEAPT, misled=True)
    asked = replace(LEAPT, id=5, state=PathState.PROBING)
    view = replace(VIEW, active=misled, paths=(misled, asked), candidates=(there,), answerable=1)
    assert opened(POLICY.decide(view, TIME, NOW + 0.3)) == ()
    view = replace(view, paths=(misled, replace(asked, misled=True)))
    assert len(opened(POLICY.decide(view, TIME, NOW + 0.3))) == 1


def test_a_standby_that_leads_to_somebody_else_is_replaced() -> None:
    misled = replace(
        CELLULAR, state=PathState.PROBING, doubtful=True, misled=True, opened_at=NOW, probing=True
    )
    there = replace(WAY, new_port=True, misled=1)
    view = replace(VIEW, paths=(WIFI, misled), candidates=(SAME, there))
    # What came in may be anybody's: the server is given the time for an answer of its own.
    decision = POLICY.decide(view, TIME, NOW)
    assert (closed(decision), opened(decision)) == ((), (there, there))
    due = NOW + max(0.25, WIFI.pto)
    assert decision.look_again <= due
    decision = POLICY.decide(view, TIME, due)
    assert (closed(decision), opened(decision)) == ((misled.id,), (there,))


# The server ignores its probes while the packets of the active path overtake them.
UNHEARD = replace(
    CELLULAR,
    state=PathState.CANDIDATE,
    doubtful=True,
    proven_at=-math.inf,
    beside_strangers=True,
    opened_at=NOW,
    retry_at=NOW + 4,
)
BESIDE = replace(VIEW, paths=(WIFI, UNHEARD), candidates=(SAME,), answerable=1)
SILENT = replace(WIFI, silent_since=NOW, unanswered_ptos=1)


@pytest.mark.parametrize("metered", [True, None])
def test_a_silent_port_beside_strangers_is_kept_and_asked_again(metered: bool | None) -> None:
    view = replace(BESIDE, paths=(WIFI, replace(UNHEARD, metered=metered)))
    decision = POLICY.decide(view, TIME, NOW + 3)
    assert (decision.actions, decision.look_again) == ((), NOW + 4)
    assert POLICY.decide(view, TIME, NOW + 4).actions == (Challenge(UNHEARD.id),)


def test_a_silent_port_beside_strangers_is_gone_to() -> None:
    """One that was opened just now may be a stranger's as well."""
    view = replace(BESIDE, active=SILENT, paths=(SILENT, UNHEARD))
    assert goal(POLICY.decide(view, TIME, NOW)) is None
    decision = POLICY.decide(view, TIME, NOW + 3)
    assert (goal(decision), unvalidated(decision)) == (UNHEARD.id, True)
    assert goal(POLICY.decide(replace(view, answerable=0), TIME, NOW + 3)) is None
    gone = replace(WIFI, usable=False, trouble="wlan0 is down")
    view = replace(view, active=gone, paths=(gone, UNHEARD), candidates=())
    decision = POLICY.decide(view, TIME, NOW + 3)
    assert (goal(decision), unvalidated(decision)) == (UNHEARD.id, True)


@pytest.mark.parametrize(
    "change",
    [
        {"doubtful": False},
        {"preferred": True, "known": False},
        {"beside_strangers": False},
        {"opened_by_supervisor": True, "challenges_sent": 0},
    ],
)
def test_other_silent_ports_are_given_up(change: dict[str, Any]) -> None:
    view = replace(BESIDE, paths=(WIFI, replace(UNHEARD, **change)))
    assert closed(POLICY.decide(view, TIME, NOW + 3)) == (UNHEARD.id,)


def test_one_silent_port_is_kept_on_each_way_and_keeps_no_other_network_out() -> None:
    second = replace(UNHEARD, id=8, opened_at=NOW + 1)
    twin = replace(UNHEARD, id=9, local=(WIFI.local[0], 9), interface=WIFI.interface)
    pinned = replace(WIFI, pinned=True)
    view = replace(BESIDE, active=pinned, paths=(pinned, UNHEARD, second, twin))
    assert set(closed(POLICY.decide(view, TIME, NOW + 3))) == {8, 9}
    ethernet = replace(WAY, interface="eth0", local="10.0.0.2", rank=2)
    view = replace(BESIDE, candidates=(SAME, ethernet))
    assert opened(POLICY.decide(view, TIME, NOW + 3)) == (ethernet,)


def test_a_silent_port_is_not_asked_while_that_may_cost_another() -> None:
    """nginx forgets the one for the other, with one connection ID of ours left for both."""
    ethernet = replace(
        CELLULAR, id=8, interface="eth0", local=("10.0.0.2", 8), state=PathState.PROBING
    )
    asked = replace(ethernet, probing=True, doubtful=True, opened_at=NOW + 3)
    view = replace(BESIDE, paths=(WIFI, UNHEARD, asked))
    decision = POLICY.decide(view, TIME, NOW + 4)
    assert decision.actions == ()
    assert decision.look_again > NOW + 4, "what ends the other probe is a reason to look"
    assert POLICY.decide(replace(view, answerable=2), TIME, NOW + 4).actions == (Challenge(1),)
    proven = replace(ethernet, state=PathState.VALIDATED, proven_at=NOW + 3)
    decision = POLICY.decide(replace(view, paths=(WIFI, UNHEARD, proven)), TIME, NOW + 4)
    assert (closed(decision), challenged(decision)) == ((UNHEARD.id,), ())


@pytest.mark.parametrize("metered", [True, False])
def test_54_a_server_that_moved_is_followed_or_called_back(metered: bool) -> None:
    there = replace(CELLULAR, server_moves=1, rank=0, metered=metered)
    view = replace(VIEW, paths=(WIFI, there), candidates=())
    decision = POLICY.decide(view, TIME, NOW)
    assert (goal(decision), calls_back(decision)) == ((None, True) if metered else (1, False))
    if metered:
        # what else there is to do is not put off until the next event
        assert decision.look_again <= NOW
    again = POLICY.decide(replace(view, called_back=1), TIME, NOW)
    assert closed(again) == ((1,) if metered else ())
    cured = replace(VIEW, called_back=2)
    assert opened(POLICY.decide(cured, TIME, NOW)) == ()


def test_one_port_is_in_question_where_the_server_can_answer_on_one() -> None:
    """nginx has one connection ID left for new paths: it forgets the port that it heard first, and
    if the network in use goes in that moment it is left without any."""
    first = replace(
        CELLULAR, state=PathState.PROBING, doubtful=True, opened_at=NOW - 2, probing=True
    )
    second = replace(first, id=2, local=("203.0.113.10", 5001), opened_at=NOW - 1)
    view = replace(VIEW, paths=(WIFI, first, second), candidates=(SAME,), answerable=1)
    assert closed(POLICY.decide(view, TIME, NOW)) == (first.id,)
    assert closed(POLICY.decide(replace(view, answerable=4), TIME, NOW)) == ()


def test_a_leap_goes_to_the_port_that_was_asked_last() -> None:
    gone = replace(WIFI, usable=False)
    first = replace(
        CELLULAR, state=PathState.PROBING, doubtful=True, opened_at=NOW - 2, probing=True
    )
    second = replace(first, id=2, local=("203.0.113.10", 5001), opened_at=NOW - 1)
    again = replace(WAY, new_port=True)
    view = replace(VIEW, active=gone, paths=(gone, first, second), candidates=(again,), lost="down")
    decision = POLICY.decide(view, TIME, NOW)
    assert (goal(decision), unvalidated(decision)) == (second.id, True)


@pytest.mark.parametrize("other", [{"leave_tunnel": True}, {"kinds": ["wifi"]}])
def test_tunnels_only_and_the_contrary(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tunnel_only"):
        MigrationPolicy(tunnel_only=True, **other)
    # who names an interface knows its kind; who has been in a tunnel stays in one
    MigrationPolicy(tunnel_only=True, kinds=["wifi"], only_interfaces=["vpn0"])
    assert "tunnel" in MigrationPolicy(kinds=["wifi"]).inside().kinds
