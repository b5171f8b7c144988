"""An address of an interface behind the default route: what is sent from there leaves there.

The simulated network sends by the source address; real systems send by the destination."""

import json
import subprocess
import sys

import pytest

from .network import ROOT
from .requirements import LAB_ANYWHERE

pytestmark = [*LAB_ANYWHERE, pytest.mark.plain]

# Nobody answers; what counts is where the datagrams leave.
SCRIPT = """
import json, trio, trioquic
from tests.lab.vpn_world import PORT, SERVERS, VpnWorld

LOCAL = {4: "198.19.2.2", 6: "2001:db8:2::2"}

async def main():
    world = VpnWorld("default")
    sent = {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.count_for_ever)
        for version, local in LOCAL.items():
            world.sent.clear()
            try:
                async with trioquic.open_connection(
                    SERVERS[version], PORT, alpn=["x"], local=local,
                    transport=trioquic.TransportConfig(handshake_timeout=0.4),
                ):
                    pass
            except trioquic.HandshakeError:
                pass
            await trio.sleep(0.05)
            sent[version] = sorted(name for name, count in world.sent.items() if count)
        nursery.cancel_scope.cancel()
    print(json.dumps(sent))

trio.run(main)
"""


def test_the_interface_that_owns_the_address_is_used() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"4": ["eth1"], "6": ["eth1"]}
