"""A connection, and what its paths did during downloads: told while it happens, and summed up.

The gap of a handover is the longest time without content around it: a pause that began before the
first second after the move was over, and ended after the move. Content that was under way on the
old path may come a moment after the move, before the pause that a person would call the handover.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import trio

from .. import (
    Connection,
    Migrated,
    MigrationRefused,
    Path,
    PathDegraded,
    PathEvent,
    PathRecovered,
    PathValidated,
    PreferredAddressResult,
    ServerMoved,
    ValidationFailed,
    WaitingForPath,
)
from ..http3.client.connection import PooledConnection
from ..http3.url import Origin

# after a handover, in seconds
_AROUND: Final = 1.0
# A download may take days; of the first handovers nobody asks then.
_MOST_REMEMBERED: Final = 1000
# of a path's statistics, what is told to programs
_FACTS: Final = tuple(
    "interface local remote rtt bytes_received bytes_sent packets_lost time_active".split()
)


@dataclass(slots=True, kw_only=True)
class Handover:
    """One move of the connection."""

    at: float
    """Seconds since the command began."""
    old: str | None
    new: str
    cause: str
    """Of `trioquic.MigrationCause`, in lower case."""
    reason: str
    """The same for people."""
    gap: float | None = None
    """Seconds without content around it; None if no content came after it."""


class WatchedConnection:
    """Follows the path events of a connection. `began`: when the command did, on trio's clock."""

    def __init__(
        self,
        pooled: PooledConnection,
        quic: Connection,
        *,
        began: float,
        tell: Callable[[str], None],
    ) -> None:
        self.pooled = pooled
        self.quic = quic
        self.origin: Origin = pooled.endpoint.origin
        self._began = began
        self._tell = tell
        self._paths: dict[int, Path] = {}
        self._last_content: float | None = None
        self._settling: Handover | None = None
        self._where = ""
        self._waiting = False
        self._told: set[str] = set()
        self.handovers: list[Handover] = []

    async def follow(self, events: trio.MemoryReceiveChannel[PathEvent]) -> None:
        """Until the connection ends."""
        self._remember(self.quic.active_path)
        async for event in events:
            self._note(event)

    def content_came(self) -> None:
        """A piece of some response came in."""
        now = trio.current_time() - self._began
        handover, last = self._settling, self._last_content
        self._last_content = now
        if handover is None or last is None:
            return
        if last > handover.at + _AROUND:
            self.settle()
            return
        if handover.gap is None or now - last > handover.gap:
            handover.gap = now - last

    def settle(self) -> None:
        """No more content comes that has to do with the last handover: tell of it."""
        handover, self._settling = self._settling, None
        if handover is not None and handover.gap is not None:
            self._tell(f"content paused for {handover.gap * 1000:.0f} ms")

    @property
    def where(self) -> str:
        """Over which path content comes now, or came at last, for people."""
        path = self.quic.active_path
        if path is not None:
            self._where = describe(path)
        return "no network" if self._waiting else self._where

    @property
    def statistics(self) -> list[dict[str, Any]]:
        """What each path did that has carried the connection, and each that is open, in their
        order; closed ones as they were last."""
        for path in self.quic.paths:
            self._remember(path)
        found = []
        for number in sorted(self._paths):
            now = self._paths[number].statistics()
            facts = {name: getattr(now, name) for name in _FACTS}
            found.append({"id": number, "state": now.state.value, **facts})
        return found

    def _remember(self, path: Path | None) -> None:
        if path is not None:
            self._paths[path.id] = path
            while len(self._paths) > _MOST_REMEMBERED:
                del self._paths[next(iter(self._paths))]

    def _note(self, event: PathEvent) -> None:
        if isinstance(event, WaitingForPath):
            self._waiting = True
        if isinstance(event, Migrated):
            self._waiting = False
            self._remember(event.old)
            self._remember(event.new)
            self.settle()
            self._settling = Handover(
                at=trio.current_time() - self._began,
                old=None if event.old is None else describe(event.old),
                new=describe(event.new),
                cause=event.cause.name.lower(),
                reason=event.reason,
            )
            self.handovers.append(self._settling)
            del self.handovers[:-_MOST_REMEMBERED]
        text = _in_words(event)
        if isinstance(event, WaitingForPath) and not self.quic.health.can_move:
            text = "the network is gone, and this connection cannot move to another one"
        # silent paths are asked again and again
        if isinstance(event, Migrated | PathRecovered):
            self._told.clear()
        # One beside that in use, which nothing comes on, would say the same once more.
        if text is not None and text not in self._told and self.pooled.users:
            self._told.add(text)
            self._tell(text)


def describe(path: Path) -> str:
    """A path for people: where it begins."""
    local = path.local[0]
    return local if path.interface is None else f"{path.interface} ({local})"


def _in_words(event: PathEvent) -> str | None:
    """What is worth a line; the regular challenges of standby paths are not."""
    match event:
        case Migrated(old=None):
            return f"back, over {describe(event.new)}: {event.reason}"
        case Migrated(old=Path() as old):
            return f"moved from {describe(old)} to {describe(event.new)}: {event.reason}"
        case PathDegraded():
            return f"no answer over {describe(event.path)}"
        case PathRecovered():
            return f"{describe(event.path)} answers again"
        case ValidationFailed():
            return f"no way over {describe(event.path)}: {event.reason}"
        case ServerMoved():
            return f"the server sends to {describe(event.path)} by itself"
        case WaitingForPath():
            return f"waiting for a network: {event.reason}"
        case MigrationRefused():
            return f"cannot move: {event.reason}"
        case PreferredAddressResult():
            used = "moved to" if event.used else "did not move to"
            return f"{used} the server's preferred address: {event.reason}"
        case PathValidated() | _:
            return None
