"""The default fallback believes whom HTTP/3 believes."""

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from h2.settings import SettingCodes, Settings

from tests.certificates import Certificates
from trioquic import TLSConfig
from trioquic.httpx._fallback import DefaultFallback, ssl_context

from .test_tcp import Everywhere, Names


def roots(context: ssl.SSLContext) -> set[bytes]:
    """The certificates that are trusted, in DER."""
    return set(context.get_ca_certs(binary_form=True))


def der(file: Path) -> bytes:
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)


def test_given_roots_replace_the_public_ones(certs: Certificates, tmp_path: Path) -> None:
    one, other = der(certs.ca_file), der(certs.other_ca_file)
    text = certs.ca_data.decode()
    in_der = tmp_path / "ca.der"
    in_der.write_bytes(one)
    for config, expected in (
        (TLSConfig(ca_file=certs.ca_file), {one}),
        (TLSConfig(ca_file=in_der), {one}),
        (TLSConfig(ca_data=certs.ca_data), {one}),
        (TLSConfig(ca_data=text), {one}),
        (TLSConfig(ca_data=one), {one}),
        # such as a name beside its certificate, in bundles of public authorities
        (TLSConfig(ca_data="# F\N{LATIN SMALL LETTER O WITH DOUBLE ACUTE}\n" + text), {one}),
        (TLSConfig(ca_file=certs.ca_file, ca_data=other), {one, other}),
    ):
        context = ssl_context(config)
        assert roots(context) == expected
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_the_public_roots(certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says, as over QUIC."""
    public = roots(ssl_context(TLSConfig()))
    assert len(public) > 50
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(
            name, str(certs.ca_file if name.endswith("FILE") else certs.ca_file.parent)
        )
        assert roots(ssl_context(TLSConfig())) == public


def test_nobody_is_asked_for_a_certificate() -> None:
    context = ssl_context(TLSConfig(verify=False))
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def extensions_in(hello: bytes) -> set[int]:
    """Those of a ClientHello in one TLS record (RFC 8446 section 4.1.2)."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2])
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at : at + 2])
    assert end == len(hello)
    at += 2
    found = set()
    while at < end:
        found.add(int.from_bytes(hello[at : at + 2]))
        at += 4 + int.from_bytes(hello[at + 2 : at + 4])
    return found


def test_tcp_carries_no_transport_parameters() -> None:
    """RFC 9001 section 8.2: they are for QUIC alone."""
    sent = ssl.MemoryBIO()
    tls = ssl_context(TLSConfig()).wrap_bio(ssl.MemoryBIO(), sent, server_hostname="example.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    found = extensions_in(sent.read())
    supported_versions, transport_parameters, of_drafts = 43, 57, 0xFFA5
    assert supported_versions in found
    assert not found & {transport_parameters, of_drafts}


def test_a_certificate_of_ones_own(certs: Certificates, tmp_path: Path) -> None:
    cert, key = certs.client.cert_file, certs.client.key_file
    ssl_context(TLSConfig(client_cert=cert, client_key=key))
    with pytest.raises(ssl.SSLError):
        ssl_context(TLSConfig(client_cert=cert, client_key=certs.server.key_file))
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    ssl_context(TLSConfig(client_cert=both))


def test_a_key_with_a_password_is_refused(certs: Certificates, tmp_path: Path) -> None:
    """OpenSSL would ask the terminal for it, and wait."""
    key = load_pem_private_key(certs.client.key_file.read_bytes(), None)
    secret = tmp_path / "key.pem"
    secret.write_bytes(
        key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"not to be guessed")
        )
    )
    line = "import sys; from trioquic import TLSConfig; from trioquic.httpx import _fallback; "
    line += "_fallback.ssl_context(TLSConfig(client_cert=sys.argv[1], client_key=sys.argv[2]))"
    command = [sys.executable, "-c", line, str(certs.client.cert_file), str(secret)]
    done = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert b"phrase" not in done.stdout + done.stderr
    assert b"ssl.SSLError" in done.stderr


def test_keys_are_logged_for_debugging(tmp_path: Path) -> None:
    context = ssl_context(TLSConfig(keylog_file=tmp_path / "keys.log"))
    assert context.keylog_filename == str(tmp_path / "keys.log")


