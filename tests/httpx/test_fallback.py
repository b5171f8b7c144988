"""The default fallback believes whom HTTP/3 believes."""

import ssl
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certificates import Certificates
from trioquic import TLSConfig
from trioquic.httpx._fallback import DefaultFallback, ssl_context
from trioquic.httpx._tcp import Way


def roots(context: ssl.SSLContext) -> set[bytes]:
    """The certificates that are trusted, in DER."""
    return set(context.get_ca_certs(binary_form=True))


def der(file: Path) -> bytes:
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)


def test_given_roots_replace_the_public_ones(certs: Certificates, tmp_path: Path) -> None:
    one, other = der(certs.ca_file), der(certs.other_ca_file)
    in_der = tmp_path / "ca.der"
    in_der.write_bytes(one)
    for config, expected in (
        (TLSConfig(ca_file=certs.ca_file), {one}),
        (TLSConfig(ca_file=in_der), {one}),
        (TLSConfig(ca_data=certs.ca_data), {one}),
        (TLSConfig(ca_data=certs.ca_data.decode()), {one}),
        (TLSConfig(ca_data=one), {one}),
        (TLSConfig(ca_file=certs.ca_file, ca_data=other), {one, other}),
    ):
        context = ssl_context(config)
        assert roots(context) == expected
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_the_public_roots() -> None:
    assert len(roots(ssl_context(TLSConfig()))) > 50


def test_nobody_is_asked_for_a_certificate() -> None:
    context = ssl_context(TLSConfig(verify=False))
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_a_certificate_of_ones_own(certs: Certificates, tmp_path: Path) -> None:
    cert, key = certs.client.cert_file, certs.client.key_file
    ssl_context(TLSConfig(client_cert=cert, client_key=key))
    with pytest.raises(ssl.SSLError):
        ssl_context(TLSConfig(client_cert=cert, client_key=certs.server.key_file))
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    ssl_context(TLSConfig(client_cert=both))


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


class Everywhere:
    """All addresses may be used."""

    def ways(self, host: str, remotes: Sequence[str]) -> list[Way]:
        return [Way(remote, None) for remote in remotes]

    def holds(self, host: str) -> bool:
        return False


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
        timeout = httpx.Timeout(10, connect=0.2)
        async with httpx.AsyncClient(transport=fallback, timeout=timeout) as client:
            async with trio.open_nursery() as waiting:
                async with client.stream("GET", url):
                    waiting.start_soon(client.get, url)
                    await trio.sleep(0.5)
            with pytest.raises(httpx.PoolTimeout):
                async with client.stream("GET", url):
                    await client.get(url, timeout=httpx.Timeout(10, connect=0.2, pool=0.1))
        nursery.cancel_scope.cancel()
