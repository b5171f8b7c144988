"""What happens to the paths of one connection, told: to the supervisor and as public events.

The core says what happened by number; here that becomes an event with a path's handle, and a reason
for the supervisor to look again.
"""

import errno
from collections.abc import Mapping
from math import inf
from typing import Final, Protocol

import trio

from ... import events as public
from ..._protocol import events as core
from ..._protocol.path.refusal import PathRefusedError
from ...causes import CloseCause, MigrationCause, Refusal
from ...errors import MigrationNotAllowedError, QuicError
from ...paths import Path
from ...policy import PolicyEvent, Trigger
from ..endings import path_error
from ..sockets.sockets import TooNarrowError
from ..waiting import EventWaiters, Reason
from .broadcast import Broadcast
from .path_link import PathLink

# Errors of a socket that speak of its network. A datagram that is too long does not, unless it is
# no longer than QUIC's shortest.
_NO_WAY = (
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.ENODEV,
    errno.ENXIO,
)
_BETWEEN_TROUBLES = 0.1  # seconds
_TRIGGERS: Final[dict[type[core.PathEvent], Trigger]] = {
    core.PathValidated: Trigger.VALIDATED,
    core.ValidationFailed: Trigger.VALIDATION_FAILED,
    core.PathReset: Trigger.RESET,
    core.PathMisled: Trigger.MISLED,
    core.ServerMoved: Trigger.SERVER_MOVED,
    core.PathSilent: Trigger.SILENT,
    core.PathDegraded: Trigger.DEGRADED,
    core.PathRecovered: Trigger.RECOVERED,
}


class Listener(Protocol):
    """Who decides by itself where the connection goes: `Supervisor`."""

    @property
    def listening(self) -> bool: ...
    def hear(self, event: PolicyEvent) -> None: ...
    def look_at(self, path_id: int) -> None: ...


class PathNews:
    """Tells of the paths in `links`."""

    def __init__(
        self, links: Mapping[int, PathLink], broadcast: Broadcast, waiters: EventWaiters
    ) -> None:
        self._links = links
        self._waiters = waiters
        self.broadcast = broadcast
        self._listener: Listener | None = None
        self._cause, self._reason = MigrationCause.POLICY, ""
        self._trouble_until = -inf
        # the path of the last move, also if it is closed or left by now
        self._last_active: Path | None = None

    def attach(self, listener: Listener) -> None:
        """Somebody decides where the connection goes, and hears of all that happens to paths."""
        self._listener = listener

    def end(self) -> None:
        """The connection is gone, and there is no more news: let go of who would be told."""
        self._listener = None
        self._last_active = None
        self.broadcast.close()

    def on_first(self, path: Path) -> None:
        """The connection begins on this path."""
        self._last_active = path

    def on_waiting(self, deadline: float, reason: str) -> None:
        """There is no path. What the connection was on before is of no interest any more."""
        self.broadcast.send(public.WaitingForPath(deadline=deadline, reason=reason))
        self._last_active = None

    def on_opened(self, path: Path) -> None:
        """There is another path."""
        if self._listener is not None:
            self._listener.look_at(path.id)
        self.broadcast.send(public.PathOpened(path=path))

    def on_closed(self, path: Path, cause: CloseCause, reason: str) -> None:
        """A path is gone."""
        self.broadcast.send(public.PathClosed(path=path, cause=cause, reason=reason))
        self._hear(Trigger.CLOSED, path.id)

    def on_moving(self, cause: MigrationCause, reason: str) -> None:
        """The connection is about to be moved, for this cause."""
        self._cause, self._reason = cause, reason

    def on_ids(self) -> None:
        """Paths are possible now that were not before."""
        self._hear(Trigger.IDS)

    def on_refused(self, refusal: Refusal, reason: str) -> None:
        """A path was wanted and could not be had."""
        self.broadcast.send(public.MigrationRefused(refusal=refusal, reason=reason))

    def refuse(self, refused: PathRefusedError) -> QuicError:
        """What a refusal of the core's looks like to the application; it is told as well."""
        error = path_error(refused)
        if isinstance(error, MigrationNotAllowedError):
            self.on_refused(error.refusal, error.reason)
        return error

    # -- from the core ---------------------------------------------------------------------------

    def on_path_event(self, event: core.Event) -> None:
        """Turn one of the core's events into a public one, or into a reason to look."""
        match event:
            case core.ConnectionIdsAvailable():
                self.on_ids()
            case core.PreferredAddressSettled(address=address, used=used, reason=reason):
                result = public.PreferredAddressResult(address=address, used=used, reason=reason)
                self.broadcast.send(result)
            case core.Migrated(old=old, new=new):
                self._moved(old, new)
            # not about one that is closed already
            case core.PathEvent(path_id=number) if number in self._links:
                self._tell(event, self._links[number])

    def _tell(self, event: core.PathEvent, link: PathLink) -> None:
        told: public.PathEvent | None = None
        match event:
            case core.PathValidated(rtt=rtt):
                link.too_narrow = ""
                link.settle(rtt)
                told = public.PathValidated(path=link.handle, rtt=rtt)
            case core.ValidationFailed(reason=reason):
                reason = link.too_narrow or reason
                link.on_failed(reason)
                told = public.ValidationFailed(path=link.handle, reason=reason)
            case core.PathDegraded():
                told = public.PathDegraded(path=link.handle)
            case core.PathRecovered(degraded=True):
                told = public.PathRecovered(path=link.handle)
            case core.ServerMoved():
                told = public.ServerMoved(path=link.handle)
        self._hear(_TRIGGERS[type(event)], link.path_id)
        if told is not None:
            self.broadcast.send(told)

    def _moved(self, old: int, new: int) -> None:
        link, left = self._links.get(new), self._links.get(old)
        if link is None:
            return
        if left is not None:
            left.set_active(False)
        link.set_active(True)
        self._hear(Trigger.MOVED, new)
        self.broadcast.send(
            public.Migrated(
                old=self._last_active if left is None else left.handle,
                new=link.handle,
                cause=self._cause,
                reason=self._reason,
            )
        )
        self._last_active = link.handle

    def on_socket_error(self, path_id: int, error: OSError) -> None:
        """The active path has no way out, says the system: a reason to look at the networks and to
        ask on other paths, though not to believe it at once, as ICMP can be forged. Said for every
        datagram, heard now and then."""
        now = trio.current_time()
        told = error.errno in _NO_WAY or isinstance(error, TooNarrowError)
        if told and now >= self._trouble_until:
            self._trouble_until = now + _BETWEEN_TROUBLES
            self._hear(Trigger.SOCKET_ERROR, path_id)

    def on_woken(self) -> bool:
        """After sleep: have the networks looked at, if somebody does that."""
        if self._listener is None or not self._listener.listening:
            return False
        self._hear(Trigger.WOKEN)
        return True

    def _hear(self, trigger: Trigger, path_id: int | None = None) -> None:
        self._waiters.wake(Reason.PATHS)
        if self._listener is not None:
            self._listener.hear(PolicyEvent(trigger=trigger, path=path_id))
