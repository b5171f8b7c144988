"""What is kept, under which key, and what a store has to do.

A ticket stands for an authentication that was done once, so it must not serve a connection that
trusts somebody else. A token stands for a client's address. Both are known to the server that made
them, and would tell it that a client on one network is the one that it knows from another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from .._protocol.tls.resumption import Resumption


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """Where a ticket or token may be used: all of it must be the same."""

    server_name: str
    """What the certificate must name."""
    port: int
    """The server's UDP port."""
    version: int
    """The number of the version of QUIC that the connection speaks (RFC 9369 section 5)."""
    network: str
    """The network that the connection runs on, as far as this machine can tell: the interface's
    name, and the prefix of the local address or, where others use the same prefix, all of it."""
    trust: str
    """A digest of whom the user trusts, and of the client certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressToken:
    """A token of a NEW_TOKEN frame (RFC 9000 section 19.7)."""

    token: bytes = field(repr=False)
    """The server's, opaque to us."""
    received_at: float
    """When it came, in seconds of the wall clock since 1970, in UTC."""


Record: TypeAlias = Resumption | AddressToken
"""What a store keeps."""


class TakenSession(NamedTuple):
    """What a connection starts with."""

    ticket: Resumption | None = None
    token: AddressToken | None = None


@runtime_checkable
class SessionStore(Protocol):
    """Keeps tickets and tokens; `MemorySessions` and `FileSessions` are two.

    One store may serve many connections at the same time. The methods are called from trio's
    thread. They must not raise: what cannot be kept is lost, and costs a round trip.
    """

    async def take(self, key: SessionKey) -> TakenSession:
        """The newest ticket and the newest token for this key that have not expired, each of which
        is never given out again. Cancelled, nothing was taken."""
        ...

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        """Keep these, oldest first. A connection at its end waits for it, but not for long."""
        ...
