"""Code of the application's that runs inside the library: its source of networks, its policy.

What it raises, or returns instead of what it should, is not a bug in trioquic, and the application
must be able to see whose it is: `ApplicationCodeError`, with what was raised as its cause. Classes
of this package are not guarded, as what they raise would be a bug here.
"""

from collections.abc import Sequence

from . import _checks
from .errors import ApplicationCodeError
from .networks import Interface, NetworkSource, Route, routes_of
from .policy import Decision, MigrationPolicy, PolicyEvent, View

_PACKAGE = __name__.partition(".")[0]


def guarded(source: NetworkSource) -> NetworkSource:
    """The same source; one of the application's says so when it fails."""
    ours = type(source).__module__.partition(".")[0] == _PACKAGE
    return source if ours else GuardedNetworks(source)


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


def decide(policy: MigrationPolicy, view: View, event: PolicyEvent, now: float) -> Decision:
    """Ask the policy, which may have a method `decide` of the application's."""
    if type(policy).decide is MigrationPolicy.decide:
        return policy.decide(view, event, now)
    try:
        decision = policy.decide(view, event, now)
        _checks.instance(Decision)("what it returns", decision)
    except Exception as error:
        raise _failed(policy, "decide", error) from error
    return decision


def _failed(whose: object, method: str, error: Exception) -> ApplicationCodeError:
    name = type(whose).__name__
    return ApplicationCodeError(f"{name}.{method} failed: {type(error).__name__}: {error}")
