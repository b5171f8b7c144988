"""What one attempt to connect takes from the user's store, and what its connection puts there.

Which network a connection is on is judged by what this machine knows without asking anybody: the
interface, and the prefix of the local address. A prefix that only one network in the world has
(a global one, or an IPv6 unique local one, RFC 4193) stands for it, whichever address of it is in
use. Thousands of networks have the same private prefix, so there all of the address has to be the
same: a network gives a returning machine its address again as a rule, another one seldom gives it
the same. Where that is wrong, a full handshake is made, or (same interface, same private address,
other network) the server may learn that it is the same client.

What a server gives belongs to the network that the connection is on when it comes: a token is for
the address that the server sees then (RFC 9000 section 8.1.3), and a ticket tells the server
nothing new there.

Putting into the store is a task of the connection's nursery, as a store may wait for a disk.
"""

import dataclasses
import ipaddress
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import trio

from ..._protocol.events import TicketReceived, TokenReceived
from ...networks import NetworkSource
from ...sessions import AddressToken, Record, Resumption, SessionKey, SessionStore, TakenSession
from ..sockets.sockets import DatagramSocket

# A store that does not come back must not keep a connection from its end.
_LONGEST_WRITE: Final = 2.0
_LONGEST_CHAIN: Final = 7 * 24 * 3600.0
_UNIQUE_LOCAL: Final = ipaddress.ip_network("fc00::/7")


class FirstFlight(NamedTuple):
    """What a connection begins with."""

    renegotiated: int = 0
    """The version that a Version Negotiation packet offered; 0: there was none."""
    taken: TakenSession = TakenSession()
    version: int = 0
    """The version of QUIC that it came from, with which the connection has to begin (RFC 9369
    section 5); 0: there is nothing."""
    early_data: bool = False
    """Whether early data may be sent."""


class SessionKeeper:
    """Between one connection and the store. What waits is bounded by what the core tells of."""

    def __init__(
        self, store: SessionStore, networks: NetworkSource, new_key: Callable[..., SessionKey]
    ) -> None:
        self._store = store
        self._networks = networks
        # wants the version and the network
        self._new_key = new_key
        # the handshake comes after this
        self._began = time.time(), trio.current_time()
        self._waiting: dict[SessionKey, list[Record]] = {}
        self._news = trio.Event()

    async def take(self, socket: DatagramSocket, versions: Sequence[int]) -> FirstFlight:
        """What may be used on this socket's network, of the first version that has something. It
        counts as used: every attempt sends it at once. Cancelled, nothing was taken."""
        for version in versions:
            taken = await self._store.take(self._key(socket, version))
            if taken.ticket is not None or taken.token is not None:
                return FirstFlight(taken=taken, version=version)
        return FirstFlight()

    def keep(
        self,
        event: TicketReceived | TokenReceived,
        server: str,
        socket: DatagramSocket,
        version: int,
        resumed: Resumption | None,
    ) -> None:
        """The server at this address gave this while the connection was on this socket; `resumed`
        is the ticket that it began with, if the server took that."""
        if isinstance(event, TokenReceived):
            record: Record = AddressToken(token=event.token, received_at=time.time())
        else:
            now = time.time()
            record = _come_from(server, event.resumption, now, self._verified_at(now, resumed))
        self._waiting.setdefault(self._key(socket, version), []).append(record)
        self._news.set()

    def _verified_at(self, now: float, resumed: Resumption | None) -> float:
        """When the certificate was verified that a ticket of this connection rests on, or a little
        earlier. Only one clock counts while the machine sleeps, and that one may be set."""
        if resumed is not None:
            return resumed.authenticated_at or resumed.issued_at
        wall, running = self._began
        return now - max(now - wall, trio.current_time() - running)

    async def run(self) -> None:
        """Put what comes into the store, until cancelled."""
        while True:
            await self._news.wait()
            await self.finish()

    async def finish(self) -> None:
        """Put what is left into the store, also when cancelled."""
        self._news = trio.Event()
        waiting, self._waiting = self._waiting, {}
        with trio.move_on_after(_LONGEST_WRITE, shield=True):
            for key, records in waiting.items():
                await self._store.keep(key, records)

    def _key(self, socket: DatagramSocket, version: int) -> SessionKey:
        return self._new_key(version=version, network=network_of(socket, self._networks))


def _come_from(server: str, record: Resumption, now: float, began: float) -> Resumption:
    """The ticket has just come. The connection counts from its beginning on, and knows nothing of a
    clock that was set since then, nor of sleep: it would be offered with a wrong age.

    However many connections resume each other, the last one rests on the certificate of the first:
    their tickets end together (RFC 8446 section 4.6.1). `began`: when that was verified."""
    late = now - record.issued_at
    expires_at = record.expires_at + min(late, 0.0)
    return dataclasses.replace(
        record,
        address=server,
        issued_at=now,
        authenticated_at=began,
        expires_at=min(expires_at, began + _LONGEST_CHAIN),
    )


def network_of(socket: DatagramSocket, networks: NetworkSource) -> str:
    """The network that the socket is on, such as `eth0/2001:db8::/64` or `wlan0/192.168.1.7`."""
    local = ipaddress.ip_address(socket.local[0].partition("%")[0])
    for interface in networks.snapshot():
        if socket.interface not in (None, interface.name):
            continue
        for entry in interface.addresses:
            if entry.address == str(local):
                return f"{interface.name}/{_unique_part(local, entry.prefix_length)}"
    return f"{socket.interface or ''}/{local}"


def _unique_part(address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix_length: int) -> str:
    """The prefix, if no other network has it; else all of the address."""
    if address.is_global or (address.version == 6 and address in _UNIQUE_LOCAL):
        return str(ipaddress.ip_network((str(address), prefix_length), strict=False))
    return str(address)
