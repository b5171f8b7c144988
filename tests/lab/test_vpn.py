"""Nothing leaves a real tunnel, and an interface that was named is kept: a short form of
`make vpn-lab` (docs/testing.md)."""

import json
import subprocess
import sys

import pytest
import trio

from tests.programs import needs

from .network import ROOT
from .requirements import LAB_ANYWHERE
from .vpn import Result
from .vpn_world import SETUPS

# Routes and sockets are the same whether the core is compiled or not.
pytestmark = [*LAB_ANYWHERE, needs("gtlsserver"), pytest.mark.plain]

CONNECTIONS = 4


async def test_nothing_leaves_the_tunnel_and_named_interfaces_are_kept() -> None:
    """A default route, two halves of all addresses, and policy rules with a mark, each over IPv4
    and IPv6, with a preferred address, while the tunnel comes and goes."""
    found: dict[str, Result] = {}

    async def run(setup: str) -> None:
        command = [sys.executable, "-m", "tests.lab.vpn", "--here", setup]
        done = await trio.run_process(
            [*command, "--connections", str(CONNECTIONS)],
            cwd=ROOT,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
        found[setup] = Result(**json.loads(done.stdout))

    async with trio.open_nursery() as nursery:
        for setup in SETUPS:
            nursery.start_soon(run, setup)
    for setup in SETUPS:
        result = found[setup]
        assert result.broken() == [], result
        assert result.connections == result.named == result.early == CONNECTIONS, result
