"""What real servers do with a client's certificate, and what they staple to their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

import trioquic
from tests import http3_min as h3
from tests.certificates import Certificates, Identity
from tests.programs import needs
from tests.servers import Server, caddy, gtlsserver

from .exchange import SERVERS, Download, alpn_of, connect, serve

CRYPTO_ERROR = 0x100
BAD_CERTIFICATE, CERTIFICATE_REQUIRED = 42, 116


def with_client(certs: Certificates, own: Identity) -> trioquic.TLSConfig:
    return trioquic.TLSConfig(
        ca_file=certs.ca_file, client_cert=own.cert_file, client_key=own.key_file
    )


def demanding(certs: Certificates) -> str:
    """Lines for caddy: a client without a certificate of our root is refused."""
    return f"client_auth {{\n mode require_and_verify\n trusted_ca_cert_file {certs.ca_file}\n}}"


@needs("caddy")
async def test_a_server_verifies_the_clients_certificate(certs: Certificates) -> None:
    """Its chain and the signature; below are those that it refuses."""
    async with (
        caddy(certs.server, tls=demanding(certs), directives="respond welcome") as server,
        connect(server, h3.ALPN, tls=with_client(certs, certs.client)) as conn,
    ):
        assert await Download(conn, "").run() == b"welcome"


async def refused(server: Server, tls: trioquic.TLSConfig) -> int | None:
    """The code by which the server refuses. For the client the handshake is over by then: it
    depends on who is faster whether there is a connection, which ends, or none."""
    with pytest.raises((trioquic.HandshakeError, trioquic.PeerClosedError)) as caught:
        async with connect(server, h3.ALPN, tls=tls) as conn:
            await Download(conn, "1").run()
    assert isinstance(caught.value, trioquic.HandshakeError | trioquic.PeerClosedError)
    return caught.value.code


@needs("caddy")
@pytest.mark.parametrize("own", [None, "untrusted"])
async def test_a_client_that_is_not_trusted_hears_so(certs: Certificates, own: str | None) -> None:
    tls = trioquic.TLSConfig(ca_file=certs.ca_file)
    if own is not None:
        tls = with_client(certs, getattr(certs, own))
    async with caddy(certs.server, tls=demanding(certs)) as server:
        assert await refused(server, tls) == CRYPTO_ERROR + BAD_CERTIFICATE


@needs("gtlsserver")
@pytest.mark.parametrize("own", ["client", "rsa", "ed25519", "ecdsa_p384"])
async def test_each_kind_of_key(certs: Certificates, own: str) -> None:
    """GnuTLS checks the signature over the handshake; who it is, gtlsserver does not ask."""
    async with (
        gtlsserver(certs.server, options=["--verify-client"]) as server,
        connect(server, h3.ALPN, tls=with_client(certs, getattr(certs, own))) as conn,
    ):
        await conn.wait_handshake_confirmed()
        assert len(await Download(conn, "1000").run()) == 1000


@needs("gtlsserver")
async def test_a_client_without_a_certificate_hears_so(certs: Certificates) -> None:
    async with gtlsserver(certs.server, options=["--verify-client"]) as server:
        tls = trioquic.TLSConfig(ca_file=certs.ca_file)
        assert await refused(server, tls) == CRYPTO_ERROR + CERTIFICATE_REQUIRED


@asynccontextmanager
async def responder() -> AsyncIterator[tuple[str, list[bytes]]]:
    """An OCSP responder (RFC 6960 appendix A): its address, and a list for what it says."""
    answers: list[bytes] = []

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(4096)
            (body,) = answers
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            await stream.send_all(head.encode() + body)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        yield f"http://127.0.0.1:{port}/", answers
        nursery.cancel_scope.cancel()


@needs("caddy")
async def test_an_ocsp_response_that_a_server_has_fetched(certs: Certificates) -> None:
    async with responder() as (url, answers):
        identity, response = certs.with_responder(url)
        answers.append(response)
        async with caddy(identity) as server, connect(server, h3.ALPN) as conn:
            assert conn.ocsp_response == response
            assert conn.signed_certificate_timestamps is None


@pytest.mark.parametrize("kind", SERVERS)
async def test_servers_without_staples(certs: Certificates, kind: str) -> None:
    async with (
        serve(kind, certs.server) as server,
        connect(server, alpn_of(kind)) as conn,
    ):
        assert conn.ocsp_response is None
        assert conn.signed_certificate_timestamps is None
