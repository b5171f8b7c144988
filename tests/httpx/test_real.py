"""httpx with other people's servers: handovers under it, and hosts with and without HTTP/3."""

import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

import trioquic
from tests.certificates import Certificates
from tests.programs import needs
from tests.real.exchange import make_file
from tests.servers import Server, caddy, gtlsserver
from trioquic.httpx import HTTP3Transport

MEGABYTE = 1_000_000


@asynccontextmanager
async def client_of(server: Server, **options: object) -> AsyncIterator[httpx.AsyncClient]:
    """A client with that server's site as its base."""
    options.setdefault("tls", trioquic.TLSConfig(ca_file=server.ca_file))
    # a busy machine may need long for a handshake
    options.setdefault("head_start", 15.0)
    transport = HTTP3Transport(**options)  # type: ignore[arg-type]
    base = f"https://localhost:{server.port}"
    async with httpx.AsyncClient(transport=transport, base_url=base, timeout=30) as client:
        yield client


@needs("gtlsserver")
async def test_ten_handovers_in_one_download(certs: Certificates, tmp_path: Path) -> None:
    content = make_file(tmp_path, 22 * MEGABYTE)
    received = hashlib.sha256()
    size = moves = 0
    async with (
        gtlsserver(certs.server, root=tmp_path) as server,
        client_of(server, mode="only") as client,
    ):
        async with client.stream("GET", f"/file-{len(content)}") as response:
            assert response.http_version == "HTTP/3"
            quic = response.extensions["trioquic_connection"]
            async for chunk in response.aiter_bytes():
                received.update(chunk)
                size += len(chunk)
                if moves < 10 and size > (moves + 1) * 2 * MEGABYTE:
                    before = quic.active_path.local
                    await quic.migrate()
                    assert quic.active_path.local != before
                    moves += 1
    assert moves == 10
    assert received.digest() == hashlib.sha256(content).digest()


@needs("gtlsserver")
async def test_an_upload_goes_on_over_a_handover(certs: Certificates, tmp_path: Path) -> None:
    """gtlsserver does not tell what it got; that it got all is seen by its flow control, and by the
    server's answer: ours is complete only when the body is."""
    make_file(tmp_path, 1000)
    moves = 0

    async with (
        gtlsserver(certs.server, root=tmp_path) as server,
        client_of(server, mode="only") as client,
    ):
        first = await client.get("/file-1000")
        quic = first.extensions["trioquic_connection"]

        async def body() -> AsyncIterator[bytes]:
            nonlocal moves
            for number in range(12):
                yield bytes(MEGABYTE)
                if number in (3, 7):
                    await quic.migrate()
                    moves += 1

        response = await client.post("/file-1000", content=body())
        assert response.status_code == 200
        assert response.extensions["trioquic_connection"] is quic
    assert moves == 2


@needs("caddy")
async def test_a_site_with_http3(certs: Certificates, tmp_path: Path) -> None:
    content = make_file(tmp_path, MEGABYTE)
    directives = """
        redir /old /file-1000000
        header /cookie Set-Cookie "flavour=oat; Path=/"
        respond /cookie "{http.request.header.Cookie}"
        respond /gone "was here" 410
    """
    async with (
        caddy(certs.server, root=tmp_path, directives=directives) as server,
        client_of(server, mode="only") as client,
    ):
        response = await client.get("/old", follow_redirects=True)
        assert response.content == content
        assert [one.status_code for one in response.history] == [302]
        assert (await client.get("/cookie")).text == ""
        assert (await client.get("/cookie")).text == "flavour=oat"
        response = await client.get("/gone")
        with pytest.raises(httpx.HTTPStatusError, match="410"):
            response.raise_for_status()
        assert response.http_version == "HTTP/3"


@needs("caddy")
async def test_http3_is_used_where_the_site_advertises_it(
    certs: Certificates, tmp_path: Path
) -> None:
    content = make_file(tmp_path, 1000)
    async with (
        caddy(certs.server, root=tmp_path) as server,
        client_of(server, mode="alt-svc") as client,
    ):
        versions = []
        for _ in range(3):
            response = await client.get("/file-1000")
            assert response.content == content
            versions.append(response.http_version)
        assert versions == ["HTTP/2", "HTTP/3", "HTTP/3"]


@needs("caddy")
@pytest.mark.parametrize(("protocols", "version"), [("h1 h2", "HTTP/2"), ("h1", "HTTP/1.1")])
async def test_a_site_without_http3(
    certs: Certificates, tmp_path: Path, protocols: str, version: str
) -> None:
    content = make_file(tmp_path, 1000)
    async with (
        caddy(certs.server, root=tmp_path, protocols=protocols) as server,
        client_of(server, head_start=0.1) as client,
    ):
        for _ in range(2):
            response = await client.get("/file-1000")
            assert response.content == content
            assert response.http_version == version
        response = await client.post("/file-1000", content=b"x" * 100_000)
        assert response.http_version == version


@needs("caddy")
async def test_the_fallback_trusts_whom_http3_trusts(certs: Certificates, tmp_path: Path) -> None:
    async with (
        caddy(certs.untrusted, root=tmp_path, protocols="h1 h2") as server,
        client_of(server, head_start=0.1) as client,
    ):
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get("/")
        causes: list[BaseException] = [caught.value]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)
        assert any(isinstance(one, ssl.SSLCertVerificationError) for one in causes)


@needs("gtlsserver")
async def test_the_next_client_resumes_the_session(certs: Certificates, tmp_path: Path) -> None:
    content = make_file(tmp_path, 1000)
    sessions = trioquic.MemorySessions()
    async with gtlsserver(certs.server, root=tmp_path) as server:
        for resumed in (False, True):
            async with client_of(server, mode="only", sessions=sessions) as client:
                response = await client.get("/file-1000")
                assert response.content == content
                assert response.extensions["trioquic_connection"].resumed is resumed
