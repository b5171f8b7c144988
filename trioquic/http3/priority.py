"""Which response the server should send first (RFC 9218)."""

from dataclasses import dataclass
from typing import Final

from .. import _checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """A request's priority. The server may ignore it; this side's own sending follows it, too."""

    urgency: int = _checks.checked(3, _checks.whole(0, 7))
    """From 0 (first) to 7 (in the background); RFC 9218 section 4.1."""
    incremental: bool = _checks.checked(False, _checks.flag)
    """Responses of equal urgency may share the connection, as a part of this one is of use before
    all of it is there; section 4.2."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)

    @property
    def field_value(self) -> bytes:
        """The value of a `priority` header field."""
        return b"u=%d%s" % (self.urgency, b", i" if self.incremental else b"")


PRIORITY: Final = _checks.optional(_checks.instance(Priority))
