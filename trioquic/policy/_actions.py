"""What a policy decides: actions, which the supervisor takes in their order."""

import ipaddress
from dataclasses import KW_ONLY, dataclass, field, replace
from math import inf, isnan
from typing import Final, TypeVar

from .. import _checks
from ..causes import CloseCause, MigrationCause
from ..errors import NoPathReason
from ._views import Candidate


def _moment(name: str, value: object) -> object:
    """A time on trio's clock; infinite ones are "never" and "at once"."""
    if isinstance(value, bool) or not isinstance(value, int | float) or isnan(value):
        raise TypeError(f"{name} must be a time on trio's clock, not {value!r}")
    return value


def _address(name: str, value: object) -> object:
    """An IP address as text; whether it is of any use, the system knows."""
    if not isinstance(value, str):
        raise _checks.wrong_type(name, "a str", value)
    ipaddress.ip_address(value)
    return value


def _endpoint(name: str, value: object) -> object:
    """An IP address and a port."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"{name} must be an address and a port, not {value!r}")
    _address(f"the address of {name}", value[0])
    _checks.whole(1, 65535)(f"the port of {name}", value[1])
    return value


def _cause(name: str, value: object) -> object:
    """Why a policy moves the connection. The application's own moves are its own, and pin it."""
    if value is MigrationCause.APPLICATION:
        raise ValueError(f"{name} of a policy's move cannot be APPLICATION")
    return _checks.instance(MigrationCause)(name, value)


def _candidate(name: str, value: object) -> object:
    """What a candidate is opened by, if it is not one of the view's."""
    _checks.instance(Candidate)(name, value)
    for one, row in _BY.items():
        row(f"{one} of {name}", getattr(value, one))
    return value


_BY: Final = {
    "local": _address,
    "interface": _checks.optional(_checks.text),
    "remote": _endpoint,
}
_PATH: Final = _checks.by(_checks.whole(0))
_WAY: Final = _checks.by(_candidate)
_GIVE_UP: Final = _checks.instance(NoPathReason)


class Action:
    """One thing that the supervisor shall do. TypeError and ValueError for odd fields."""

    __slots__ = ()

    def __post_init__(self) -> None:
        _checks.check_fields(self)


_A = TypeVar("_A", bound=Action)


@dataclass(frozen=True, slots=True)
class ClosePath(Action):
    """Give a path up. Closed already, nothing happens."""

    path: int = field(metadata=_PATH)
    _: KW_ONLY
    cause: CloseCause = _checks.checked(CloseCause.POLICY, _checks.instance(CloseCause))
    """Why; told in `PathClosed`."""
    reason: str = _checks.checked("", _checks.instance(str))
    """The same for people; empty: the cause says it all."""


@dataclass(frozen=True, slots=True)
class CallServerBack(Action):
    """Send something that is no probe on the active path, so that the server comes back to it
    (RFC 9000 section 9.3)."""


@dataclass(frozen=True, slots=True)
class Suspend(Action):
    """Leave the active path, whose network is gone, but keep its socket and connection ID for when
    it is back."""


@dataclass(frozen=True, slots=True)
class Migrate(Action):
    """Move the connection to a path (RFC 9000 section 9.2), unless it is there. What the RFC
    forbids is refused, and told in `MigrationRefused`."""

    path: int = field(metadata=_PATH)
    _: KW_ONLY
    cause: MigrationCause = _checks.checked(MigrationCause.POLICY, _cause)
    """Why; told in `Migrated`."""
    reason: str = _checks.checked("", _checks.instance(str))
    """The same for people; empty: the cause says it all."""
    unvalidated: bool = _checks.checked(False, _checks.flag)
    """Move there also if the path is not validated; it is challenged at the same time."""


@dataclass(frozen=True, slots=True)
class OpenAndMigrate(Action):
    """Open a path to a candidate and move there at once, validating it at the same time (RFC 9000
    section 9.2): where there is no other path, whatever works is better."""

    candidate: Candidate = field(metadata=_WAY)
    _: KW_ONLY
    cause: MigrationCause = _checks.checked(MigrationCause.POLICY, _cause)
    """Why; told in `Migrated`."""
    reason: str = _checks.checked("", _checks.instance(str))
    """The same for people; empty: the cause says it all."""


@dataclass(frozen=True, slots=True)
class Challenge(Action):
    """Challenge a path (RFC 9000 section 8.2), also one that has answered before. While an answer
    is waited for, nothing happens: challenges are repeated by themselves (section 8.2.1)."""

    path: int = field(metadata=_PATH)


@dataclass(frozen=True, slots=True)
class OpenPath(Action):
    """Open a path to a candidate and challenge it. What cannot be opened is told in
    `MigrationRefused`, and is no candidate for a while."""

    candidate: Candidate = field(metadata=_WAY)


@dataclass(frozen=True, slots=True)
class MissConnectionID(Action):
    """A path to this candidate would be opened if the server had given another connection ID (RFC
    9000 section 9.5): that is told once, in `MigrationRefused`."""

    candidate: Candidate = field(metadata=_WAY)


@dataclass(frozen=True, slots=True)
class WaitForPath(Action):
    """There is no way at all now: `WaitingForPath` is told, if no other action of the decision has
    moved the connection."""

    _: KW_ONLY
    give_up: NoPathReason | None = _checks.checked(None, _GIVE_UP)
    """There will be none either, so end the connection with `NoPathError`, for this reason."""
    give_up_at: float = _checks.checked(-inf, _moment)
    """When to do that, on trio's clock in seconds, if the policy still says so then; until then the
    connection waits. By default at once."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the supervisor shall do, one action after the other, and when to ask again. Empty:
    nothing. TypeError for what is no action or no time.

    While a path is being opened, the networks may change, and the active path may be another one or
    fall silent. Then the rest of the actions is out of date: nothing comes of it, and the policy is
    asked again.
    """

    actions: tuple[Action, ...] = _checks.checked((), _checks.several(Action))
    _: KW_ONLY
    look_again: float = _checks.checked(inf, _moment)
    """When to ask again if nothing happens, on trio's clock in seconds."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)

    def of(self, kind: type[_A]) -> tuple[_A, ...]:
        """The actions of one kind, in their order."""
        return tuple(action for action in self.actions if isinstance(action, kind))

    def without(self, *kinds: type[Action]) -> "Decision":
        """The same decision without the actions of these kinds."""
        rest = tuple(action for action in self.actions if not isinstance(action, kinds))
        return replace(self, actions=rest)

    @property
    def move(self) -> Migrate | OpenAndMigrate | None:
        """Where the connection moves; None: it stays."""
        moves = (one for one in self.actions if isinstance(one, Migrate | OpenAndMigrate))
        return next(moves, None)
