"""Which origins are spoken to inside a tunnel (a VPN), so that nothing goes beside it.

A connection in a tunnel that goes away waits for it. Another connection to the same origin, over
HTTP/3 or around it, would follow the system's routes, which then lead outside. So an origin is held
inside while there is a connection in a tunnel, and as long afterwards as that would have waited.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import trio

from .. import Connection, NetworkSource
from ..networks import routes_of
from ._discovery import Origin

_TUNNEL: Final = "tunnel"


@dataclass(slots=True, kw_only=True)
class _Held:
    """What one connection says of its origin; `connection` is None when that is over."""

    origin: Origin
    remote: str
    connection: Connection | None
    until: float

    @property
    def counts(self) -> bool:
        """Whether the origin has to be held because of it."""
        if self.connection is not None:
            return self.connection.in_tunnel
        return trio.current_time() < self.until


class Tunnels:
    """`linger`: for so long an origin is held after its last connection, in seconds."""

    def __init__(self, networks: NetworkSource, linger: float) -> None:
        self._networks = networks
        self._linger = linger
        self._held: list[_Held] = []

    @contextmanager
    def watching(self, origin: Origin, connection: Connection) -> Iterator[None]:
        """While there is this connection to the origin."""
        path = connection.active_path
        remote = "" if path is None else path.remote[0]
        held = _Held(origin=origin, remote=remote, connection=connection, until=0.0)
        self._held.append(held)
        try:
            yield
        finally:
            if connection.in_tunnel:
                held.until = trio.current_time() + self._linger
            held.connection = None
            self._held = [one for one in self._held if one.connection is not None or one.counts]

    def holds(self, origin: Origin) -> bool:
        """Whether nothing to this origin may leave the tunnels."""
        return bool(self._of(origin))

    def is_left(self, origin: Origin) -> bool:
        """Whether the origin is held, and the system would go to it beside the tunnels now."""
        held = self._of(origin)
        if not held:
            return False
        tunnels = {i.name for i in self._networks.snapshot() if i.up and i.kind == _TUNNEL}
        routes = routes_of(self._networks, [one.remote for one in held if one.remote])
        if routes is None:
            return not tunnels
        return not any(route.chosen and route.interface in tunnels for route in routes)

    def _of(self, origin: Origin) -> list[_Held]:
        return [one for one in self._held if one.origin == origin and one.counts]
