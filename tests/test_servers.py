"""The servers that other tests rely on do what their fixtures say, asked by other people's clients.

When a test of trioquic against one of them fails and these pass, the fault is on our side.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.certificates import Certificates
from tests.programs import needs, program
from tests.servers import Server, ServerFailedError, aioquic_server, caddy, gtlsserver
from tests.servers.process import running

pytestmark = pytest.mark.plain

# aioquic's client needs asyncio, so it runs in a process of its own: commands in, answers out.
AIOQUIC_CLIENT = """
import asyncio, sys
from aioquic.asyncio.client import connect
from aioquic.quic.configuration import QuicConfiguration

async def main(host, port, ca_file, alpn, *commands):
    configuration = QuicConfiguration(alpn_protocols=[alpn], server_name="localhost")
    configuration.load_verify_locations(ca_file)
    async with connect(host, int(port), configuration=configuration) as client:
        async def ask(command):
            reader, writer = await client.create_stream()
            writer.write(command.encode())
            writer.write_eof()
            return await reader.read()
        for answer in await asyncio.gather(*map(ask, commands)):
            sys.stdout.buffer.write(answer + b"\\n")

asyncio.run(main(*sys.argv[1:]))
"""


async def ask(server: Server, *commands: str, alpn: str = "hq-interop") -> bytes:
    command = [sys.executable, "-c", AIOQUIC_CLIENT, server.host, str(server.port)]
    command += [str(server.ca_file), alpn, *commands]
    result = await trio.run_process(command, capture_stdout=True)
    stdout = result.stdout
    assert isinstance(stdout, bytes)
    return stdout


async def fetch_with_gtlsclient(server: Server, path: str, directory: Path) -> bytes:
    uri = f"https://localhost:{server.port}/{path}"
    command = [program("gtlsclient"), "--quiet", "--exit-on-all-streams-close"]
    command += [f"--download={directory}", server.host, str(server.port), uri]
    await trio.run_process(command, capture_stdout=True, capture_stderr=True)
    return (directory / path).read_bytes()


async def test_aioquic_answers_its_commands(certs: Certificates, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"contents")
    async with aioquic_server(certs.server, root=tmp_path) as server:
        sink = f"5 {hashlib.sha256(b'hello').hexdigest()}"
        answer = await ask(
            server, "GET /file\r\n", "GET /255\r\n", "ECHO\r\nhello", "SINK\r\nhello", "UPDATE\r\n"
        )
        pattern = bytes(range(251)) + bytes(range(4))
        assert answer == b"contents\n" + pattern + f"\nhello\n{sink}\nupdated\n".encode()


async def test_aioquic_joins_two_streams(certs: Certificates) -> None:
    async with aioquic_server(certs.server) as server:
        assert await ask(server, "JOIN a\r\none", "JOIN a\r\ntwo") == b"two\none\n"


@pytest.mark.parametrize("kind", ["server", "rsa", "ed25519", "ecdsa_p384", "long_chain"])
async def test_every_good_certificate_satisfies_aioquic(certs: Certificates, kind: str) -> None:
    options = ["--retry", "--cipher", "CHACHA20_POLY1305_SHA256"]
    async with aioquic_server(getattr(certs, kind), options=options, alpn=["x", "y"]) as server:
        assert await ask(server, "GET /3\r\n", alpn="y") == b"\0\1\2\n"


@pytest.mark.parametrize("kind", ["wrong_name", "expired", "untrusted"])
async def test_no_bad_certificate_satisfies_aioquic(certs: Certificates, kind: str) -> None:
    async with aioquic_server(getattr(certs, kind)) as server:
        with pytest.raises(subprocess.CalledProcessError):
            await ask(server, "GET /3\r\n")


async def test_aioquic_listens_on_ipv6(certs: Certificates) -> None:
    async with aioquic_server(certs.server, host="::1") as server:
        assert await ask(server, "GET /1\r\n") == b"\0\n"


@needs("gtlsserver")
@needs("gtlsclient")
async def test_gtlsserver_serves_files(certs: Certificates, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"contents" * 1000)
    async with gtlsserver(certs.server, root=root, retry=True, ciphers="AES-256-GCM") as server:
        assert await fetch_with_gtlsclient(server, "file", tmp_path) == b"contents" * 1000
        assert len(await fetch_with_gtlsclient(server, "2000000", tmp_path)) == 2_000_000


@needs("gtlsserver")
@needs("gtlsclient")
async def test_gtlsserver_asks_for_another_group(certs: Certificates, tmp_path: Path) -> None:
    async with gtlsserver(certs.server, groups="SECP384R1") as server:
        assert len(await fetch_with_gtlsclient(server, "100", tmp_path)) == 100


@needs("caddy")
@needs("gtlsclient")
async def test_caddy_serves_files(certs: Certificates, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"contents" * 1000)
    async with caddy(certs.server, root=root) as server:
        assert await fetch_with_gtlsclient(server, "file", tmp_path) == b"contents" * 1000


async def test_a_server_that_does_not_start_is_an_error(certs: Certificates) -> None:
    with pytest.raises(ServerFailedError, match="planted"):
        async with running(
            lambda _: [sys.executable, "-c", "raise SystemExit('planted')"],
            host="127.0.0.1",
            ca_file=certs.ca_file,
            log_file=certs.directory / "fails.log",
        ):
            raise AssertionError("entered the block")
