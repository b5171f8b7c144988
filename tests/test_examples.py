"""The examples run, say what they should, and fail when they should."""

import argparse
import hashlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio

import trioquic
from examples import options
from examples.demo import ACCESSES, Download, check
from examples.world import Child, World, child
from tests.certificates import Certificates
from tests.programs import needs
from tests.servers import aioquic_server, caddy, gtlsserver

PROJECT = Path(__file__).parent.parent
PATIENCE = 10.0


async def run(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """A Python program in the project's folder, with its output."""
    return await trio.run_process(
        [sys.executable, *arguments],
        cwd=PROJECT,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )


async def test_the_demo_moves_and_checks_the_sum(tmp_path: Path) -> None:
    picture = tmp_path / "handover.svg"
    result = await run("-m", "examples.demo", "--megabytes", "8", "--picture", str(picture))
    output = result.stdout.decode()
    assert result.returncode == 0, output + result.stderr.decode()
    assert "wifi is cut" in output
    assert "moved from wifi (127.0.0.1) to cellular (127.0.0.2)" in output
    assert "the gap was" in output
    assert "SHA-256 matches" in output
    drawn = await trio.Path(picture).read_text()
    assert "from wifi to cellular: " in drawn and "8.0 MB received" in drawn


@pytest.mark.parametrize(
    ("received", "cut", "moves", "local", "complaint"),
    [
        (b"data", 0, 1, "127.0.0.2", None),
        (b"dat", 0, 1, "127.0.0.2", "3 bytes of 4"),
        (b"dada", 0, 1, "127.0.0.2", "SHA-256"),
        (b"data", None, 0, "127.0.0.1", "not cut"),
        (b"data", 0, 0, "127.0.0.1", "did not move"),
        (b"data", 0, 2, "127.0.0.1", "still on wifi"),
    ],
)
async def test_the_demo_sees_what_went_wrong(
    received: bytes, cut: int | None, moves: int, local: str, complaint: str | None
) -> None:
    world = cast("World", SimpleNamespace(size=4, sha256=hashlib.sha256(b"data").hexdigest()))
    path = cast("trioquic.Path", SimpleNamespace(local=(local, 1)))
    download = Download(4, cut=None if cut is None else ACCESSES[cut], moves=moves)
    download.add(received)
    wrong = check(world, download, path)
    assert wrong == [] if complaint is None else complaint in wrong[0]


async def test_the_quickstart_downloads(certs: Certificates, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"contents" * 10_000)
    async with aioquic_server(certs.server, root=tmp_path) as server:
        arguments = ["-m", "examples.quickstart", server.host, str(server.port), "/file"]
        result = await run(*arguments, str(server.ca_file))
        assert result.returncode == 0, result.stderr
        assert hashlib.sha256(result.stdout).digest() == (
            hashlib.sha256(b"contents" * 10_000).digest()
        )


@needs("gtlsserver")
async def test_a_download_over_http3_that_moves(certs: Certificates, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"contents" * 1_000_000)
    async with gtlsserver(certs.server, root=tmp_path) as server:
        url = f"https://localhost:{server.port}/file"
        arguments = ["-m", "examples.http3_download", url, "--cafile", str(server.ca_file)]
        result = await run(*arguments, "--moves", "2")
        assert result.returncode == 0, result.stderr
        assert result.stdout.decode().strip() == (
            hashlib.sha256(b"contents" * 1_000_000).hexdigest()
        )
        assert result.stderr.count(b"Migrated(") == 2


@needs("caddy")
async def test_a_download_over_http3_that_may_not_move(certs: Certificates, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"contents" * 100_000)
    async with caddy(certs.server, root=tmp_path) as server:
        url = f"https://localhost:{server.port}/file"
        arguments = ["-m", "examples.http3_download", url, "--cafile", str(server.ca_file)]
        result = await run(*arguments, "--moves", "3")
        assert result.returncode == 1
        assert b"MigrationNotAllowedError: " in result.stderr.splitlines()[-1]
        assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("url", ["localhost/file", "http://localhost/file", "https://localhost:x/"])
async def test_a_url_that_the_download_does_not_take(url: str) -> None:
    result = await run("-m", "examples.http3_download", url)
    assert result.returncode == 2
    assert url.encode() in result.stderr and b"Traceback" not in result.stderr


@needs("gtlsserver")
async def test_many_urls_at_once(certs: Certificates, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"file{number}").write_bytes(b"%d" % number * 100_000)
    async with gtlsserver(certs.server, root=tmp_path) as server:
        urls = [f"https://localhost:{server.port}/file{number}" for number in range(3)]
        arguments = ["-m", "examples.fetch_all", *urls, "--cafile", str(server.ca_file)]
        result = await run(*arguments)
        assert result.returncode == 0, result.stderr
        lines = sorted(result.stdout.decode().splitlines(), key=lambda line: line[-1])
        for number, line in enumerate(lines):
            status, _, size, digest, url = line.split()
            assert (status, size, url) == ("200", "100000", urls[number])
            assert digest == hashlib.sha256(b"%d" % number * 100_000).hexdigest()
        assert result.stderr == b"over 1 connections\n"
        result = await run(*arguments[:-2])
        assert result.returncode == 1
        assert result.stderr.count(b"CertificateError") == 3


async def test_the_quickstart_reports_an_untrusted_server(certs: Certificates) -> None:
    async with aioquic_server(certs.untrusted) as server:
        arguments = ["-m", "examples.quickstart", server.host, str(server.port), "/3"]
        result = await run(*arguments, str(server.ca_file))
        assert result.returncode == 1
        assert result.stdout == b""
        assert b"CertificateError" in result.stderr
        assert b"Traceback" not in result.stderr


@asynccontextmanager
async def echo_behind_a_relay(*links: str) -> AsyncIterator[Child]:
    """A UDP socket that sends everything back, behind examples/relay.py."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as server:
        await server.bind(("127.0.0.1", 0))
        target = f"--target=127.0.0.1:{server.getsockname()[1]}"

        async def echo() -> None:
            while True:
                data, address = await server.recvfrom(2048)
                await server.sendto(data + b" from " + address[0].encode(), address)

        async with (
            trio.open_nursery() as nursery,
            child("examples.relay", [target, *(f"--link={link}" for link in links)]) as relay,
        ):
            nursery.start_soon(echo)
            yield relay
            nursery.cancel_scope.cancel()


async def ask(sock: trio.socket.SocketType, data: bytes, patience: float = PATIENCE) -> bytes:
    await sock.send(data)
    with trio.move_on_after(patience):
        return await sock.recv(2048)
    return b""


@asynccontextmanager
async def client(relay: Child, local: str) -> AsyncIterator[trio.socket.SocketType]:
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind((local, 0))
        await sock.connect((relay.host, relay.port))
        yield sock


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no 127.0.0.2 by default")
async def test_the_relay_delays_and_cuts_by_address() -> None:
    async with echo_behind_a_relay("127.0.0.1=100:30", "127.0.0.2=100:2") as relay:
        async with client(relay, "127.0.0.1") as wifi, client(relay, "127.0.0.2") as cellular:
            started = trio.current_time()
            assert await ask(wifi, b"a") == b"a from 127.0.0.1"
            assert trio.current_time() - started >= 0.030
            assert await ask(cellular, b"b") == b"b from 127.0.0.2"
            await relay.say("cut 127.0.0.1")
            assert await ask(wifi, b"c", patience=0.1) == b""
            assert await ask(cellular, b"d") == b"d from 127.0.0.2"
            await relay.say("mend 127.0.0.1")
            assert await ask(wifi, b"e") == b"e from 127.0.0.1"


def test_control_c_is_one_line() -> None:
    """Also where it comes while a connection's task runs, and others use that connection."""

    async def main(_: argparse.Namespace) -> None:
        ended = trio.Event()

        async def connection() -> None:
            try:
                signal.raise_signal(signal.SIGINT)
                await trio.sleep_forever()
            finally:
                ended.set()

        async def user() -> None:
            await ended.wait()
            raise trio.ClosedResourceError

        async with trio.open_nursery() as nursery:
            nursery.start_soon(user)
            nursery.start_soon(connection)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert options.run(main, argparse.Namespace()) == "interrupted"
    finally:
        signal.signal(signal.SIGINT, before)
