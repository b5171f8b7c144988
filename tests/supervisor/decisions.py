"""What a decision comes to, for tests: one question each."""

from trioquic import NoPathReason
from trioquic.policy import (
    CallServerBack,
    Candidate,
    Challenge,
    ClosePath,
    Decision,
    Migrate,
    MissConnectionID,
    OpenAndMigrate,
    OpenPath,
    Suspend,
    WaitForPath,
)


def closed(decision: Decision) -> tuple[int, ...]:
    return tuple(action.path for action in decision.of(ClosePath))


def opened(decision: Decision) -> tuple[Candidate, ...]:
    return tuple(action.candidate for action in decision.of(OpenPath))


def missed(decision: Decision) -> tuple[Candidate, ...]:
    return tuple(action.candidate for action in decision.of(MissConnectionID))


def challenged(decision: Decision) -> tuple[int, ...]:
    return tuple(action.path for action in decision.of(Challenge))


def calls_back(decision: Decision) -> bool:
    return bool(decision.of(CallServerBack))


def suspends(decision: Decision) -> bool:
    return bool(decision.of(Suspend))


def goal(decision: Decision) -> int | Candidate | None:
    """The path that is moved to, or what one is opened to for that."""
    match decision.move:
        case Migrate(path):
            return path
        case OpenAndMigrate(candidate):
            return candidate
        case _:
            return None


def unvalidated(decision: Decision) -> bool:
    return any(move.unvalidated for move in decision.of(Migrate))


def waits(decision: Decision) -> bool:
    return bool(decision.of(WaitForPath))


def end(decision: Decision) -> tuple[NoPathReason, float] | None:
    """Why and when the connection is given up."""
    ends = [(wait.give_up, wait.give_up_at) for wait in decision.of(WaitForPath)]
    return next(((why, at) for why, at in ends if why is not None), None)
