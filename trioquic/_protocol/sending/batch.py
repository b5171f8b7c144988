"""What the core hands to a socket."""


class Batch:
    """Datagrams for one send: each of `segment_size` bytes but the last, which may be shorter."""

    __slots__ = ("data", "ecn", "segment_size")

    def __init__(self, data: bytes, segment_size: int, ecn: int) -> None:
        self.data = data
        self.segment_size = segment_size
        self.ecn = ecn
