"""A small world for demonstrations: a server, a file, and two access links of one client.

All on loopback, each part in a process of its own. The links are a relay's (relay.py); the client
takes one or the other by its local address.
"""

import datetime
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trioquic.networks import InterfaceKind

NAME = "demo.trioquic.example"
FILE = "download.bin"


@dataclass(frozen=True, slots=True)
class Access:
    """One way of the client into the network, called like its kind."""

    name: InterfaceKind
    local: str
    mbit: float
    rtt_ms: float


@dataclass(frozen=True, slots=True)
class Child:
    """A program of this world that said where it listens."""

    process: trio.Process
    host: str
    port: int

    async def say(self, line: str) -> None:
        """Give a command and wait until the program repeats it: then it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        await self.process.stdin.send_all(f"{line}\n".encode())
        await read_line(self.process.stdout)


@dataclass(frozen=True, slots=True)
class World:
    """What a demonstration needs to know."""

    relay: Child
    fingerprint: bytes
    size: int
    sha256: str

    async def cut(self, access: Access) -> None:
        """From now on nothing gets through, either way, and nobody is told."""
        await self.relay.say(f"cut {access.local}")


def make_certificate(directory: Path) -> tuple[Path, Path, bytes]:
    """A self-signed certificate; the client trusts exactly this one, by its SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file, certificate.fingerprint(hashes.SHA256())


async def read_line(stream: trio.abc.ReceiveStream) -> str:
    said = b""
    while not said.endswith(b"\n"):
        chunk = await stream.receive_some()
        if not chunk:
            raise RuntimeError("the program has ended")
        said += chunk
    return said.decode()


@asynccontextmanager
async def child(module: str, arguments: Sequence[str]) -> AsyncIterator[Child]:
    """Run one of this package's programs until the end of the block."""
    command = [sys.executable, "-m", module, *arguments]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with trio.fail_after(20):
            host, port = (await read_line(process.stdout)).split()[-2:]
        yield Child(process, host, int(port))
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()


@asynccontextmanager
async def build_world(size: int, accesses: Sequence[Access]) -> AsyncIterator[World]:
    """A server with a random file of `size` bytes, behind one link for each access."""
    with TemporaryDirectory(prefix="trioquic-") as folder:
        directory = Path(folder)
        data = os.urandom(size)
        (directory / FILE).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        del data
        cert_file, key_file, fingerprint = make_certificate(directory)
        files = ["--certificate", str(cert_file), "--key", str(key_file), "--root", folder]
        async with child("examples.hq_server", files) as server:
            links = [f"--link={a.local}={a.mbit}:{a.rtt_ms}" for a in accesses]
            target = ["--target", f"{server.host}:{server.port}"]
            async with child("examples.relay", [*target, *links]) as relay:
                yield World(relay, fingerprint, size, digest)
