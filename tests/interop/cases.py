"""The rows of the table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from . import cases_begin as begin
from . import cases_networks as networks
from . import cases_restart as restarts
from . import cases_transfer as transfer
from .bench import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a user does."""

    name: str
    title: str
    run: Callable[[Bench], Awaitable[str]]
    needs_lab: bool = False


CASES: Final = {
    case.name: case
    for case in (
        Case(name="check", title="`trioquic check`", run=begin.check),
        Case(name="versions", title="versions of QUIC", run=begin.versions),
        Case(name="suites", title="cipher suites", run=begin.suites),
        Case(name="ml-kem", title="ML-KEM", run=begin.ml_kem),
        Case(name="hrr", title="HelloRetryRequest", run=begin.hello_retry_request),
        Case(name="retry", title="Retry", run=begin.retry),
        Case(name="down", title="50 MB down", run=transfer.down),
        Case(name="up", title="20 MB up", run=transfer.up),
        Case(name="requests", title="200 requests", run=transfer.requests),
        Case(name="resumption", title="resumption", run=begin.resumption),
        Case(name="0rtt", title="0-RTT taken", run=begin.early_data),
        Case(name="0rtt-refused", title="0-RTT refused", run=begin.early_data_refused),
        Case(name="key-update", title="key update", run=transfer.key_update),
        Case(name="moves", title="ten moves", run=transfer.moves),
        Case(
            name="planned",
            title="planned move to a slower network",
            run=networks.planned,
            needs_lab=True,
        ),
        Case(
            name="interface-down",
            title="interface down",
            run=networks.interface_down,
            needs_lab=True,
        ),
        Case(name="silent", title="silent death", run=networks.silent_death, needs_lab=True),
        Case(name="rebinding", title="NAT rebinding", run=transfer.rebinding),
        Case(name="preferred", title="preferred address", run=transfer.preferred),
        Case(name="restart", title="restart", run=restarts.restart),
        Case(name="graceful", title="graceful restart, 5 responses", run=restarts.graceful),
    )
}
