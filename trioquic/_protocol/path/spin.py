"""The latency spin bit of one path (RFC 9000 section 17.4)."""


class SpinBit:
    """Off on at least one path in sixteen, by `draw`, and there it says anything, so that nobody
    sees whether it is. `enabled`: whether anybody on the way may measure the round-trip time."""

    def __init__(self, enabled: bool, draw: int) -> None:
        self._enabled = enabled and draw >= 16
        self._noise = draw & 1
        self._value = 0

    def on_newest(self, first_byte: int) -> None:
        """The newest packet so far came in: a client sends the inverse of its bit, 0x20."""
        self._value = ~(first_byte >> 5) & 1

    def on_new_id(self) -> None:
        """It starts anew with another connection ID."""
        self._value = 0

    def next(self) -> int:
        """The bit of the next packet."""
        return self._value if self._enabled else self._noise
