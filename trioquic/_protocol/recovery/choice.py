"""Which congestion controller the paths of a connection get: one of ours, or the user's own.

The user's need not know our classes, so that it works the same whether these are compiled or not:
it is any object with the members of `CongestionControl`, made anew for each path by a callable.
`Foreign` puts it where a controller of ours would be.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from .congestion import CongestionController, NewReno
from .control import CongestionControl
from .cubic import Cubic

CUBIC: Final = "cubic"
NEW_RENO: Final = "newreno"

Choice: TypeAlias = str | Callable[[int], CongestionControl]
"""`CUBIC`, `NEW_RENO`, or what makes the user's own from the size of a full datagram."""


class Foreign(CongestionController):
    """A controller of the user's in the place of one of ours."""

    def __init__(self, max_datagram_size: int, control: CongestionControl) -> None:
        super().__init__(max_datagram_size)
        self._control = control
        self._tell_size: Callable[[int], None] | None = getattr(control, "on_datagram_size", None)
        self._look()

    def _look(self) -> None:
        # with a smaller window than this nothing would ever be sent again
        self.window = max(self._control.window, self._least())

    @property
    def in_slow_start(self) -> bool:
        """What the user's says."""
        return self._control.in_slow_start

    def on_datagram_size(self, size: int) -> None:
        """Pass it on, if the user's wants to know."""
        self.max_datagram_size = size
        if self._tell_size is not None:
            self._tell_size(size)
        self._look()

    def on_acked(self, size: int, time_sent: float, now: float) -> None:
        self._control.on_acked(size, time_sent, now)
        self._look()

    def on_round(self) -> None:
        self._control.on_round()
        self._look()

    def on_rtt_sample(self, latest: float, smoothed: float) -> None:
        self._control.on_rtt_sample(latest, smoothed)
        self._look()

    def on_congestion(self, time_sent: float, now: float) -> None:
        """Pass it on. What the user's makes an event of shows in its window."""
        before = self.window
        self._control.on_congestion(time_sent, now)
        self._look()
        if self.window < before:
            self.congestion_events += 1

    def on_persistent_congestion(self) -> None:
        self._control.on_persistent_congestion()
        self._look()


def new_controller(choice: Choice, max_datagram_size: int) -> CongestionController:
    """The controller of a new path."""
    if isinstance(choice, str):
        if choice == CUBIC:
            return Cubic(max_datagram_size)
        if choice == NEW_RENO:
            return NewReno(max_datagram_size)
        raise ValueError(f"there is no congestion controller {choice!r}")
    return Foreign(max_datagram_size, choice(max_datagram_size))
