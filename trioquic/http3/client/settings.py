"""What is chosen for all connections of a client."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, TypeAlias

from ... import MigrationPolicy, NetworkSource, TLSConfig, TransportConfig, _checks
from ...sessions import SessionStore
from ..connection import HTTP3Connection
from ..settings import HTTP3Config
from ..url import Origin
from .discovery import Mode

Watch: TypeAlias = Callable[[Origin, HTTP3Connection], AbstractAsyncContextManager[object]]
"""What is done beside a connection, as a block around its life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Those of `Client`, and what those have who stand on it."""

    tls: TLSConfig = TLSConfig()  # noqa: RUF009 - frozen
    transport: TransportConfig = TransportConfig()  # noqa: RUF009 - frozen
    migration: MigrationPolicy = MigrationPolicy()  # noqa: RUF009 - frozen
    networks: NetworkSource | None = None
    sessions: SessionStore | None = None
    early_data: bool = False
    http3: HTTP3Config = HTTP3Config()  # noqa: RUF009 - frozen
    interfaces: Sequence[str] = ()
    max_connections: float = 100
    max_idle_connections: float = 20
    idle_expiry: float = 5.0
    mode: Mode = "only"
    head_start: float = 0.3
    """How long a connection may take before the way around HTTP/3 is tried, too, in seconds."""
    outage: float = 10.0
    """For how long a request goes on looking for a way while there was one a moment ago, in
    seconds."""
    seek: bool = False
    """Whether another connection is made as soon as one is not heard, for responses that have
    begun there (`PooledConnection.while_best`)."""
    watch: Watch = lambda *_: nullcontext()

    def __post_init__(self) -> None:
        _checks.check_fields(self, _ROWS)
        if self.early_data and self.sessions is None:
            raise ValueError("early_data needs sessions: it is sent with what an earlier one left")


_ROWS: Final[_checks.Table] = {
    "tls": _checks.instance(TLSConfig),
    "transport": _checks.instance(TransportConfig),
    "migration": _checks.instance(MigrationPolicy),
    "networks": _checks.optional(_checks.instance(NetworkSource)),
    "sessions": _checks.optional(_checks.instance(SessionStore)),
    "early_data": _checks.flag,
    "http3": _checks.instance(HTTP3Config),
    "interfaces": _checks.names(empty=True, twice=True),
    "max_connections": _checks.whole(0, infinite=True),
    "max_idle_connections": _checks.whole(0, infinite=True),
    "idle_expiry": _checks.number(infinite=True),
    "mode": _checks.one_of(("direct", "alt-svc", "only")),
    "head_start": _checks.number(),
}
