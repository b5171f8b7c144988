"""The fallback over TCP does not leave a tunnel either."""

import subprocess
import sys

import pytest
import trio

from .network import ROOT
from .requirements import LAB_ANYWHERE

# httpx is never compiled
pytestmark = [*LAB_ANYWHERE, pytest.mark.plain]


async def test_nothing_of_the_fallback_leaves_the_tunnel() -> None:
    """An IPv4-only tunnel and a server with addresses of both families; then the tunnel goes."""
    done = await trio.run_process(
        [sys.executable, "-m", "tests.lab.vpn_fallback"],
        cwd=ROOT,
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
