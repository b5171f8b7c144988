"""Numbers to pixels, and where the marks of an axis go."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis from `low` to `high`, at the pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value, within the axis."""
        if self.high <= self.low:
            return self.start
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values on the axis, about `most` of them and not more."""
        step = round_step((self.high - self.low) / max(most, 1))
        if step <= 0:
            return [self.low]
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below `least`; 0 for nothing."""
    if least <= 0 or not math.isfinite(least):
        return 0.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999999)


def seconds_text(seconds: float, step: float) -> str:
    """A time on an axis with such steps: as precise as those."""
    return f"{seconds:.{_decimals(step) if step > 0 else 0}f} s"


def duration_text(seconds: float) -> str:
    """A length of time, to three digits or so."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def bytes_text(size: float, step: float = 0.0) -> str:
    """A size in its usual unit; on an axis with such steps, as precise as those."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if max(size, step) >= unit:
            decimals = _decimals(step / unit) if step else 1
            return f"{size / unit:.{decimals}f} {name}"
    return f"{size:.0f} B"


def _decimals(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))
