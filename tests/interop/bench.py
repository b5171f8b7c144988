"""One cell's workplace: starts its server on loopback, and talks to it.

A `Talk` is one connection with the requests of either protocol: trioquic's own HTTP/3, or lines of
hq-interop, which tests/real has.
"""

import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

import trioquic
from tests.certificates import Certificates
from tests.real.exchange import Download, make_file, upload
from tests.servers.kinds import H3, KINDS, Kind
from tests.servers.place import Launch, Place, Wish
from tests.servers.process import (
    ATTEMPTS,
    Server,
    ServerFailedError,
    free_port,
    standing_behind,
    start,
    stop,
)
from trioquic import http3

from .outcome import Lacking

HOST: Final = "127.0.0.1"
NAME: Final = "localhost"


def children(process: int) -> set[int]:
    """The numbers of a process's children."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return set(map(int, text.split()))


class Talk:
    """Requests on one connection."""

    def __init__(
        self, conn: trioquic.Connection, http: http3.HTTP3Connection | None, site: "Site"
    ) -> None:
        self.conn = conn
        self._http = http
        self._site = site

    async def pieces(self, name: str, *, early_data: bool = False) -> AsyncGenerator[bytes, None]:
        """Get a file, piece by piece."""
        if self._http is None:
            download = Download(self.conn, name, early_data=early_data)
            told = 0
            async for size in download.pieces():
                yield bytes(download.content[told:size])
                told = size
            return
        url = self._site.url(name)
        async with self._http.request("GET", url, early_data=early_data) as response:
            assert response.status == 200, f"status {response.status}"
            async for chunk in response:
                yield chunk

    async def get(self, name: str, *, early_data: bool = False) -> bytes:
        """Get a whole file."""
        return b"".join([piece async for piece in self.pieces(name, early_data=early_data)])

    async def put(self, content: bytes) -> str:
        """Send it. Returns how it is known to have arrived."""
        if self._http is None:
            assert await upload(self.conn, content), "the server has received something else"
            return "the server's SHA-256 is right"
        method, path = self._site.upload_request
        async with self._http.request(method, self._site.url(path), content=content) as response:
            await response.read()
            assert 200 <= response.status < 300, f"status {response.status}"
        return self._site.check_upload(content)


@dataclass(kw_only=True)
class Site:
    """A server that runs, and may be started again."""

    name: str
    launch: Launch
    server: Server
    traces: Path
    retired: list[trio.Process] = field(default_factory=list)
    """Its processes that have been told to end."""

    @property
    def kind(self) -> Kind:
        """How it was started."""
        return KINDS[self.name]

    def url(self, path: str) -> str:
        """Of a file."""
        return f"https://{NAME}:{self.server.port}/{path}"

    @property
    def transport(self) -> dict[str, Any]:
        """Arguments of `TransportConfig`, for a connection that leaves a trace."""
        return {"qlog_dir": self.traces, "idle_timeout": 20.0}

    @property
    def tls(self) -> trioquic.TLSConfig:
        """That trusts it."""
        return trioquic.TLSConfig(ca_file=self.server.ca_file)

    @property
    def upload_request(self) -> tuple[str, str]:
        """Method and path. nginx, also behind others, keeps what is put; gtlsserver counts."""
        if self.kind.package == "ngtcp2-server":
            return "POST", "2"
        if self.launch.uploads is None:
            raise Lacking("nobody is here who would take it")
        return "PUT", "up/content"

    def check_upload(self, content: bytes) -> str:
        """Whether it is there."""
        if self.launch.uploads is None:
            return "of what arrived only the status is known"
        assert (self.launch.uploads / "content").read_bytes() == content, "another file arrived"
        return "the file that arrived is the same"

    def connect(
        self,
        *,
        tls: dict[str, Any] | None = None,
        transport: dict[str, Any] | None = None,
        port: int | None = None,
        **options: Any,
    ) -> Any:
        """A connection to it, with these settings beside those of every cell."""
        return trioquic.open_connection(
            HOST,
            port or self.server.port,
            alpn=[self.kind.alpn],
            server_name=NAME,
            tls=trioquic.TLSConfig(ca_file=self.server.ca_file, **(tls or {})),
            transport=trioquic.TransportConfig(**{**self.transport, **(transport or {})}),
            **options,
        )

    @asynccontextmanager
    async def talk(self, **options: Any) -> AsyncIterator[Talk]:
        """A connection with its protocol."""
        async with self.connect(**options) as conn:
            if self.kind.alpn != H3:
                yield Talk(conn, None, self)
                return
            async with http3.open_http3(conn) as http:
                yield Talk(conn, http, self)

    async def begin(self, *more: str) -> None:
        """Start its process again, with more words on its command line."""
        old = self.server
        self.server = await start(
            [*self.launch.command, *more],
            host=old.host,
            port=old.port,
            ca_file=old.ca_file,
            log_file=old.log_file.with_name(f"again-{old.log_file.name}"),
            env=self.launch.env,
        )

    async def kill(self) -> None:
        """End it without a word to anybody. Workers outlive a master that has no time to tell."""
        process = self.server.process
        workers = children(process.pid)
        process.kill()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        await process.wait()

    def signal(self, name: signal.Signals) -> None:
        """Send its process a signal."""
        os.kill(self.server.process.pid, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a case gets: which server, keys, and room for files and traces."""

    name: str
    certs: Certificates
    folder: Path
    traces: Path

    @property
    def kind(self) -> Kind:
        """How the server is started."""
        return KINDS[self.name]

    def file(self, size: int) -> tuple[str, bytes]:
        """A file for the server, by name and content. To be made before the server is started."""
        content = make_file(self.folder, size)
        return f"file-{size}", content

    @asynccontextmanager
    async def serving(self, wish: Wish = Wish()) -> AsyncIterator[Site]:  # noqa: B008 - frozen
        """The server, for the block. Somebody else may take its port before it does."""
        async with AsyncExitStack() as stack:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    site = await stack.enter_async_context(self._serving(wish))
                    break
                except ServerFailedError:
                    if attempt == ATTEMPTS:
                        raise
            yield site

    @asynccontextmanager
    async def _serving(self, wish: Wish) -> AsyncIterator[Site]:
        place = Place(
            identity=self.certs.server, files=self.folder, host=HOST, port=free_port(HOST)
        )
        with KINDS[self.name].launch(place, wish) as launch:
            behind = standing_behind(launch, self.traces / "behind.log", lambda command: command)
            async with behind:
                server = await start(
                    launch.command,
                    host=HOST,
                    port=place.port,
                    ca_file=self.certs.ca_file,
                    log_file=self.traces / "server.log",
                    env=launch.env,
                )
                site = Site(name=self.name, launch=launch, server=server, traces=self.traces)
                try:
                    yield site
                finally:
                    for process in (site.server.process, *site.retired):
                        await stop(process)
