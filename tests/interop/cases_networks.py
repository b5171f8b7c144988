"""Downloads in the lab: two links in network namespaces, of which one goes away or falls silent.

Needs root. Wi-Fi has a round trip of 50 ms and cellular one of 80 ms, at 20 Mbit/s.
"""

import os
from pathlib import Path
from typing import Any, Final

import trio

from tests.lab.measure import longest_pause
from tests.lab.plan import CELLULAR, WIFI
from tests.lab.trial import SEND_BUFFER, STAY, Trial, trial
from tests.programs import find_program

from .bench import Bench
from .cases_transfer import MEGABYTE
from .outcome import Lacking
from .servers import COLUMNS

_SIZE: Final = 6 * MEGABYTE
_HALF: Final = _SIZE // 3
# For planned moves
_LONG: Final = 10 * MEGABYTE
_ROUNDS: Final = 3
_LONGEST_WAIT: Final = 30.0


def why_no_lab() -> str | None:
    """The reason of what is skipped without namespaces."""
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        return "needs root and /dev/net/tun"
    missing = [name for name in ("ip", "nsenter") if find_program(name) is None]
    return f"missing program: {missing[0]}" if missing else None


def _trial(bench: Bench, size: int = _SIZE, **options: Any) -> Any:
    """A download by the bench's server."""
    transport = {"send_buffer": SEND_BUFFER, "idle_timeout": 20.0}
    return trial(
        bench.certs,
        bench.name,
        "download",
        size=size,
        transport=transport,
        qlog_dir=bench.traces,
        **options,
    )


async def planned(bench: Bench) -> str:
    """`migrate()` to the network with the longer way, in the middle of a download, again and again.
    What is left to be sent takes nginx longer than it takes it to give a path up."""
    wrong = [text for _ in range(_ROUNDS) if (text := await _planned_once(bench))]
    assert not wrong, f"{len(wrong)} of {_ROUNDS} went wrong: {wrong[0]}"
    return f"{_ROUNDS} of {_ROUNDS} moved, and the downloads came to their end"


async def _planned_once(bench: Bench) -> str:
    """What went wrong with a planned move, if anything did."""
    async with _trial(bench, size=_LONG, policy=STAY) as here:
        await here.client.reaches(_HALF)
        asked = await here.client.migrate(CELLULAR.name)
        answer = await here.client.until(lambda line: line["what"] in ("moved", "not moved"))
        outcome = await here.client.finish()
        if outcome["what"] == "failed":
            after = f"{outcome['at'] - asked:.1f} s after the move was asked for"
            return f"`{outcome['error']}` {after}: {outcome['text']}"
        here.check(outcome)
        if answer["what"] == "moved":
            return ""
        if "MigrationNotAllowedError" in answer["reason"]:
            text = "it forbids migration: `MigrationNotAllowedError`"
            raise Lacking(f"{text}, and the download goes on where it is")
        return f"not moved: {answer['reason']}; the download is complete"


async def _outlive(bench: Bench, here: Trial, at: float) -> str:
    """What becomes of the download after its link was taken away at a moment."""
    with trio.move_on_after(_LONGEST_WAIT) as scope:
        outcome = await here.client.finish()
    assert not scope.cancelled_caught, f"no end within {_LONGEST_WAIT:.0f} s"
    if outcome["what"] == "failed":
        text = f"`{outcome['error']}` after {outcome['at'] - at:.1f} s: {outcome['text']}"
        if COLUMNS[bench.name].forbids_migration:
            raise Lacking(f"it forbids migration; the download ends with {text}")
        raise AssertionError(text)
    here.check(outcome)
    return f"stood still for {longest_pause(outcome, at) * 1000:.0f} ms"


async def interface_down(bench: Bench) -> str:
    """The interface in use is switched off."""
    async with _trial(bench) as here:
        await here.client.reaches(_HALF)
        return await _outlive(bench, here, await here.lab.down(WIFI.name))


async def silent_death(bench: Bench) -> str:
    """The network in use loses everything, and nobody is told."""
    async with _trial(bench) as here:
        await here.client.reaches(_HALF)
        return await _outlive(bench, here, await here.lab.silence(WIFI.name))
