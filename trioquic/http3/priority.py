"""Which response the server should send first (RFC 9218)."""

from dataclasses import dataclass

from .frames import PRIORITY_UPDATE_REQUEST, encode_frame, encode_varint


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """A request's priority. The server may ignore it; this side's own sending follows it, too."""

    urgency: int = 3
    """From 0 (first) to 7 (in the background); RFC 9218 section 4.1."""
    incremental: bool = False
    """Responses of equal urgency may share the connection, as a part of this one is of use before
    all of it is there; section 4.2."""

    def __post_init__(self) -> None:
        if isinstance(self.urgency, bool) or not isinstance(self.urgency, int):
            raise TypeError(f"urgency must be an integer, not {type(self.urgency).__name__}")
        if not 0 <= self.urgency <= 7:
            raise ValueError(f"urgency must be from 0 to 7, not {self.urgency}")
        if not isinstance(self.incremental, bool):
            raise TypeError(f"incremental must be a bool, not {type(self.incremental).__name__}")

    @property
    def field_value(self) -> bytes:
        """The value of a `priority` header field."""
        return b"u=%d%s" % (self.urgency, b", i" if self.incremental else b"")


def encode_priority_update(stream_id: int, priority: Priority) -> bytes:
    """The frame that changes a request's priority (section 7.2)."""
    return encode_frame(PRIORITY_UPDATE_REQUEST, encode_varint(stream_id) + priority.field_value)
