"""`trioquic check` says where a server looks as if it had several workers behind one address."""

import pytest
import trio
import trio.testing

from tests.runtime.world import phone_world
from tests.sim_server import PORT, ServerOptions
from tests.sim_workers import Strangers, Workers
from tests.sim_world import SERVER
from trioquic import TLSConfig
from trioquic.cli.check import _document, _table
from trioquic.cli.console import output
from trioquic.cli.probe import MOST_IN_A_ROW, Findings, MoveResult, check_server

WORKED = MoveResult(worked=True)
SILENT = MoveResult(reason="no answer to PATH_CHALLENGE")
FORBIDDEN = MoveResult(reason="the server sent disable_active_migration")


async def examined(options: ServerOptions) -> Findings:
    async with phone_world(options, ipv6=False):
        trust = TLSConfig(verify=False)
        return await check_server(SERVER, PORT, alpn=["hq-interop"], tls=trust, patience=5.0)


def hint(found: Findings) -> bool:
    console = output()
    with console.capture() as capture:
        console.print(_table("server", found, verified=True))
    told = " ".join(capture.get().split())
    assert _document(found, verified=True)["several_workers"] == found.several_workers
    assert ("several workers behind one address" in told) == ("docs/limits.md" in told)
    return "several workers behind one address" in told


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strangers", ["reset", "alien", "drop"])
async def test_strangers_are_told_of(
    autojump_clock: trio.testing.MockClock, strangers: Strangers, seed: int
) -> None:
    found = await examined(ServerOptions(workers=Workers(4, strangers, seed)))
    some = [found.new_port, *found.interfaces.values()]
    worked = [move for move in some if move is not None and move.worked]
    if strangers == "drop" and (not worked or (found.moves_in_a_row or 0) > 2):
        # nothing tells it from a server that follows nowhere, or a few times only
        return
    assert hint(found)


async def test_one_worker_is_none_of_several(autojump_clock: trio.testing.MockClock) -> None:
    found = await examined(ServerOptions())
    assert found.moves_in_a_row == MOST_IN_A_ROW
    assert not hint(found)


@pytest.mark.parametrize(
    ("found", "several"),
    [
        (Findings(new_port=WORKED, moves_in_a_row=0, stopped_by=SILENT.reason), True),
        (Findings(new_port=WORKED, moves_in_a_row=2, stopped_by=SILENT.reason), True),
        (Findings(new_port=SILENT, interfaces={"lo": WORKED}), True),
        (Findings(new_port=SILENT, strangers=1), True),
        # msquic follows five times
        (Findings(new_port=WORKED, moves_in_a_row=4, stopped_by=SILENT.reason), False),
        (Findings(new_port=WORKED, moves_in_a_row=1, stopped_by="too many moves"), False),
        (Findings(new_port=WORKED, interfaces={"lo": SILENT}, moves_in_a_row=8), False),
        (Findings(new_port=SILENT, interfaces={"lo": SILENT}), False),
        (Findings(new_port=FORBIDDEN, interfaces={"lo": FORBIDDEN}), False),
        (Findings(), False),
    ],
)
def test_what_looks_like_several(found: Findings, several: bool) -> None:
    assert found.several_workers == several
