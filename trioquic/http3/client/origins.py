"""The origins that a client speaks to: the places where each is, its connections, its requests.

`http3.Client`, the transport for httpx and the command line stand on this module; nothing in it is
for applications. docs/architecture.md says which component owns what.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import trio

from ... import NetworkSource, open_connection, system_networks
from ..._application_code import guarded
from ..._groups import hidden_nursery
from ..connection import HTTP3Connection, open_http3
from .connection import PooledConnection
from .discovery import Discovery
from .pool import Pool
from .router import Router
from .settings import Settings
from .tunnels import HostsInside

_ALPN: Final = ("h3",)
# More interfaces than anybody has a way to the server from
_ALL_INTERFACES: Final = 16


class Origins:
    """Connections and requests in a nursery of the client's; see `open_origins`."""

    def __init__(self, settings: Settings, nursery: trio.Nursery) -> None:
        self._settings = settings
        given = settings.networks
        self.networks: NetworkSource = guarded(system_networks() if given is None else given)
        self.inside: HostsInside = HostsInside(settings.migration)
        # RFC 7838 section 2.1: elsewhere only a certificate shows that it is the same origin
        other_hosts = settings.tls.verify
        self.discovery: Discovery = Discovery(settings.mode, other_hosts=other_hosts)
        self.pool: Pool = Pool(nursery, self._open_http3, settings, self.discovery, self.networks)
        self.router: Router = Router(nursery, self.pool, self.discovery, settings)
        nursery.start_soon(self._watch_networks)

    @asynccontextmanager
    async def _open_http3(self, pooled: PooledConnection) -> AsyncGenerator[HTTP3Connection]:
        settings, endpoint, patience = self._settings, pooled.endpoint, pooled.patience
        host = endpoint.origin.host
        migration, interface = settings.migration, _first_up(self.networks, settings.interfaces)
        if self.inside.holds(host):
            # what was begun in a tunnel is not ended beside it
            migration, interface = migration.inside(sorted(self.inside.beside(host))), None
        transport = settings.transport
        if patience is not None:
            seconds = min(patience, transport.handshake_timeout)
            transport = replace(transport, handshake_timeout=seconds)
            # the network of the connection beside it looks as if it worked
            migration, interface = replace(migration, start_interfaces=_ALL_INTERFACES), None
        if interface is not None and self._picks_one(endpoint.host):
            interface = None
        async with (
            open_connection(
                endpoint.host,
                endpoint.port,
                alpn=_ALPN,
                server_name=endpoint.server_name,
                tls=settings.tls,
                transport=transport,
                migration=migration,
                networks=self.networks,
                interface=interface,
                sessions=settings.sessions,
                early_data=pooled.early_data,
            ) as connection,
            open_http3(connection, settings.http3) as http3,
        ):
            with self.inside.watching(host, connection):
                async with settings.watch(pooled, http3):
                    yield http3

    def _picks_one(self, host: str) -> bool:
        """Whether the host is an address on the link of one of the named interfaces (RFC 4007),
        which need not be the first of them. On another link `open_connection` refuses it."""
        zone = host.partition("%")[2]
        return any(
            zone in (interface.name, str(interface.index))
            for interface in self.networks.snapshot()
            if interface.name in self._settings.interfaces
        )

    async def _watch_networks(self) -> None:
        """What was found out about hosts holds on this network only."""
        before = self.networks.snapshot()
        while True:
            await self.networks.wait_changed()
            after = self.networks.snapshot()
            if after != before:
                self.discovery.network_changed()
            before = after


@asynccontextmanager
async def open_origins(settings: Settings) -> AsyncGenerator[Origins]:
    """The block in which they live. Leaving it normally closes all connections gracefully, and
    fails the requests that are not complete; otherwise it closes at once."""
    async with hidden_nursery("trioquic.http3") as nursery:
        origins = Origins(settings, nursery)
        try:
            yield origins
        finally:
            origins.pool.close_to_new()
        await origins.pool.aclose()


def _first_up(networks: NetworkSource, names: Sequence[str]) -> str | None:
    """A connection begins on the first named interface that is up."""
    up = {interface.name for interface in networks.snapshot() if interface.up}
    return next((name for name in names if name in up), names[0] if names else None)
