"""A snapshot of one path, for whoever looks at a connection from outside the core.

What an application is told as well is a class of its own, to which `trioquic.PathStatistics` adds
what the socket knows; its sentences are the documentation's. (A class with subclasses elsewhere
cannot be compiled, so this file is not.)
"""

from dataclasses import dataclass

from .path import Address, NetworkPath
from .state import PathState


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFigures:
    """What was measured and counted on one path. Times in seconds, sizes in bytes."""

    state: PathState
    """Where the path is in its life; docs/paths.md has the diagram."""
    rtt: float | None
    """Smoothed round-trip time (RFC 9002 section 5.3), or what the last PATH_CHALLENGE took where
    the path carries nothing; None as long as neither is known."""
    min_rtt: float | None
    """The shortest round trip (RFC 9002 section 5.2), since the connection moved here last."""
    pto: float
    """Probe timeout in seconds, with the peer's acknowledgement delay and without the doublings
    that follow timeouts (RFC 9002 section 6.2.1)."""
    congestion_window: int
    """How many bytes may be in flight (RFC 9002 section 7)."""
    bytes_in_flight: int
    """Sent, and neither acknowledged nor lost."""
    bytes_sent: int
    """In all datagrams that went out here."""
    bytes_received: int
    """In all datagrams that came in here, also those that were then dropped."""
    datagrams_sent: int
    """Datagrams that went out here."""
    datagrams_received: int
    """Datagrams that came in here."""
    packets_lost: int
    """Packets that were sent here and counted as lost (RFC 9002 section 6.1)."""
    spurious_losses: int
    """Packets that counted as lost and were acknowledged after all."""
    challenges_sent: int
    """PATH_CHALLENGE frames, repetitions included (RFC 9000 section 8.2.1)."""
    responses_sent: int
    """Answers to the server's challenges (RFC 9000 section 8.2.2)."""
    responses_dropped: int
    """Challenges of the server beyond what is queued (RFC 9000 section 8.2.2)."""
    validations: int
    """How often the path was found to work both ways (RFC 9000 section 8.2.3)."""
    mtu: int
    """The largest datagram that is sent (RFC 9000 section 14)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathView(PathFigures):
    """The same with what decides where the connection goes."""

    path_id: int
    local: Address | None
    remote: Address
    pto_count: int
    validating: bool
    has_id: bool
    """There is a connection ID of the peer to send with."""
    doubtful: bool
    """Nothing authentic ever came in here, and no challenge was answered."""
    stranger: bool
    """Something came in here before that, and it was not from whom we talk to."""


def view_of(path: NetworkPath, has_id: bool) -> PathView:
    """The path as it is now."""
    recovery = path.recovery
    rtt = recovery.rtt
    life = path.life
    return PathView(
        path_id=path.path_id,
        local=path.local,
        remote=path.remote,
        state=life.state,
        rtt=rtt.smoothed if rtt.known else None,
        min_rtt=rtt.minimum if rtt.known else None,
        pto=path.pto(),
        pto_count=recovery.pto_count,
        congestion_window=recovery.congestion.window,
        bytes_in_flight=recovery.bytes_in_flight,
        bytes_sent=path.traffic.bytes_sent,
        bytes_received=path.traffic.bytes_received,
        datagrams_sent=path.traffic.datagrams_sent,
        datagrams_received=path.traffic.datagrams_received,
        packets_lost=recovery.packets_lost,
        spurious_losses=recovery.spurious_losses,
        challenges_sent=path.attempt.challenges_sent,
        responses_sent=path.responses.sent,
        responses_dropped=path.responses.dropped,
        validations=path.validations,
        mtu=path.mtu,
        validating=path.attempt.running,
        has_id=has_id,
        doubtful=life.doubtful,
        stranger=path.stranger and life.doubtful,
    )
