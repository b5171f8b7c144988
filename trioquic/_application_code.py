"""Code of the application's that runs inside the library: its source of networks, its policy, its
store of sessions, its congestion controller.

What it raises, or returns instead of what it should, is not a bug in trioquic, and the application
must be able to see whose it is: `ApplicationCodeError`, with what was raised as its cause. Classes
of this package are not guarded, as what they raise would be a bug here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import trio

from . import _checks
from ._groups import leaves
from ._protocol.recovery.choice import Choice
from ._protocol.recovery.control import CongestionControl
from .errors import ApplicationCodeError
from .networks import Interface, NetworkSource, PortRoutingSource, Route, routes_of
from .policy import Decision, MigrationPolicy, PolicyEvent, View
from .sessions import AddressToken, Record, Resumption, SessionKey, SessionStore, TakenSession

_PACKAGE = __name__.partition(".")[0]
# A source that does not wait must not keep the machine busy.
_SHORTEST_WAIT: Final = 0.005


def guarded(source: NetworkSource) -> NetworkSource:
    """The same source; one of the application's says so when it fails."""
    return source if _ours(source) else GuardedNetworks(source)


def guarded_store(store: SessionStore) -> SessionStore:
    """The same store; one of the application's says so when it fails."""
    return store if _ours(store) else GuardedSessions(store)


def guarded_congestion(choice: Choice) -> Choice:
    """The same choice; a controller of the application's says so when it fails."""
    return choice if isinstance(choice, str) else partial(GuardedControl, choice)


def _ours(thing: object) -> bool:
    return type(thing).__module__.partition(".")[0] == _PACKAGE


@contextmanager
def _told(whose: object, method: str) -> Iterator[None]:
    """What goes wrong in the block has gone wrong in this method."""
    try:
        yield
    except BaseExceptionGroup as group:
        # of a nursery of its own, which may have been cancelled at the same time
        rest = group.split(trio.Cancelled)[1]
        if not isinstance(rest, ExceptionGroup):
            raise
        raise _failed(whose, method, next(leaves(rest))) from rest
    except Exception as error:
        raise _failed(whose, method, error) from error


class GuardedNetworks:
    """A source of networks that the application has written."""

    def __init__(self, source: NetworkSource) -> None:
        self._source = source

    def snapshot(self) -> tuple[Interface, ...]:
        with _told(self._source, "snapshot"):
            return _checks.tuple_of(Interface, "what it returns", self._source.snapshot())

    def routes_to(self, servers: Sequence[tuple[str, int]]) -> tuple[Route, ...] | None:
        asked = "routes_to" if isinstance(self._source, PortRoutingSource) else "routes"
        with _told(self._source, asked):
            found = routes_of(self._source, servers)
            return None if found is None else _checks.tuple_of(Route, "what it returns", found)

    async def wait_changed(self) -> None:
        began = trio.current_time()
        with _told(self._source, "wait_changed"):
            await self._source.wait_changed()
        await trio.sleep_until(began + _SHORTEST_WAIT)


class GuardedSessions:
    """A store of sessions that the application has written."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def take(self, key: SessionKey) -> TakenSession:
        with _told(self._store, "take"):
            taken = await self._store.take(key)
            _checks.instance(TakenSession)("what it returns", taken)
            _checks.optional(_checks.instance(Resumption))("the ticket", taken.ticket)
            _checks.optional(_checks.instance(AddressToken))("the token", taken.token)
        return taken

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        with _told(self._store, "keep"):
            await self._store.keep(key, records)


def _passed_on(method: str) -> Callable[..., None]:
    """A method of `GuardedControl` that tells the application's controller."""

    def call(self: "GuardedControl", *args: object) -> None:
        with _told(self._control, method):
            getattr(self._control, method)(*args)

    return call


class GuardedControl:
    """A congestion controller that the application has written, made for one path."""

    def __init__(self, make: Callable[[int], CongestionControl], max_datagram_size: int) -> None:
        with _told(make, "__call__"):
            self._control = make(max_datagram_size)

    @property
    def window(self) -> int:
        with _told(self._control, "window"):
            window = self._control.window
            _checks.whole(-_checks.LARGEST_VARINT)("what it returns", window)
        return window

    @property
    def in_slow_start(self) -> bool:
        with _told(self._control, "in_slow_start"):
            return bool(self._control.in_slow_start)

    def on_datagram_size(self, size: int) -> None:
        """Passed on, if it wants to know."""
        if hasattr(self._control, "on_datagram_size"):
            with _told(self._control, "on_datagram_size"):
                self._control.on_datagram_size(size)

    on_acked = _passed_on("on_acked")
    on_round = _passed_on("on_round")
    on_rtt_sample = _passed_on("on_rtt_sample")
    on_congestion = _passed_on("on_congestion")
    on_persistent_congestion = _passed_on("on_persistent_congestion")


def decide(policy: MigrationPolicy, view: View, event: PolicyEvent, now: float) -> Decision:
    """Ask the policy, which may have a method `decide` of the application's."""
    if type(policy).decide is MigrationPolicy.decide:
        return policy.decide(view, event, now)
    with _told(policy, "decide"):
        decision = policy.decide(view, event, now)
        _checks.instance(Decision)("what it returns", decision)
    return decision


def _failed(whose: object, method: str, error: BaseException) -> ApplicationCodeError:
    name = whose.__name__ if isinstance(whose, type) else type(whose).__name__
    return ApplicationCodeError(f"{name}.{method} failed: {type(error).__name__}: {error}")
