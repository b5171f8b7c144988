"""Which hosts are spoken to inside a tunnel (a VPN), so that nothing goes beside it.

A connection in a tunnel that goes away waits for it. Another connection to the same host would
follow the system's routes, which then lead outside. So a host that was reached through a tunnel is
reached through tunnels only, as long as the client lives: what the user put up the tunnel for does
not end with a timeout (`MigrationPolicy.leave_tunnel` does end it).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from ... import Connection, MigrationPolicy

# So many hosts are remembered by name; after that all hosts are.
_MOST: Final = 1000


class HostsInside:
    """What one client knows; `policy` is that of its connections."""

    def __init__(self, policy: MigrationPolicy) -> None:
        self._policy = policy
        self._live: list[tuple[str, Connection]] = []
        # with the names of what their tunnels may run over
        self._inside: dict[str, frozenset[str]] = {}
        self._all_inside = policy.tunnel_only

    @contextmanager
    def watching(self, host: str, connection: Connection) -> Iterator[None]:
        """While there is this connection to the host, which may be moved into a tunnel later."""
        entry = (host, connection)
        self._live.append(entry)
        try:
            yield
        finally:
            self._look(host, connection)
            self._live = [one for one in self._live if one is not entry]

    def note(self, host: str, beside: Iterable[str]) -> None:
        """The host was reached through a tunnel; `beside`: other tunnels that were there, and that
        the system did not choose (`Connection.beside_tunnel`)."""
        if host not in self._inside and len(self._inside) >= _MOST:
            self._all_inside = True
        else:
            self._inside[host] = frozenset(beside)

    def holds(self, host: str) -> bool:
        """Whether nothing to this host may leave the tunnels."""
        if self._policy.leave_tunnel:
            return False
        self._look_at_all()
        return self._all_inside or host in self._inside

    def beside(self, host: str) -> frozenset[str]:
        """Tunnels that count as outside, as the host's own may run over them."""
        self._look_at_all()
        return self._inside.get(host, frozenset())

    def _look_at_all(self) -> None:
        for host, connection in self._live:
            self._look(host, connection)

    def _look(self, host: str, connection: Connection) -> None:
        if connection.in_tunnel:
            self.note(host, connection.beside_tunnel)