def test_unreadable_files() -> None:
    with pytest.raises(FileNotFoundError):
        ssl_context(TLSConfig(ca_file="/nowhere/ca.pem"))


@pytest.mark.parametrize("data", [b"", "", b"\n", b"-----BEGIN"])
def test_nobody_to_believe_is_not_everybody(
    certs: Certificates, tmp_path: Path, data: bytes | str
) -> None:
    with pytest.raises(ssl.SSLError):
        ssl_context(TLSConfig(ca_data=data))
    with pytest.raises(ssl.SSLError):
        ssl_context(TLSConfig(ca_file=certs.ca_file, ca_data=data))


async def test_the_connect_timeout_does_not_run_while_the_pool_has_no_place() -> None:
    """For that there is the pool timeout."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    async def serve(stream: trio.SocketStream) -> None:
        async for _ in stream:
            await stream.send_all(answer)

    fallback = DefaultFallback(
        TLSConfig(verify=False), httpx.Limits(max_connections=1), Everywhere()
    )
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
        timeout = httpx.Timeout(20, connect=1)
        async with httpx.AsyncClient(transport=fallback, timeout=timeout) as client:
            async with trio.open_nursery() as waiting:
                async with client.stream("GET", url):
                    waiting.start_soon(client.get, url)
                    await trio.sleep(1.2)
            with pytest.raises(httpx.PoolTimeout):
                async with client.stream("GET", url):
                    await client.get(url, timeout=httpx.Timeout(20, connect=1, pool=0.1))
        nursery.cancel_scope.cancel()


async def test_a_stream_of_http2s_is_waited_for_longer_than_a_connection(
    certs: Certificates,
) -> None:
    """The server takes one request at a time, and each takes longer than connecting may."""

    async def serve(tcp: trio.SocketStream) -> None:
        stream = trio.SSLStream(tcp, context, server_side=True, https_compatible=True)
        server = H2Connection(H2Configuration(client_side=False))
        server.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: 1}
        )
        server.initiate_connection()
        await stream.send_all(server.data_to_send())
        while data := await stream.receive_some():
            for event in server.receive_data(data):
                if isinstance(event, RequestReceived):
                    assert event.stream_id is not None
                    await trio.sleep(0.4)
                    server.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
            await stream.send_all(server.data_to_send())

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certs.server.cert_file, certs.server.key_file)
    context.set_alpn_protocols(["h2"])
    fallback = DefaultFallback(TLSConfig(verify=False), httpx.Limits(), Everywhere())
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}/"
        timeout = httpx.Timeout(10, connect=0.3)

        async def get() -> None:
            response = await client.get(url)
            assert (response.status_code, response.http_version) == (200, "HTTP/2")

        async with httpx.AsyncClient(transport=fallback, timeout=timeout) as client:
            async with trio.open_nursery() as all_at_once:
                for _ in range(3):
                    all_at_once.start_soon(get)
        nursery.cancel_scope.cancel()


async def test_closed_while_somebody_waits() -> None:
    """For a name, as for a connection, and for a response: nothing is left of it."""

    async def serve(stream: trio.SocketStream) -> None:
        asked.set()
        await stream.receive_some()
        await trio.sleep_forever()

    class Slow(Names):
        async def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            asked.set()
            await trio.sleep_forever()

    trio.socket.set_custom_hostname_resolver(Slow())
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        port = listener.socket.getsockname()[1]
        for host in ("a.example", "127.0.0.1"):
            asked = trio.Event()
            fallback = DefaultFallback(TLSConfig(verify=False), httpx.Limits(), Everywhere())
            client = httpx.AsyncClient(transport=fallback, timeout=30)

            async def get(client: httpx.AsyncClient, url: str, ended: trio.Event) -> None:
                with pytest.raises(httpx.ReadError):
                    await client.get(url)
                ended.set()

            ended = trio.Event()
            nursery.start_soon(get, client, f"http://{host}:{port}/", ended)
            await asked.wait()
            await trio.testing.wait_all_tasks_blocked()
            await fallback.aclose()
            with trio.fail_after(5):
                await ended.wait()
            with pytest.raises(httpx.ConnectError, match="closed"):
                await client.get(f"http://{host}:{port}/")
        nursery.cancel_scope.cancel()
