"""How a request failed, and how far it had got: what may be done about it depends on both.

`RequestFailedError` stays between this package and those that stand on it. The application gets the
error in it (`http3.Client`), or httpx's name for it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

import trio

from .. import HandshakeError, QuicError

CLOSED: Final = "the client was closed"


class Phase(Enum):
    """What a request was waiting for."""

    SLOT = "a free connection"
    CONNECT = "a connection"
    WRITE = "the server to take it"
    READ = "the server's answer"


# ValueError: a host or port that no connection can be made to, such as a label of 64 letters,
# which only the resolver finds out; or what HTTP does not allow
EXPECTED: Final[dict[Phase, tuple[type[Exception], ...]]] = {
    Phase.CONNECT: (QuicError, OSError, trio.ClosedResourceError, ValueError),
    Phase.WRITE: (QuicError, trio.ClosedResourceError, ValueError),
    Phase.READ: (QuicError, trio.ClosedResourceError),
}


class RequestFailedError(Exception):
    """`error` is None where it took longer than the request allows; `text` tells it to people, and
    `over` what it went."""

    def __init__(
        self,
        phase: Phase,
        error: Exception | None = None,
        text: str = "",
        *,
        over: str = "over QUIC",
    ) -> None:
        super().__init__(text or str(error) or type(error).__name__)
        self.phase = phase
        self.error = error
        self.over = over
        self.final: bool = False
        """Whether no other way is to be tried."""

    def make_final(self) -> None:
        """No other way is to be tried."""
        self.final = True

    @property
    def unconnected(self) -> bool:
        """Whether there was no connection, so that nothing was sent, or early data only."""
        return self.phase is Phase.CONNECT

    @property
    def attempt_failed(self) -> bool:
        """Whether no connection came to be, so that another way may help. Not when it only took
        longer than the request was willing to wait: then there is no time left for another way."""
        return self.unconnected and self.error is not None


def no_way(over_http3: RequestFailedError, around: RequestFailedError) -> RequestFailedError:
    """Neither led to a connection. Every host has TCP, so what became of the way around HTTP/3
    counts; what else was tried is told, too."""
    text = f"{over_http3.over}: {over_http3}; {around.over}: {around}"
    return RequestFailedError(Phase.CONNECT, around.error, text)


def failed(phase: Phase, error: Exception, *, closed: bool = False) -> RequestFailedError:
    """The failure that an error in this phase is; `closed`: the client has ended the connection."""
    if closed and isinstance(error, trio.ClosedResourceError):
        error = trio.ClosedResourceError(CLOSED)
    # a handshake ends late under what was early data
    unconnected = isinstance(error, HandshakeError)
    return RequestFailedError(Phase.CONNECT if unconnected else phase, error)


@contextmanager
def during(phase: Phase, is_closed: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """What goes wrong in the block goes wrong in this phase, perhaps as the client was closed. A
    bug of this library (`trioquic.InternalError`) stays what it is."""
    try:
        yield
    except EXPECTED[phase] as error:
        raise failed(phase, error, closed=is_closed()) from error


@contextmanager
def unwrapped() -> Iterator[None]:
    """For the application: the error itself."""
    try:
        yield
    except RequestFailedError as failure:
        # without timeouts there is always one
        error = failure.error or failure
        raise error from error.__cause__
