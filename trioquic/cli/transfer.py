"""One download: requests until the whole content is in the sink.

A move of the connection to another network is not noticed here. A connection that is lost for good
or left for another one is: the rest of the content is then asked for on a new one (RFC 9110 section
14), if the server gave a strong validator to make sure that it is the rest of the same content
(section 13.1.5); without one it is asked for from the beginning.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

import trio

from .. import (
    ConnectionLostError,
    IdleTimeoutError,
    NoPathError,
    NoPathReason,
    StatelessResetError,
)
from .._checks import without_password
from ..http3 import Headers, HTTP3Error, RequestRejectedError, Response
from ..http3.client.client import HEADERS
from ..http3.client.connection import PooledConnection
from ..http3.client.redirect import is_redirect
from ..http3.failure import RequestFailedError
from ..http3.fields import field
from ..http3.response import reading
from ..http3.url import Target
from . import failures
from .connections import Connections, Watched
from .failures import FetchError, connecting_failed
from .sink import Sink
from .urls import redirected, target_of

_PARTIAL: Final = 206
_NOTHING_THERE: Final = 416
_FIRST_PAUSE: Final = 0.5
_NO_CONTENT: Final = 204
# So many bytes are worth other tries. A server that gives a little on each connection, for ever,
# does not keep us.
_PROGRESS: Final = 1 << 14
# no number is too long for this language
_WHOLE_LENGTH: Final = re.compile(r"bytes \*/([0-9]{1,19})")
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19}|\*)")


@dataclass(slots=True, kw_only=True)
class Progress:
    """How a download is getting on."""

    url: str
    """Where it is now, after redirects."""
    redirects: int = 0
    """How many were followed."""
    status: int | None = None
    total: int | None = None
    """Bytes of the whole content, if the server said."""
    received: int = 0
    resumed: int = 0
    """How often the rest was asked for on a new connection."""
    restarted: int = 0
    """How often all of it was."""


class _RetryError(Exception):
    """What may work on another connection; the cause says what happened."""


class _LeftError(Exception):
    """There is a better connection."""


class Transfer:
    """Fetches one URL into a sink."""

    def __init__(
        self, url: str, sink: Sink, connections: Connections, *, retries: int, redirects: int
    ) -> None:
        """`retries` is how often in a row a lost connection is made again without much that is
        new, `redirects` how many are followed."""
        self.progress: Progress = Progress(url=without_password(url))
        self.connection: Watched | None = None
        """The one in use."""
        self._given = url
        self._sink = sink
        self._connections = connections
        self._retries = retries
        self._follow = redirects > 0
        self._redirects = redirects
        self._etag: str | None = None
        self._last_content: float | None = None
        self._resuming = False  # no content came on this connection yet

    async def run(self) -> None:
        """All of it. Raises `FetchError`; OSError when the sink does."""
        target = target_of(self._given)
        user, authorization = target.origin, target.authorization
        tried = 0
        furthest = 0  # bytes that have come, before it was begun again perhaps
        paid = 0  # bytes for which tries were given back
        until = -math.inf  # the pause that is under way
        while True:
            self.progress.url = target.url
            try:
                # a password is for whom it was given for
                location = await self._request(
                    target, authorization if target.origin == user else None
                )
            except _RetryError as error:
                size = self._sink.size
                if size == self.progress.total:
                    # only the end of the stream was lost
                    return
                gets_on = size >= paid + _PROGRESS
                if gets_on:
                    paid, tried, until = size, 0, -math.inf
                if size > furthest:
                    furthest = size
                    at_once = gets_on or tried < self._retries
                    if at_once and _is_over_elsewhere(error.__cause__):
                        tried += not gets_on
                        self._connections.tell(f"connection lost: {error}; making another")
                        continue
                now = trio.current_time()
                if now >= until:
                    if tried == self._retries:
                        raise FetchError(failures.LOST, str(error)) from error
                    pause = _FIRST_PAUSE * 2**tried
                    tried, until = tried + 1, now + pause
                    self._connections.tell(f"connection lost: {error}; trying again in {pause:g} s")
                # A network that comes back changes several times before it leads anywhere: a try
                # because of that counts for nothing.
                await self._connections.pause(until - now)
                continue
            if location is None:
                return
            target = self._redirect(location)

    def _redirect(self, location: bytes) -> Target:
        target = redirected(self.progress.url, location)
        if self._redirects == 0:
            text = f"too many redirects, the last to {target.url}"
            raise FetchError(failures.REDIRECTS, text)
        self._redirects -= 1
        self.progress.redirects += 1
        self._etag = None
        return target

    async def _request(self, target: Target, authorization: str | None) -> bytes | None:
        """One request; where it leads if it is redirected, None when the content is complete."""
        while True:
            try:
                answer = await self._connections.get(target, self._headers(authorization))
                self.connection = self._connections.watched(answer)
                async with reading(answer.exchange, target.url, answer.head) as response:
                    return await self._take(response, answer.connection, self.connection)
            except _LeftError:
                continue
            except RequestFailedError as failure:
                raise self._judged(failure) from failure.error
            except (ConnectionLostError, HTTP3Error, trio.ClosedResourceError) as error:
                raise _lost(error) from error

    def _judged(self, failure: RequestFailedError) -> Exception:
        """What a failure before there is an answer means."""
        error = failure.error
        assert error is not None
        if not failure.unconnected:
            return _lost(error)
        fetch = connecting_failed(error, self._connections.settings.tls)
        if self._sink.size and fetch.exit_code in failures.PASSING:
            return _RetryError(str(fetch))
        return fetch

    def _headers(self, authorization: str | None) -> Headers:
        headers = list(HEADERS)
        if authorization is not None:
            headers.append((b"authorization", authorization.encode()))
        if self._wants_rest:
            assert self._etag is not None
            # If-Range: all of it, should it have changed meanwhile
            headers.append((b"range", b"bytes=%d-" % self._sink.size))
            headers.append((b"if-range", self._etag.encode("latin-1")))
        return tuple(headers)

    @property
    def _wants_rest(self) -> bool:
        """Whether only the rest of the content is asked for."""
        return self._sink.size > 0 and self._etag is not None

    async def _next(self, response: Response, connection: PooledConnection) -> bytes:
        """The next part of the content. Whoever would have to begin again elsewhere stays, also if
        the server is not heard, and there is another connection."""
        if self._sink.size and self._etag is None:
            return await response.receive_some()
        with connection.while_best():
            return await response.receive_some()
        self._connections.leave(connection)
        raise _LeftError

    async def _take(
        self, response: Response, connection: PooledConnection, watched: Watched
    ) -> bytes | None:
        progress = self.progress
        if response.status == _NOTHING_THERE and self._wants_rest:
            self._check_nothing_left(response.headers)
            return None
        progress.status = response.status
        location = response.header("location")
        if is_redirect(response.status) and location is not None:
            if not self._follow:
                where = without_password(location)
                text = f"status {response.status}, redirected to {where}: follow with -L"
                raise FetchError(failures.HTTP_STATUS, text)
            return location.encode("latin-1")
        if not 200 <= response.status < 300:
            raise FetchError(failures.HTTP_STATUS, f"status {response.status}")
        await self._place(response)
        while chunk := await self._next(response, connection):
            watched.handovers.content_came()
            self._content_came()
            await self._sink.write(chunk)
            progress.received = self._sink.size
        if progress.total not in (None, self._sink.size):
            raise _RetryError("the server sent only a part of the rest")
        return None

    def _content_came(self) -> None:
        now = trio.current_time()
        if self._resuming and self._last_content is not None:
            pause = (now - self._last_content) * 1000
            self._connections.tell(f"content paused for {pause:.0f} ms")
        self._resuming = False
        self._last_content = now

    async def _place(self, response: Response) -> None:
        """Find out which part of the content comes, and make the sink ready for it."""
        progress = self.progress
        here = self._sink.size
        if response.status == _PARTIAL:
            found = _CONTENT_RANGE.fullmatch(response.header("content-range") or "")
            if self._etag is None or found is None or int(found[1]) != here:
                raise FetchError(failures.HTTP3, "the server sent a part that nobody asked for")
            if not self._is_the_same(response.headers, found[2]):
                # RFC 9110 section 15.3.7.3: not to be joined; all of the new one is asked for
                self._etag = None
                raise _RetryError("the content is another one, and the server sent a part of it")
            if found[2] != "*":
                progress.total = int(found[2])
            progress.resumed += 1
            self._resuming = True
            self._connections.tell(f"going on with {progress.url} at byte {here}")
            return
        if here:
            if not await self._sink.restart():
                text = "the connection was lost, and what is written cannot be taken back"
                raise FetchError(failures.LOST, text)
            progress.restarted += 1
            self._connections.tell(f"beginning {progress.url} again")
        length = response.header("content-length")
        progress.received = 0
        progress.total = None
        if length is not None and response.status != _NO_CONTENT:
            progress.total = int(length)
        self._etag = _validator(response.headers)

    def _check_nothing_left(self, headers: Headers) -> None:
        """The server says that there is no rest (RFC 9110 section 15.5.17): only the end of the
        stream was lost, or the content has become shorter."""
        found = _WHOLE_LENGTH.fullmatch(field(headers, "content-range") or "")
        whole = found is not None and int(found[1]) == self._sink.size
        if not whole or not self._is_the_same(headers, str(self._sink.size)):
            self._etag = None
            raise _RetryError("the content is another one, and shorter")

    def _is_the_same(self, headers: Headers, total: str) -> bool:
        """Whether a part is of the content that is here, for all that the server says: it may not
        know If-Range. `total` is the whole's size, or "*"."""
        etag = field(headers, "etag")
        return etag in (None, self._etag) and (
            total == "*" or self.progress.total in (None, int(total))
        )


def _is_over_elsewhere(error: BaseException | None) -> bool:
    """Whether a connection was lost without the network or the server being at fault now: there is
    nothing to wait for."""
    if isinstance(error, NoPathError):
        return error.reason in (NoPathReason.MIGRATION_FORBIDDEN, NoPathReason.NO_CONNECTION_ID)
    # one that was waited for long enough; one that the server knows nothing of any more
    return isinstance(error, IdleTimeoutError | StatelessResetError)


def _lost(error: Exception) -> Exception:
    """What ended a request that was sent: something that passes, or not."""
    if isinstance(error, ConnectionLostError | RequestRejectedError | trio.ClosedResourceError):
        return _RetryError(str(error))
    if isinstance(error, HTTP3Error):
        return FetchError(failures.HTTP3, str(error))
    return FetchError(failures.BAD_URL, str(error))


def _validator(headers: Headers) -> str | None:
    """The ETag, if it is strong and ranges are served (RFC 9110 sections 8.8.3 and 14.3)."""
    etag = field(headers, "etag")
    if etag is None or not etag.startswith('"') or field(headers, "accept-ranges") == "none":
        return None
    return etag
