"""httpx's four timeouts, as a request carries them in its extensions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """In seconds; infinity where there is none."""

    connect: float
    read: float
    write: float
    pool: float

    @classmethod
    def of(cls, extensions: Mapping[str, Any]) -> "Timeouts":
        """Those of a request."""
        given = extensions.get("timeout") or {}
        return cls(
            connect=_seconds(given.get("connect")),
            read=_seconds(given.get("read")),
            write=_seconds(given.get("write")),
            pool=_seconds(given.get("pool")),
        )


def _seconds(value: float | None) -> float:
    return math.inf if value is None else max(0.0, value)
