"""One download: requests until the whole content is in the sink.

A move of the connection to another network is not noticed here. A connection that is lost for good
or left for another one is: the rest of the content is then asked for on a new one (RFC 9110 section
14), if the server gave a strong validator to make sure that it is the rest of the same content
(section 13.1.5); without one it is asked for from the beginning.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Final

import trio

from .. import ConnectionLostError
from .._checks import without_password
from ..http3 import Headers, HTTP3Error, Response
from ..http3.client.client import HEADERS
from ..http3.client.redirect import REDIRECTS
from ..http3.failure import RequestFailedError
from ..http3.response import reading
from ..http3.url import Target
from . import failures
from .connections import Connections
from .failures import (
    FetchError,
    RetryError,
    connecting_failed,
    redirected,
    request_failed,
    target_of,
)
from .handovers import WatchedConnection
from .sink import File, Sink

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
class Job:
    """One URL and where its content goes; how that gets on, and what became of it."""

    url: str
    """As the user has given it."""
    sink: Sink
    final_url: str = ""
    """Where it is now, after redirects."""
    redirects: int = 0
    """How many were followed."""
    connection: WatchedConnection | None = None
    """The one in use."""
    status: int | None = None
    total: int | None = None
    """Bytes of the whole content, if the server said."""
    received: int = 0
    resumed: int = 0
    """How often the rest was asked for on a new connection."""
    restarted: int = 0
    """How often all of it was."""
    seconds: float = 0.0
    error: str | None = None
    exit_code: int = 0

    def __post_init__(self) -> None:
        self.final_url = without_password(self.url)

    @property
    def complaint(self) -> str | None:
        """What went wrong, for people: with the URL that was asked for, and with the one where it
        failed if redirects led there."""
        if self.error is None:
            return None
        where = [without_password(self.url)]
        if self.redirects:
            where.append(f"redirected to {self.final_url}")
        return ": ".join([*where, self.error])

    @property
    def is_written(self) -> bool:
        """Whether there is something where the content goes: a file appears when it is complete."""
        return self.error is None or (self.received > 0 and not isinstance(self.sink, File))

    def summary(self) -> dict[str, Any]:
        """The result, for programs."""
        return {
            "url": without_password(self.url),
            "final_url": self.final_url,
            "status": self.status,
            "output": self.sink.name if self.is_written else None,
            "bytes": self.received,
            "seconds": self.seconds,
            "sha256": self.sink.sha256 if self.error is None else None,
            "resumed": self.resumed,
            "restarted": self.restarted,
            "error": self.error,
            "exit_code": self.exit_code,
        }


class _LeftError(Exception):
    """There is a better connection."""


class Transfer:
    """Fetches one URL into a sink. `retries` is how often in a row a lost connection is made again
    without much that is new, `redirects` how many are followed, and `max_time` how many seconds it
    may take until all content is there, if these are not None."""

    def __init__(
        self,
        job: Job,
        connections: Connections,
        *,
        retries: int,
        redirects: int | None,
        max_time: float | None = None,
    ) -> None:
        self._job = job
        self._sink = job.sink
        self._connections = connections
        self._retries = retries
        self._redirects = redirects
        self._max_time = math.inf if max_time is None else max_time
        self._etag: str | None = None
        self._last_content: float | None = None
        self._resuming = False  # no content came on this connection yet

    async def run(self) -> None:
        """Do all of the job, which knows then what became of it."""
        job, began = self._job, trio.current_time()
        try:
            with trio.move_on_after(self._max_time) as scope:
                await self._sink.open()
                await self._fetch()
            if scope.cancelled_caught:
                raise FetchError(failures.TOO_LONG, self._too_long)
            await self._sink.finish()
        except FetchError as error:
            job.exit_code, job.error = error.exit_code, str(error)
        except (OSError, UnicodeError) as error:
            # UnicodeError: a name that this system's files cannot have
            job.exit_code, job.error = failures.WRITING, str(error)
        finally:
            job.seconds = trio.current_time() - began
            self._sink.discard()

    @property
    def _too_long(self) -> str:
        job = self._job
        whole = "" if job.total is None else f" of {job.total}"
        return f"not complete within {self._max_time:g} s: {self._sink.size}{whole} bytes are there"

    async def _fetch(self) -> None:
        target = target_of(self._job.url)
        user, authorization = target.origin, target.authorization
        tried = 0
        furthest = 0  # bytes that have come, before it was begun again perhaps
        paid = 0  # bytes for which tries were given back
        until = -math.inf  # the pause that is under way
        while True:
            self._job.final_url = target.url
            try:
                # a password is for whom it was given for
                given = authorization if target.origin == user else None
                location = await self._request(target, given)
            except RetryError as error:
                size = self._sink.size
                if size == self._job.total:
                    # only the end of the stream was lost
                    return
                gets_on = size >= paid + _PROGRESS
                if gets_on:
                    paid, tried, until = size, 0, -math.inf
                if size > furthest:
                    furthest = size
                    at_once = gets_on or tried < self._retries
                    if at_once and error.is_over_elsewhere:
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
        target = redirected(self._job.final_url, location)
        if self._job.redirects == self._redirects:
            text = f"too many redirects, the last to {target.url}"
            raise FetchError(failures.REDIRECTS, text)
        self._job.redirects += 1
        self._etag = None
        return target

    async def _request(self, target: Target, authorization: str | None) -> bytes | None:
        """One request; where it leads if it is redirected, None when the content is complete."""
        while True:
            try:
                exchange = await self._connections.get(target, self._headers(authorization))
                connection = self._connections.watched(exchange.quic)
                self._job.connection = connection
                async with reading(exchange, target.url) as response:
                    return await self._take(response, connection)
            except _LeftError:
                continue
            except RequestFailedError as failure:
                raise self._judged(failure) from failure.error
            except (ConnectionLostError, HTTP3Error, trio.ClosedResourceError) as error:
                raise request_failed(error) from error

    def _judged(self, failure: RequestFailedError) -> Exception:
        """What a failure before there is an answer means."""
        error = failure.error
        assert error is not None
        if not failure.unconnected:
            return request_failed(error)
        fetch = connecting_failed(error, self._connections.settings.tls)
        if self._sink.size and fetch.exit_code in failures.PASSING:
            return RetryError(str(fetch))
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

    async def _next(self, response: Response, connection: WatchedConnection) -> bytes:
        """The next part of the content. Whoever would have to begin again elsewhere stays, also if
        the server is not heard, and there is another connection."""
        if self._sink.size and self._etag is None:
            return await response.receive_some()
        with connection.pooled.while_best():
            return await response.receive_some()
        self._connections.leave(connection)
        raise _LeftError

    async def _take(self, response: Response, connection: WatchedConnection) -> bytes | None:
        job = self._job
        if response.status == _NOTHING_THERE and self._wants_rest:
            self._check_nothing_left(response)
            return None
        job.status = response.status
        location = response.header("location")
        if response.status in REDIRECTS and location is not None:
            if self._redirects is None:
                where = without_password(location)
                text = f"status {response.status}, redirected to {where}: follow with -L"
                raise FetchError(failures.HTTP_STATUS, text)
            return location.encode("latin-1")
        if not 200 <= response.status < 300:
            raise FetchError(failures.HTTP_STATUS, f"status {response.status}")
        await self._place(response)
        while chunk := await self._next(response, connection):
            connection.content_came()
            self._content_came()
            await self._sink.write(chunk)
            job.received = self._sink.size
        if job.total not in (None, self._sink.size):
            raise RetryError("the server sent only a part of the rest")
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
        job, here = self._job, self._sink.size
        if response.status == _PARTIAL:
            found = _CONTENT_RANGE.fullmatch(response.header("content-range") or "")
            if self._etag is None or found is None or int(found[1]) != here:
                raise FetchError(failures.HTTP3, "the server sent a part that nobody asked for")
            if not self._is_the_same(response, found[2]):
                # RFC 9110 section 15.3.7.3: not to be joined; all of the new one is asked for
                self._etag = None
                raise RetryError("the content is another one, and the server sent a part of it")
            if found[2] != "*":
                job.total = int(found[2])
            job.resumed += 1
            self._resuming = True
            self._connections.tell(f"going on with {job.final_url} at byte {here}")
            return
        if here:
            if not await self._sink.restart():
                text = "the connection was lost, and what is written cannot be taken back"
                raise FetchError(failures.LOST, text)
            job.restarted += 1
            self._connections.tell(f"beginning {job.final_url} again")
        length = response.header("content-length")
        job.received, job.total = 0, None
        if length is not None and response.status != _NO_CONTENT:
            job.total = int(length)
        self._etag = _validator(response)

    def _check_nothing_left(self, response: Response) -> None:
        """The server says that there is no rest (RFC 9110 section 15.5.17): only the end of the
        stream was lost, or the content has become shorter."""
        found = _WHOLE_LENGTH.fullmatch(response.header("content-range") or "")
        whole = found is not None and int(found[1]) == self._sink.size
        if not whole or not self._is_the_same(response, str(self._sink.size)):
            self._etag = None
            raise RetryError("the content is another one, and shorter")

    def _is_the_same(self, response: Response, total: str) -> bool:
        """Whether a part is of the content that is here, for all that the server says: it may not
        know If-Range. `total` is the whole's size, or "*"."""
        etag = response.header("etag")
        return etag in (None, self._etag) and (
            total == "*" or self._job.total in (None, int(total))
        )


def _validator(response: Response) -> str | None:
    """The ETag, if it is strong and ranges are served (RFC 9110 sections 8.8.3 and 14.3)."""
    etag = response.header("etag")
    strong = etag is not None and etag.startswith('"')
    return etag if strong and response.header("accept-ranges") != "none" else None
