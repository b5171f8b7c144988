"""Collects the frames of one packet, within the room that the packet has."""

from .token import Token


class PacketBuilder:
    """Frames for one packet. Components ask `room` and call `add`; `transmit` seals the result."""

    __slots__ = ("ack_eliciting", "only_probing", "parts", "room", "size", "tokens")

    def __init__(self, room: int) -> None:
        self.room = room
        self.size = 0
        self.parts: list[bytes] = []
        self.tokens: list[Token] = []
        self.ack_eliciting = False
        # RFC 9000 section 9.1: true while all frames are probing frames
        self.only_probing = True

    def add(self, frame: bytes, token: Token | None = None) -> None:
        """Add an ack-eliciting, non-probing frame. The caller has checked `room`."""
        size = len(frame)
        self.parts.append(frame)
        self.room -= size
        self.size += size
        self.ack_eliciting = True
        self.only_probing = False
        if token is not None:
            self.tokens.append(token)

    def add_data(self, header: bytes, data: bytes, token: Token) -> None:
        """As `add`, for a frame that ends in data, which is not copied."""
        self.add(header, token)
        size = len(data)
        self.parts.append(data)
        self.room -= size
        self.size += size

    def add_probing(self, frame: bytes, token: Token | None = None) -> None:
        """Add an ack-eliciting probing frame (PATH_CHALLENGE, PATH_RESPONSE, NEW_CONNECTION_ID)."""
        only_probing = self.only_probing
        self.add(frame, token)
        self.only_probing = only_probing

    def add_quiet(self, frame: bytes, token: Token | None = None) -> None:
        """Add a frame that elicits no acknowledgement (ACK, CONNECTION_CLOSE)."""
        ack_eliciting = self.ack_eliciting
        self.add(frame, token)
        self.ack_eliciting = ack_eliciting
