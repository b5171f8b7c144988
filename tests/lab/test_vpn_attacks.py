"""Whatever the network does, not one datagram leaves beside a VPN: those of the attacks that are
most unlike what test_vpn.py does. `make vpn-lab` has all of them (vpn_attacks.py)."""

import json

import pytest
import trio

from tests.programs import needs

from .network import ROOT
from .requirements import LAB_ANYWHERE
from .vpn_attacks import Outcome, command

# Routes and sockets are the same whether the core is compiled or not.
pytestmark = [*LAB_ANYWHERE, needs("gtlsserver"), pytest.mark.plain]

NAMES = (
    "flapping rules",
    "one port's",
    "IPv6 beside",
    "unnumbered",
    "old Linux",
    "in mid-handshake",
)


async def test_nothing_leaves_by_what_a_network_may_do() -> None:
    found: dict[str, Outcome] = {}

    async def run(name: str) -> None:
        done = await trio.run_process(
            command(name), cwd=ROOT, capture_stdout=True, capture_stderr=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        found[name] = Outcome(**json.loads(done.stdout))

    async with trio.open_nursery() as nursery:
        for name in NAMES:
            nursery.start_soon(run, name)
    for outcome in found.values():
        assert outcome.broken() == [], outcome
