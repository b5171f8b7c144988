"""One download: requests until the whole content is in the sink.

A move of the connection to another network is not noticed here. A connection that is lost for good
is: the rest of the content is then asked for on a new one (RFC 9110 section 14), if the server gave
a strong validator to make sure that it is the rest of the same content (section 13.1.5); without
one it is asked for from the beginning.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import idna
import trio

from .. import ConnectionLostError, HandshakeError, __version__
from ..http3 import Headers, HTTP3ConnectionError, HTTP3Error, RequestRejectedError, Response
from . import failures
from .failures import FetchError
from .origins import Link, Origins
from .sink import Sink

_HEADERS: Final = (("user-agent", f"trioquic/{__version__}"), ("accept", "*/*"))
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PARTIAL: Final = 206
_TOO_EARLY: Final = 425
_FIRST_PAUSE: Final = 0.5
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(?:\d+|\*)")


@dataclass(slots=True, kw_only=True)
class Progress:
    """How a download is getting on."""

    url: str
    """Where it is now, after redirects."""
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


class Transfer:
    """Fetches one URL into a sink."""

    def __init__(
        self, url: str, sink: Sink, origins: Origins, *, retries: int, redirects: int
    ) -> None:
        """`retries` is how often a lost connection is made again, `redirects` how many are
        followed."""
        self.progress: Progress = Progress(url=url)
        self.link: Link | None = None
        """The connection in use."""
        self._sink = sink
        self._origins = origins
        self._retries = retries
        self._follow = redirects > 0
        self._redirects = redirects
        self._etag: str | None = None

    async def run(self) -> None:
        """All of it. Raises `FetchError`; OSError when the sink does."""
        self.progress.url = with_ascii_host(self.progress.url)
        tried = 0
        while True:
            try:
                while (target := await self._request()) is not None:
                    self._redirect(target)
                return
            except _RetryError as error:
                if self._sink.size == self.progress.total:
                    # only the end of the stream was lost
                    return
                if tried == self._retries:
                    raise FetchError(failures.LOST, str(error)) from error
                pause = _FIRST_PAUSE * 2**tried
                tried += 1
                self._origins.tell(f"connection lost: {error}; trying again in {pause:g} s")
            await trio.sleep(pause)

    def _redirect(self, target: str) -> None:
        if self._redirects == 0:
            raise FetchError(failures.REDIRECTS, f"too many redirects, the last to {target}")
        self._redirects -= 1
        url = urljoin(self.progress.url, target)
        if not is_https(url):
            raise FetchError(failures.REDIRECTS, f"redirected to {url}, which is no https URL")
        self.progress.url = with_ascii_host(url)
        self._etag = None

    async def _request(self) -> str | None:
        """One request; where it leads if it is redirected, None when the content is complete."""
        early_data = True
        while True:
            link = await self._connect()
            assert link.http is not None
            # a safe method, so it may (RFC 8470 section 4)
            early_data = early_data and not link.connected
            headers = list(_HEADERS)
            if self._sink.size and self._etag is not None:
                # If-Range: all of it, should it have changed meanwhile
                headers += [("range", f"bytes={self._sink.size}-"), ("if-range", self._etag)]
            try:
                async with link.http.request(
                    "GET", self.progress.url, headers=headers, early_data=early_data
                ) as response:
                    if response.status != _TOO_EARLY or not early_data:
                        return await self._take(response, link)
                # section 5.2: once more, and not early
                early_data = False
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

    async def _connect(self) -> Link:
        """The connection to where the URL is."""
        parts = urlsplit(self.progress.url)
        assert parts.hostname is not None
        try:
            self.link = await self._origins.link((parts.hostname, parts.port or 443))
        except FetchError as error:
            if self._sink.size and error.exit_code in failures.PASSING:
                raise _RetryError(str(error)) from error
            raise
        return self.link

    async def _take(self, response: Response, link: Link) -> str | None:
        progress = self.progress
        progress.status = response.status
        location = header(response.headers, b"location")
        if response.status in _REDIRECTS and location is not None:
            if not self._follow:
                text = f"status {response.status}, redirected to {location}: follow with -L"
                raise FetchError(failures.HTTP_STATUS, text)
            return location
        if not 200 <= response.status < 300:
            raise FetchError(failures.HTTP_STATUS, f"status {response.status}")
        await self._place(response)
        assert link.handovers is not None
        async for chunk in response:
            link.handovers.content_came()
            await self._sink.write(chunk)
            progress.received = self._sink.size
        return None

    async def _place(self, response: Response) -> None:
        """Find out which part of the content comes, and make the sink ready for it."""
        progress = self.progress
        length = header(response.headers, b"content-length")
        here = self._sink.size
        if response.status == _PARTIAL:
            found = _CONTENT_RANGE.fullmatch(header(response.headers, b"content-range") or "")
            if self._etag is None or found is None or int(found[1]) != here:
                raise FetchError(failures.HTTP3, "the server sent a part that nobody asked for")
            progress.resumed += 1
            self._origins.tell(f"going on with {progress.url} at byte {here}")
            return
        if here:
            if not await self._sink.restart():
                text = "the connection was lost, and what is written cannot be taken back"
                raise FetchError(failures.LOST, text)
            progress.restarted += 1
            self._origins.tell(f"beginning {progress.url} again")
        progress.received = 0
        progress.total = int(length) if length is not None else None
        self._etag = _validator(response.headers)


def _validator(headers: Headers) -> str | None:
    """The ETag, if it is strong and ranges are served (RFC 9110 sections 8.8.3 and 14.3)."""
    etag = header(headers, b"etag")
    if etag is None or not etag.startswith('"') or header(headers, b"accept-ranges") == "none":
        return None
    return etag


def header(headers: Headers, wanted: bytes) -> str | None:
    """The first field of that name."""
    return next((value.decode("latin-1") for name, value in headers if name == wanted), None)


def with_ascii_host(url: str) -> str:
    """The URL with its host as name servers know it (RFC 5890). Raises FetchError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.isascii():
        return url
    try:
        name = idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise FetchError(failures.BAD_URL, str(error)) from error
    return parts._replace(netloc=name if parts.port is None else f"{name}:{parts.port}").geturl()


def is_https(url: str) -> bool:
    """Whether this is a URL that can be fetched."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        return False
