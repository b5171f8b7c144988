"""How a connection behaves when its network changes: data, and one pure function.

The supervisor asks `MigrationPolicy.decide` whenever something happened, with a frozen view of the
connection, and carries out what comes back. The function looks at what is there, not at what
happened before: a decision that came to nothing is simply taken again. An application with other
wishes changes the knobs, or subclasses the policy and decides itself.
"""

from collections.abc import Callable

from .._address.pairs import KINDS
from .._deprecation import renamed_attributes
from ._actions import (
    Action,
    CallServerBack,
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
from ._decide import MigrationPolicy
from ._views import Candidate, PathInfo, PolicyEvent, Trigger, View

__all__ = [
    "KINDS",
    "Action",
    "CallServerBack",
    "Candidate",
    "Challenge",
    "ClosePath",
    "Decision",
    "Migrate",
    "MigrationPolicy",
    "MissConnectionID",
    "OpenAndMigrate",
    "OpenPath",
    "PathInfo",
    "PolicyEvent",
    "Suspend",
    "Trigger",
    "View",
    "WaitForPath",
]

__getattr__: Callable[[str], object] = renamed_attributes(__name__, {"What": "Trigger"})
