"""The example's policy, asked without any network."""

import math
from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from examples.custom_policy import LowestRtt
from trioquic import PathState
from trioquic.policy import (
    Candidate,
    Migrate,
    MigrationPolicy,
    PathInfo,
    PolicyEvent,
    Trigger,
    View,
)

from .decisions import challenged, goal, opened
from .test_policy import CELLULAR, NOW, SILENT, VIEW, WIFI

TIME = PolicyEvent(trigger=Trigger.TIME)
ANSWERED = PolicyEvent(trigger=Trigger.VALIDATED, path=CELLULAR.id)
FAST = replace(CELLULAR, rtt=0.03)
POLICY = LowestRtt()


def view(active: PathInfo, other: PathInfo, **more: tuple[float, ...]) -> View:
    return replace(VIEW, active=active, paths=(active, other), **more)  # type: ignore[arg-type]


def test_it_moves_to_the_faster_network() -> None:
    decision = POLICY.decide(view(WIFI, FAST), ANSWERED, NOW)
    assert goal(decision) == FAST.id
    assert isinstance(decision.move, Migrate)
    assert decision.move.reason == "30 ms instead of 50 ms"


@pytest.mark.parametrize(
    "other",
    [
        replace(CELLULAR, rtt=0.045),
        replace(FAST, rtt=None),
        replace(FAST, state=PathState.PROBING, probing=True),
        replace(FAST, usable=False),
    ],
)
def test_it_stays_unless_that_is_clearly_faster_and_works(other: PathInfo) -> None:
    assert goal(POLICY.decide(view(WIFI, other), ANSWERED, NOW)) is None


@pytest.mark.parametrize("when", ["returns", "switches"])
def test_it_stays_for_a_while_after_a_move(when: str) -> None:
    moved = view(WIFI, FAST, **{when: (NOW - 1.0,)})
    assert goal(POLICY.decide(moved, ANSWERED, NOW)) is None
    assert goal(POLICY.decide(moved, ANSWERED, NOW + 2.5)) == FAST.id


def test_a_silent_path_and_no_path_are_left_to_the_inherited_function() -> None:
    inherited = MigrationPolicy(
        standby=2, standby_interval=5.0, metered_standby_interval=5.0, move_back_after=math.inf
    )
    gone = replace(WIFI, usable=False)
    for situation in (view(SILENT, FAST), view(gone, FAST), replace(VIEW, active=None, paths=())):
        expected = inherited.decide(situation, ANSWERED, NOW)
        assert POLICY.decide(situation, ANSWERED, NOW) == expected


def test_it_does_not_return_to_the_first_network_by_itself() -> None:
    """Cellular is in use and the better one for it, whatever the order of networks says."""
    on_cellular = replace(FAST, state=PathState.ACTIVE)
    idle = replace(WIFI, state=PathState.VALIDATED, proven_at=NOW - 10)
    assert goal(POLICY.decide(view(on_cellular, idle), ANSWERED, NOW)) is None
    assert goal(MigrationPolicy().decide(view(on_cellular, idle), ANSWERED, NOW)) == WIFI.id


def test_two_other_networks_are_kept_and_measured() -> None:
    ethernet: Candidate = replace(VIEW.candidates[1], local="192.0.2.20", interface="eth0", rank=2)
    probed = opened(
        POLICY.decide(
            replace(VIEW, candidates=(*VIEW.candidates, ethernet)),
            PolicyEvent(trigger=Trigger.TIME),
            NOW,
        )
    )
    assert {candidate.interface for candidate in probed} == {"wwan0", "eth0"}
    due = replace(FAST, rtt=0.05, proven_at=NOW - 5.0)
    assert challenged(POLICY.decide(view(WIFI, due), PolicyEvent(trigger=Trigger.TIME), NOW)) == (
        due.id,
    )


class Limited(MigrationPolicy):
    """No dataclass, and with something of its own."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


def test_a_subclass_may_have_attributes_of_its_own() -> None:
    policy = Limited(3)
    assert (policy.limit, policy.standby) == (3, MigrationPolicy().standby)
    with pytest.raises(FrozenInstanceError, match="standby"):
        policy.standby = 2  # type: ignore[misc]


def test_a_knob_that_would_be_ignored_is_told() -> None:
    class Plain(MigrationPolicy):
        standby = 2

    with pytest.raises(TypeError, match=r"Plain.standby is ignored: write Plain\(standby=...\)"):
        Plain()

    @dataclass(frozen=True, kw_only=True)
    class Field(MigrationPolicy):
        standby: int = 2

    class Below(Field):
        pass

    assert (Field().standby, Below().standby) == (2, 2)
