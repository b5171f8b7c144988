"""Handshakes with real servers: each suite and group, Retry, HelloRetryRequest, certificates."""

from pathlib import Path

import pytest

import trioquic
from tests.certificates import Certificates
from tests.programs import needs
from tests.servers import gtlsserver, mlkem_server
from trioquic.config import CIPHER_SUITES, GROUPS

from .exchange import SERVERS, Download, alpn_of, check_handshake, connect, make_file, serve


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("name", CIPHER_SUITES)
async def test_each_cipher_suite(certs: Certificates, kind: str, name: str) -> None:
    suite, _ = await check_handshake(certs, kind, cipher_suites=[name])
    assert suite == name


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("name", [name for name in GROUPS if name != "X25519MLKEM768"])
async def test_each_group(certs: Certificates, kind: str, name: str) -> None:
    if kind == "aioquic" and name == "secp384r1":
        pytest.skip("aioquic has no P-384")
    _, group = await check_handshake(certs, kind, groups=[name])
    assert group == name


@pytest.mark.parametrize("retry", [False, True])
async def test_ml_kem(certs: Certificates, retry: bool) -> None:
    """The ClientHello has two datagrams, and the server answers each with a Retry if it wants."""
    async with (
        mlkem_server(certs.server, retry=retry) as server,
        connect(server, "hq-interop") as conn,
    ):
        assert conn.group == "X25519MLKEM768"
        assert conn.peer.retry == retry
        stream = await conn.open_stream()
        await stream.send_all(bytes(100_000))
        await stream.send_eof()
        assert b"".join([bytes(chunk) async for chunk in stream]) == bytes(100_000)


@pytest.mark.parametrize("kind", SERVERS)
async def test_retry(certs: Certificates, kind: str, tmp_path: Path) -> None:
    content = make_file(tmp_path, 10_000)
    options = {"options": ["--retry"]} if kind == "aioquic" else {"retry": True}
    async with (
        serve(kind, certs.server, root=tmp_path, **options) as server,
        connect(server, alpn_of(kind)) as conn,
    ):
        assert await Download(conn, "file-10000").run() == content
        assert conn.peer.retry


@needs("gtlsserver")
@pytest.mark.parametrize("name", ["SECP256R1", "SECP384R1"])
async def test_hello_retry_request(certs: Certificates, name: str, tmp_path: Path) -> None:
    """The first shares are X25519MLKEM768 and X25519; the server wants another and says so."""
    content = make_file(tmp_path, 10_000)
    async with (
        gtlsserver(certs.server, root=tmp_path, groups=name) as server,
        connect(server, "h3") as conn,
    ):
        assert conn.group == name.lower()
        assert await Download(conn, "file-10000").run() == content


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("identity", ["server", "rsa", "ed25519", "ecdsa_p384"])
async def test_kinds_of_server_keys(certs: Certificates, kind: str, identity: str) -> None:
    async with (
        serve(kind, getattr(certs, identity)) as server,
        connect(server, alpn_of(kind)) as conn,
    ):
        assert conn.peer_certificates


@pytest.mark.parametrize("kind", SERVERS)
async def test_long_certificate_chain(certs: Certificates, kind: str) -> None:
    """15 kB: the server must wait for us several times (RFC 9000 section 8.1)."""
    async with (
        serve(kind, certs.long_chain) as server,
        connect(server, alpn_of(kind)) as conn,
    ):
        assert sum(map(len, conn.peer_certificates)) >= 15_000


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(
    ("identity", "word"), [("wrong_name", "localhost"), ("expired", "expired"), ("untrusted", "")]
)
async def test_bad_certificates(certs: Certificates, kind: str, identity: str, word: str) -> None:
    async with serve(kind, getattr(certs, identity)) as server:
        with pytest.raises(trioquic.CertificateError) as caught:
            async with connect(server, alpn_of(kind)):
                pytest.fail("the block must not be entered")
        assert word in str(caught.value)


@pytest.mark.parametrize("kind", SERVERS)
async def test_fingerprint_pin(certs: Certificates, kind: str) -> None:
    """A pin accepts exactly one certificate, whoever issued it."""
    alpn = alpn_of(kind)
    async with serve(kind, certs.untrusted) as server:
        good = trioquic.TLSConfig(fingerprint=certs.untrusted.fingerprint)
        async with connect(server, alpn, tls=good) as conn:
            assert conn.alpn == alpn
        bad = trioquic.TLSConfig(fingerprint=certs.server.fingerprint)
        with pytest.raises(trioquic.CertificateError):
            async with connect(server, alpn, tls=bad):
                pytest.fail("the block must not be entered")


@pytest.mark.parametrize("kind", SERVERS)
async def test_wrong_alpn(certs: Certificates, kind: str) -> None:
    async with serve(kind, certs.server) as server:
        with pytest.raises(trioquic.AlpnError):
            async with connect(server, "no-such-protocol"):
                pytest.fail("the block must not be entered")


@pytest.mark.parametrize("kind", SERVERS)
async def test_ipv6(certs: Certificates, kind: str, tmp_path: Path) -> None:
    content = make_file(tmp_path, 10_000)
    async with (
        serve(kind, certs.server, root=tmp_path, host="::1") as server,
        connect(server, alpn_of(kind), server_name="::1") as conn,
    ):
        assert conn.active_path is not None
        assert conn.active_path.remote[0] == "::1"
        assert await Download(conn, "file-10000").run() == content


@pytest.mark.parametrize("kind", SERVERS)
async def test_keylog(certs: Certificates, kind: str, tmp_path: Path) -> None:
    log = tmp_path / "keys"
    tls = trioquic.TLSConfig(ca_file=certs.ca_file, keylog_file=log)
    async with serve(kind, certs.server) as server, connect(server, alpn_of(kind), tls=tls):
        labels = {line.split()[0] for line in log.read_text().splitlines()}
    assert labels >= {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    }
