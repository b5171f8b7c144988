"""What path events say must fit together, and to what the connection did."""

import math
from typing import Final

import trioquic
from tests.simulation.case import Case, Outcome

# RFC 9000 section 8.2.4: three PTOs of a path of which nothing is known
_SHORTEST_ATTEMPT: Final = 2.9


def contradictions(case: Case, outcome: Outcome) -> list[str]:
    """Everything that cannot have been."""
    return [
        *_moves(outcome),
        *_validations(outcome),
        *_recoveries(outcome),
        *_failures(outcome),
        *_results(outcome),
    ]


def _moves(outcome: Outcome) -> list[str]:
    """Each move starts where the last one ended, or nowhere after a wait, and has a cause."""
    found = []
    here: int | None = 0
    waited = False
    for _, event in outcome.events:
        if isinstance(event, trioquic.Migrated):
            old = None if event.old is None else event.old.id
            # A path whose network is gone is left for the wait, though its socket may be kept; the
            # one that the server allows alone carries the connection again without a move.
            if old != here and not (waited and old is None):
                found.append(f"moved from {old}, was on {here}")
            if not event.reason:
                found.append("moved without a cause")
            here, waited = event.new.id, False
        elif isinstance(event, trioquic.PathClosed | trioquic.ValidationFailed):
            if not event.reason:
                found.append("failed without a reason")
        elif isinstance(event, trioquic.WaitingForPath):
            waited = True
            if not event.reason:
                found.append("waits without a reason")
    return found


def _validations(outcome: Outcome) -> list[str]:
    """Section 9.6.2: no move to another address of the server before it has answered there."""
    found = []
    answered = {outcome.records[0].destination[:2]}
    for _, event in outcome.events:
        if isinstance(event, trioquic.PathValidated):
            answered.add(event.path.remote)
            if not event.rtt > 0:
                found.append(f"answered after {event.rtt} s")
        elif isinstance(event, trioquic.Migrated) and event.new.remote not in answered:
            found.append(f"moved to {event.new.remote} before it answered")
    return found


def _recoveries(outcome: Outcome) -> list[str]:
    """Only what was degraded recovers."""
    found = []
    degraded: set[int] = set()
    for _, event in outcome.events:
        if isinstance(event, trioquic.PathDegraded):
            degraded.add(event.path.id)
        elif isinstance(event, trioquic.PathRecovered):
            if event.path.id not in degraded:
                found.append(f"path {event.path.id} recovered without reason")
            degraded.discard(event.path.id)
    return found


def _failures(outcome: Outcome) -> list[str]:
    """A failure is told once: another attempt takes its time, or the path has worked meanwhile."""
    found = []
    failed: dict[int, float] = {}
    for at, event in outcome.events:
        if isinstance(event, trioquic.ValidationFailed):
            if at < failed.get(event.path.id, -math.inf) + _SHORTEST_ATTEMPT:
                found.append(f"path {event.path.id} failed twice")
            failed[event.path.id] = at
        elif isinstance(event, trioquic.PathValidated | trioquic.PathRecovered):
            failed.pop(event.path.id, None)
    return found


def _results(outcome: Outcome) -> list[str]:
    """The fate of the preferred address is told once."""
    results = [e for _, e in outcome.events if isinstance(e, trioquic.PreferredAddressResult)]
    return [f"{len(results)} results for the preferred address"] if len(results) > 1 else []
