"""Code of the application's that runs inside the library: its source of networks, its policy, its
store of sessions.

What it raises, or returns instead of what it should, is not a bug in trioquic, and the application
must be able to see whose it is: `ApplicationCodeError`, with what was raised as its cause. Classes
of this package are not guarded, as what they raise would be a bug here.
"""

import math
from collections.abc import Sequence
from typing import Final

from . import _checks
from .errors import ApplicationCodeError, NoPathReason
from .networks import Interface, NetworkSource, Route, routes_of
from .policy import Candidate, Decision, MigrationPolicy, PolicyEvent, View
from .sessions import AddressToken, Record, Resumption, SessionKey, SessionStore, TakenSession

_PACKAGE = __name__.partition(".")[0]


def _moment(name: str, value: object) -> object:
    """A time on trio's clock; infinite ones are "never" and "at once"."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise TypeError(f"{name} must be a time on trio's clock, not {value!r}")
    return value


# What would otherwise fail where a decision is carried out, or do nothing in silence.
_DECISION: Final[_checks.Table] = {
    "abandon": _checks.several(int),
    "probe": _checks.several(Candidate),
    "challenge": _checks.several(int),
    "wanted": _checks.several(Candidate),
    "migrate": _checks.optional(_checks.whole(0)),
    "leap": _checks.optional(_checks.instance(Candidate)),
    "cause": _checks.instance(str),
    "give_up": _checks.optional(_checks.instance(NoPathReason)),
    "give_up_at": _moment,
    "look_again": _moment,
}


def guarded(source: NetworkSource) -> NetworkSource:
    """The same source; one of the application's says so when it fails."""
    return source if _ours(source) else GuardedNetworks(source)


def guarded_store(store: SessionStore) -> SessionStore:
    """The same store; one of the application's says so when it fails."""
    return store if _ours(store) else GuardedSessions(store)


def _ours(thing: object) -> bool:
    return type(thing).__module__.partition(".")[0] == _PACKAGE


class GuardedNetworks:
    """A source of networks that the application has written."""

    def __init__(self, source: NetworkSource) -> None:
        self._source = source

    def snapshot(self) -> tuple[Interface, ...]:
        """All interfaces as they are now."""
        try:
            return _checks.tuple_of(Interface, "what it returns", self._source.snapshot())
        except Exception as error:
            raise _failed(self._source, "snapshot", error) from error

    def routes(self, remotes: Sequence[str]) -> tuple[Route, ...] | None:
        """The routes to these addresses; None if the source knows nothing of routes."""
        try:
            found = routes_of(self._source, remotes)
            return None if found is None else _checks.tuple_of(Route, "what it returns", found)
        except Exception as error:
            raise _failed(self._source, "routes", error) from error

    async def wait_changed(self) -> None:
        """Return when something may have changed."""
        try:
            await self._source.wait_changed()
        except Exception as error:
            raise _failed(self._source, "wait_changed", error) from error


class GuardedSessions:
    """A store of sessions that the application has written."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def take(self, key: SessionKey) -> TakenSession:
        """What is kept for this key."""
        try:
            taken = await self._store.take(key)
            _checks.instance(TakenSession)("what it returns", taken)
            _checks.optional(_checks.instance(Resumption))("the ticket", taken.ticket)
            _checks.optional(_checks.instance(AddressToken))("the token", taken.token)
        except Exception as error:
            raise _failed(self._store, "take", error) from error
        return taken

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        """Keep these."""
        try:
            await self._store.keep(key, records)
        except Exception as error:
            raise _failed(self._store, "keep", error) from error


def decide(policy: MigrationPolicy, view: View, event: PolicyEvent, now: float) -> Decision:
    """Ask the policy, which may have a method `decide` of the application's."""
    if type(policy).decide is MigrationPolicy.decide:
        return policy.decide(view, event, now)
    try:
        decision = policy.decide(view, event, now)
        _checks.instance(Decision)("what it returns", decision)
        _checks.check_fields(decision, _DECISION)
    except Exception as error:
        raise _failed(policy, "decide", error) from error
    return decision


def _failed(whose: object, method: str, error: Exception) -> ApplicationCodeError:
    name = type(whose).__name__
    return ApplicationCodeError(f"{name}.{method} failed: {type(error).__name__}: {error}")
