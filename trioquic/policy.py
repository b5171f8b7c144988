"""How a connection behaves when its network changes: plain data, chosen by the application."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPolicy:
    """The knobs of migration (RFC 9000 section 9)."""

    enabled: bool = True
    """False: the connection stays on the path of its handshake; `add_path` and `migrate` raise
    `MigrationNotAllowedError`."""
    linger: float = 3.0
    """How long `migrate` still listens on the path it left, in PTOs of that path, so that packets
    that were under way are not lost (RFC 9000 section 9.3.2 has the server's side of it)."""

    def __post_init__(self) -> None:
        if not isinstance(self.enabled, bool):
            raise TypeError(f"enabled must be a bool, not {type(self.enabled).__name__}")
        if isinstance(self.linger, bool) or not isinstance(self.linger, int | float):
            raise TypeError(f"linger must be a number of PTOs, not {type(self.linger).__name__}")
        if not math.isfinite(self.linger) or self.linger < 0:
            raise ValueError(f"linger must be finite and not negative, not {self.linger}")
