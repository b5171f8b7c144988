"""A snapshot of one path, for whoever looks at a connection from outside the core."""

from dataclasses import dataclass

from .path import Address, Path
from .state import PathState


@dataclass(frozen=True, slots=True, kw_only=True)
class PathView:
    """A snapshot of one path. Times in seconds, sizes in bytes."""

    path_id: int
    local: Address | None
    remote: Address
    state: PathState
    rtt: float | None
    min_rtt: float | None
    pto: float
    pto_count: int
    congestion_window: int
    bytes_in_flight: int
    bytes_sent: int
    bytes_received: int
    datagrams_sent: int
    datagrams_received: int
    packets_lost: int
    spurious_losses: int
    challenges_sent: int
    responses_sent: int
    responses_dropped: int
    validations: int
    mtu: int
    validating: bool
    doubtful: bool
    """Nothing authentic ever came in here, and no challenge was answered."""
    stranger: bool
    """Something came in here before that, and it was not from whom we talk to."""


def view_of(path: Path, max_ack_delay: float) -> PathView:
    """The path as it is now; `max_ack_delay` is the server's, in seconds."""
    recovery = path.recovery
    rtt = recovery.rtt
    life = path.life
    return PathView(
        path_id=path.path_id,
        local=path.local,
        remote=path.remote,
        state=life.state,
        rtt=rtt.smoothed if rtt.has_sample else None,
        min_rtt=rtt.minimum if rtt.has_sample else None,
        pto=rtt.pto(max_ack_delay),
        pto_count=recovery.pto_count,
        congestion_window=recovery.congestion.window,
        bytes_in_flight=recovery.bytes_in_flight,
        bytes_sent=path.traffic.bytes_sent,
        bytes_received=path.traffic.bytes_received,
        datagrams_sent=path.traffic.datagrams_sent,
        datagrams_received=path.traffic.datagrams_received,
        packets_lost=recovery.counters.lost,
        spurious_losses=recovery.counters.spurious,
        challenges_sent=path.attempt.challenges_sent,
        responses_sent=path.responses.sent,
        responses_dropped=path.responses.dropped,
        validations=path.validations,
        mtu=path.mtu,
        validating=path.attempt.running,
        doubtful=life.doubtful,
        stranger=path.stranger and life.doubtful,
    )
