"""The latency spin bit of one path (RFC 9000 section 17.4)."""

from typing import Final

_SPIN: Final = 0x20  # in the first byte of a short header


class SpinBit:
    """Off on at least one path in sixteen, by `draw`, and there it says anything, another thing
    with each connection ID, so that nobody sees whether it is. `enabled`: whether anybody on the
    way may measure the round-trip time."""

    def __init__(self, enabled: bool, draw: int) -> None:
        self._enabled = enabled and draw >= 16
        self._noise = draw & 1
        # with what the newest packet of the path began (set for each, so without a call)
        self.newest = _SPIN

    def on_new_id(self, draw: int) -> None:
        """It starts anew with another connection ID."""
        self._noise = draw & 1
        self.newest = _SPIN

    def next(self) -> int:
        """The bit of the next packet: a client sends the inverse of the server's."""
        return int(not self.newest & _SPIN) if self._enabled else self._noise
