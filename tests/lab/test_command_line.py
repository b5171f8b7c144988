"""`trioquic fetch` over real interfaces, one of which goes down."""

import hashlib
import subprocess
import sys

import trio

from tests.certificates import Certificates
from tests.programs import needs
from tests.servers.place import Wish

from .client import body
from .network import ROOT, open_lab
from .plan import CELLULAR, PORT, SERVER, WIFI
from .requirements import LAB
from .trial import server

pytestmark = [*LAB, needs("gtlsserver")]

SIZE = 3_000_000


async def test_a_file_arrives_over_two_networks(certs: Certificates) -> None:
    content = body(SIZE)
    (certs.directory / "fetched").write_bytes(content)
    options = ["--insecure", "--only-interface", WIFI.name, "--only-interface", CELLULAR.name]
    command = [sys.executable, "-m", "trioquic", "fetch", f"https://{SERVER}:{PORT}/fetched"]
    received = bytearray()
    said = bytearray()
    async with open_lab() as lab, server(lab, "gtlsserver", certs, certs.directory, Wish()):
        process = await trio.lowlevel.open_process(
            lab.inside(lab.client_space, [*command, *options]),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            cut = False
            async for chunk in process.stdout:
                received += chunk
                if not cut and len(received) > SIZE // 3:
                    await lab.down(WIFI.name)
                    cut = True
            async for chunk in process.stderr:
                said += chunk
            assert await process.wait() == 0, said.decode()
        finally:
            process.kill()
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()
    assert said.decode().startswith(f"moved from {WIFI.name} ({WIFI.client}) to {CELLULAR.name}")
