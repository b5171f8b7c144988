"""Names of the simulated network, as trio's hostname resolver."""

import socket
from collections.abc import Sequence
from typing import Any

import trio
import trio.abc

from ._addresses import Endpoint, canonical, family_of, to_sockaddr


class SimulatedResolver(trio.abc.HostnameResolver):
    """Knows what was registered, and numeric addresses, and nothing else.

    `delay` is the time in seconds that an answer takes.
    """

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, ...]] = {}
        self.delay = 0.0

    def register(self, name: str, addresses: Sequence[str]) -> None:
        self._names[name.lower().rstrip(".")] = tuple(canonical(a) for a in addresses)

    def _look_up(self, host: bytes | str | None, flags: int) -> tuple[str, ...]:
        if not host:
            # The wildcard for a server, loopback for a client (RFC 3493 section 6.1).
            passive = flags & socket.AI_PASSIVE
            return ("0.0.0.0", "::") if passive else ("127.0.0.1", "::1")
        text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        try:
            return (canonical(text),)
        except ValueError:
            pass
        addresses = self._names.get(text.lower().rstrip("."))
        if addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return addresses

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - trio's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]:
        """The addresses of a name in the order in which they were registered.

        socket.gaierror for an unknown name, or one without an address of the family asked for.
        """
        await trio.sleep(self.delay)
        number = _port_number(port)
        addresses = [a for a in self._look_up(host, flags) if family in (0, family_of(a))]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "No address associated with hostname")
        kinds = [
            (kind, protocol)
            for kind, protocol in (
                (socket.SOCK_STREAM, socket.IPPROTO_TCP),
                (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
            )
            if type in (0, kind) and proto in (0, protocol)
        ]
        return [
            (family_of(a), kind, int(protocol), "", to_sockaddr(family_of(a), (a, number)))
            for a in addresses
            for kind, protocol in kinds
        ]

    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int
    ) -> tuple[str, str]:
        """The first name registered for an address, or the address itself."""
        await trio.sleep(self.delay)
        endpoint: Endpoint = (canonical(sockaddr[0]), sockaddr[1])
        if not flags & socket.NI_NUMERICHOST:
            for name, addresses in self._names.items():
                if endpoint[0] in addresses:
                    return name, str(endpoint[1])
        if flags & socket.NI_NAMEREQD:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return endpoint[0], str(endpoint[1])


def _port_number(port: bytes | str | int | None) -> int:
    if port is None:
        return 0
    try:
        return int(port)
    except ValueError:
        raise socket.gaierror(socket.EAI_SERVICE, "Service not known") from None
