"""What all datagrams of one read have in common, and the counters of what came in."""

from ..path.path import NetworkPath


class Arrival:
    """Where and when datagrams came in; `pto` is the path's, in seconds."""

    __slots__ = ("ecn", "now", "path", "pto")

    def __init__(self, path: NetworkPath, ecn: int, now: float, pto: float) -> None:
        self.path = path
        self.ecn = ecn
        self.now = now
        self.pto = pto


class ReceiveCounters:
    """What came in, and what of it was not used."""

    def __init__(self) -> None:
        self.packets = 0
        self.eliciting = 0
        self.dropped_malformed = 0
        self.dropped_unknown_id = 0
        self.dropped_unauthentic = 0
        self.dropped_duplicate = 0
        self.dropped_excessive = 0
        self.dropped_no_keys = 0
        self.dropped_unexpected = 0
