"""What is chosen for all connections of a client."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, TypeAlias

from ... import MigrationPolicy, NetworkSource, TLSConfig, TransportConfig, _checks
from ...sessions import SessionStore
from ..connection import HTTP3Connection
from ..settings import HTTP3Config, check_transport
from .connection import PooledConnection
from .discovery import Mode

Watch: TypeAlias = Callable[
    [PooledConnection, HTTP3Connection], AbstractAsyncContextManager[object]
]
"""What is done beside a connection, as a block around its life."""
_TRANSPORT: Final = _checks.instance(TransportConfig)
_POLICY: Final = _checks.instance(MigrationPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many connections a client keeps, and for how long; `math.inf` where there is no limit."""

    max_connections: float = _checks.checked(100, _checks.whole(0, infinite=True))
    """Open at once. `Client` needs one at least. With 0, which `httpx.Limits` may say, requests
    wait until their pool timeout is over."""
    max_idle_connections: float = _checks.checked(20, _checks.whole(0, infinite=True))
    """Of these without a request."""
    idle_expiry: float = _checks.checked(5.0, _checks.number(infinite=True))
    """Seconds that one stays open without a request."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Those of `Client`, and what those have who stand on it."""

    tls: TLSConfig = _checks.checked(TLSConfig(), _checks.instance(TLSConfig))
    transport: TransportConfig = _checks.checked(TransportConfig(), _TRANSPORT)
    migration: MigrationPolicy = _checks.checked(MigrationPolicy(), _POLICY)
    networks: NetworkSource | None = _checks.checked(None, _checks.instance(NetworkSource))
    sessions: SessionStore | None = _checks.checked(None, _checks.instance(SessionStore))
    early_data: bool = _checks.checked(False, _checks.flag)
    http3: HTTP3Config = _checks.checked(HTTP3Config(), _checks.instance(HTTP3Config))
    interfaces: Sequence[str] = _checks.checked((), _checks.names(empty=True, twice=True))
    limits: PoolLimits = _checks.checked(PoolLimits(), _checks.instance(PoolLimits))
    mode: Mode = _checks.checked("only", _checks.one_of(("direct", "alt-svc", "only")))
    head_start: float = _checks.checked(0.3, _checks.number())
    """How long a connection may take before the way around HTTP/3 is tried, too, in seconds."""
    outage: float = 10.0
    """For how long a request goes on looking for a way while there was one a moment ago, in
    seconds."""
    seek: bool = False
    """Whether another connection is made as soon as one is not heard, for responses that have
    begun there (`PooledConnection.while_best`)."""
    watch: Watch = lambda *_: nullcontext()

    def __post_init__(self) -> None:
        _checks.check_fields(self)
        check_transport(self.transport)
        if self.early_data and self.sessions is None:
            raise ValueError("early_data needs sessions: it is sent with what an earlier one left")
