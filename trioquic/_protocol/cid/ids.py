"""Connection IDs of both directions, as one component of the connection."""

from collections.abc import Callable

from ..builder import PacketBuilder
from .own import OwnIds
from .peer import PeerIds


class ConnectionIds:
    """`own`: given to the server; `peer`: given by it."""

    def __init__(self, rng: Callable[[int], bytes]) -> None:
        self.own = OwnIds(rng)
        self.peer = PeerIds()

    def has_pending(self) -> bool:
        """Whether the server is to be told of an ID."""
        return self.peer.has_pending() or self.own.has_pending()

    def write_frames(self, builder: PacketBuilder) -> None:
        """RETIRE_CONNECTION_ID and NEW_CONNECTION_ID, as far as there is room."""
        self.peer.write_frames(builder)
        self.own.write_frames(builder)
