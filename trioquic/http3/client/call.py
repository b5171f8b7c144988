"""A request as it can be made on any connection to its origin, and how often it may be.

These are all the rules of replay. A request is sent again

- if the server has said that it did nothing for it, whatever it is (RFC 9114 sections 4.1.1, 5.2);
- if its connection was lost before a response came, and to do it twice is the same as to do it once
  (RFC 9110 section 9.2.2);
- if it waited for a connection that could send early data and never came to be: all that was sent
  then does no harm (RFC 8470 section 4);
- without early data, if the server does not want it early (425, RFC 8470 section 5.2);
- to another place, if this one does not serve the origin (421, RFC 7838 section 6);

and only if its content is there to be sent once more, or nothing of it was taken. What may be sent
twice may be under way on two connections at once, too.
"""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Final

from ... import ConnectionLostError, PeerClosedError, ProtocolError
from ..errors import RequestRejectedError
from ..failure import Phase, RequestFailedError
from ..fields import Headers
from ..priority import Priority
from ..timeouts import Timeouts
from ..url import Origin

TOO_EARLY: Final = 425
# RFC 9110 section 9.2.1, without TRACE, which nobody needs fast
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
# Section 9.2.2
_IDEMPOTENT: Final = _SAFE | {"TRACE", "PUT", "DELETE"}
# How often a request is sent again: after what the server did to the connection; after what the
# network did; and where the server did nothing for it, which one that makes room for its successor
# may say several times, until the connection to that is there
_MOST_REPETITIONS: Final = 1
_MOST_OVER_NETWORKS: Final = 3
_MOST_REJECTIONS: Final = 3
# Seconds before a request goes again where it was rejected, doubling: a server that ends rejects
# requests before its GOAWAY comes, and one that has too much to do needs a moment
_FIRST_PAUSE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked for, and of whom."""

    method: str
    origin: Origin
    authority: str
    path: str
    fields: Headers
    server_name: str | None = None
    """What the certificate must name, if not the origin's host."""
    content: AsyncIterable[bytes] | bytes | None = None
    priority: Priority | None = None
    any_origin: bool = False
    """Whether it is for a server that answers for the authority or not (RFC 9114 section 3.3)."""
    timeouts: Timeouts = Timeouts()  # noqa: RUF009 - frozen

    @property
    def can_be_repeated(self) -> bool:
        """Whether the content is there to be sent once more."""
        return self.content is None or isinstance(self.content, bytes)

    @property
    def can_be_doubled(self) -> bool:
        """Whether it may be under way on two connections at once."""
        return self.can_be_repeated and self.method in _IDEMPOTENT

    @property
    def may_be_early(self) -> bool:
        """Whether it does no harm when somebody else sends it again, whenever that is."""
        return self.content is None and self.method in _SAFE

    def most_repetitions(self, failure: RequestFailedError, *, failed_early: bool) -> int:
        """How often it may go to another connection after it has failed so without a response.
        `failed_early`: its connection could send early data and never came to be."""
        if failed_early:
            # the next connection sends no early data
            return _MOST_REPETITIONS if failure.attempt_failed else 0
        lost = isinstance(failure.error, ConnectionLostError)
        # while the headers were written nothing of the content was taken
        repeatable = self.can_be_repeated or failure.phase is Phase.WRITE
        if is_rejected(failure) and repeatable:
            return _MOST_REJECTIONS
        if lost and self.can_be_doubled:
            return _MOST_OVER_NETWORKS if is_the_networks(failure) else _MOST_REPETITIONS
        return 0


def is_rejected(failure: RequestFailedError) -> bool:
    """Whether the server has said that it did nothing for the request."""
    return isinstance(failure.error, RequestRejectedError)


def pause_before(repetition: int) -> float:
    """Seconds to wait where the request was rejected on a connection that takes others."""
    return _FIRST_PAUSE * 2.0**repetition


def is_the_networks(failure: RequestFailedError) -> bool:
    """Whether the connection was lost without a word of the server's about it."""
    return isinstance(failure.error, ConnectionLostError) and not isinstance(
        failure.error, PeerClosedError | ProtocolError
    )
