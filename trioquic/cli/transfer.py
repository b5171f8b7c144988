"""One download: requests until the whole content is in the sink.

A move of the connection to another network is not noticed here. A connection that is lost for good
or left for another one is: the rest of the content is then asked for on a new one (RFC 9110 section
14), if the server gave a strong validator to make sure that it is the rest of the same content
(section 13.1.5); without one it is asked for from the beginning.
"""

import math
import re
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

import trio

from .. import (
    ConnectionLostError,
    HandshakeError,
    IdleTimeoutError,
    NoPathError,
    NoPathReason,
    StatelessResetError,
    __version__,
)
from .._checks import without_password
from ..http3 import Headers, HTTP3ConnectionError, HTTP3Error, RequestRejectedError, Response
from ..http3.url import Target
from . import failures
from .failures import FetchError
from .link import Link
from .origins import Origins
from .sink import Sink
from .urls import redirected, target_of

T = TypeVar("T")
_HEADERS: Final = (("user-agent", f"trioquic/{__version__}"), ("accept", "*/*"))
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PARTIAL: Final = 206
_NOTHING_THERE: Final = 416
_TOO_EARLY: Final = 425
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
        self, url: str, sink: Sink, origins: Origins, *, retries: int, redirects: int
    ) -> None:
        """`retries` is how often in a row a lost connection is made again without much that is
        new, `redirects` how many are followed."""
        self.progress: Progress = Progress(url=without_password(url))
        self.link: Link | None = None
        """The connection in use."""
        self._given = url
        self._sink = sink
        self._origins = origins
        self._retries = retries
        self._follow = redirects > 0
        self._redirects = redirects
        self._etag: str | None = None
        self._last_content: float | None = None
        self._resuming = False  # no content came on this connection yet
        self._leaving = False
        self._waiting: trio.CancelScope | None = None

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
                        self._origins.tell(f"connection lost: {error}; making another")
                        continue
                now = trio.current_time()
                if now >= until:
                    if tried == self._retries:
                        raise FetchError(failures.LOST, str(error)) from error
                    pause = _FIRST_PAUSE * 2**tried
                    tried, until = tried + 1, now + pause
                    self._origins.tell(f"connection lost: {error}; trying again in {pause:g} s")
                # A network that comes back changes several times before it leads anywhere: a try
                # because of that counts for nothing.
                await self._origins.pause(until - now)
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
        early_data = True
        while True:
            link = await self._connect(target)
            # a safe method, so it may (RFC 8470 section 4)
            early_data = early_data and not link.connected
            self._leaving = False
            try:
                with link.used(self._leave) as http:
                    async with AsyncExitStack() as stack:
                        asking = http.request(
                            "GET",
                            target.url,
                            headers=self._headers(authorization),
                            early_data=early_data,
                        )
                        response = await self._unless_left(stack.enter_async_context(asking))
                        if response.status != _TOO_EARLY or not early_data:
                            return await self._take(response, link)
                # section 5.2: once more, and not early
                early_data = False
            except _LeftError:
                continue
            except HandshakeError as error:
                self._origins.handshake_failed(link, error)
            except (ConnectionLostError, RequestRejectedError, trio.ClosedResourceError) as error:
                self._origins.drop(link)
                raise _RetryError(str(error)) from error
            except HTTP3ConnectionError as error:
                self._origins.drop(link)
                raise FetchError(failures.HTTP3, str(error)) from error
            except HTTP3Error as error:
                raise FetchError(failures.HTTP3, str(error)) from error
            except ValueError as error:
                raise FetchError(failures.BAD_URL, str(error)) from error

    def _headers(self, authorization: str | None) -> list[tuple[str, str]]:
        headers = list(_HEADERS)
        if authorization is not None:
            headers.append(("authorization", authorization))
        if self._wants_rest:
            assert self._etag is not None
            # If-Range: all of it, should it have changed meanwhile
            headers += [("range", f"bytes={self._sink.size}-"), ("if-range", self._etag)]
        return headers

    @property
    def _wants_rest(self) -> bool:
        """Whether only the rest of the content is asked for."""
        return self._sink.size > 0 and self._etag is not None

    def _leave(self) -> None:
        """The server is not heard any more, and there is another connection. Who would have to
        begin again there stays."""
        if self._sink.size == 0 or self._etag is not None:
            self._leaving = True
            if self._waiting is not None:
                self._waiting.cancel()

    async def _unless_left(self, receiving: Awaitable[T]) -> T:
        """What comes from the server; what has come already is never lost."""
        with trio.CancelScope() as self._waiting:
            if self._leaving:
                self._waiting.cancel()
            try:
                return await receiving
            finally:
                self._waiting = None
        raise _LeftError

    async def _connect(self, target: Target) -> Link:
        """The connection to where the URL is."""
        try:
            self.link = await self._origins.link(target.origin)
        except FetchError as error:
            if self._sink.size and error.exit_code in failures.PASSING:
                raise _RetryError(str(error)) from error
            raise
        return self.link

    async def _take(self, response: Response, link: Link) -> bytes | None:
        progress = self.progress
        if response.status == _NOTHING_THERE and self._wants_rest:
            self._check_nothing_left(response.headers)
            return None
        progress.status = response.status
        location = _field(response.headers, b"location")
        if response.status in _REDIRECTS and location is not None:
            if not self._follow:
                where = without_password(location.decode("latin-1"))
                text = f"status {response.status}, redirected to {where}: follow with -L"
                raise FetchError(failures.HTTP_STATUS, text)
            return location
        if not 200 <= response.status < 300:
            raise FetchError(failures.HTTP_STATUS, f"status {response.status}")
        await self._place(response)
        assert link.handovers is not None
        while chunk := await self._unless_left(response.receive_some()):
            link.handovers.content_came()
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
            self._origins.tell(f"content paused for {pause:.0f} ms")
        self._resuming = False
        self._last_content = now

    async def _place(self, response: Response) -> None:
        """Find out which part of the content comes, and make the sink ready for it."""
        progress = self.progress
        here = self._sink.size
        if response.status == _PARTIAL:
            found = _CONTENT_RANGE.fullmatch(_text(response.headers, b"content-range") or "")
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
            self._origins.tell(f"going on with {progress.url} at byte {here}")
            return
        if here:
            if not await self._sink.restart():
                text = "the connection was lost, and what is written cannot be taken back"
                raise FetchError(failures.LOST, text)
            progress.restarted += 1
            self._origins.tell(f"beginning {progress.url} again")
        length = _text(response.headers, b"content-length")
        progress.received = 0
        progress.total = None
        if length is not None and response.status != _NO_CONTENT:
            progress.total = int(length)
        self._etag = _validator(response.headers)

    def _check_nothing_left(self, headers: Headers) -> None:
        """The server says that there is no rest (RFC 9110 section 15.5.17): only the end of the
        stream was lost, or the content has become shorter."""
        found = _WHOLE_LENGTH.fullmatch(_text(headers, b"content-range") or "")
        whole = found is not None and int(found[1]) == self._sink.size
        if not whole or not self._is_the_same(headers, str(self._sink.size)):
            self._etag = None
            raise _RetryError("the content is another one, and shorter")

    def _is_the_same(self, headers: Headers, total: str) -> bool:
        """Whether a part is of the content that is here, for all that the server says: it may not
        know If-Range. `total` is the whole's size, or "*"."""
        etag = _text(headers, b"etag")
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


def _validator(headers: Headers) -> str | None:
    """The ETag, if it is strong and ranges are served (RFC 9110 sections 8.8.3 and 14.3)."""
    etag = _text(headers, b"etag")
    if etag is None or not etag.startswith('"') or _text(headers, b"accept-ranges") == "none":
        return None
    return etag


def _field(headers: Headers, wanted: bytes) -> bytes | None:
    """The first field of that name."""
    return next((value for name, value in headers if name == wanted), None)


def _text(headers: Headers, wanted: bytes) -> str | None:
    value = _field(headers, wanted)
    return None if value is None else value.decode("latin-1")
