"""State machines as tables: one enum of states, one of inputs, one dictionary.

A table is data, so that an illegal step is found at once and the documentation's diagrams can be
drawn from what really runs.
"""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from .errors import IllegalTransitionError


class Label(Enum):
    """Base of the enums of states and of inputs."""


# There is one object for each member, so identity is all that hashing needs; Enum's own hash is a
# Python function, which would be called for every step.
type.__setattr__(Label, "__hash__", object.__hash__)


S = TypeVar("S", bound=Label)
I = TypeVar("I", bound=Label)  # noqa: E741 - the field's letter for an input


def advance(table: Mapping[tuple[S, I], S], state: S, event: I) -> S:
    """The state after `event` in `state`; IllegalTransitionError where the table has no entry."""
    target = table.get((state, event))
    if target is None:
        raise IllegalTransitionError(f"{event.name} in state {state.name}")
    return target
