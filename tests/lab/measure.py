"""Figures: one event in one connection gives one sample, and says the bound that it should keep.

A pause is the longest time in which no byte reached the application, from the event to the end of
the transfer. The bounds are made of the links' round-trip times (`plan.py`) and, for a death that
nobody announces, of the active path's probe timeout as the client knew it just before.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.certificates import Certificates

from .plan import CELLULAR, WIFI
from .trial import Line, Trial, trial

MEGABYTE = 1_000_000
# What an event may cost beside round trips
ALLOWANCE = 0.05
UPLOAD = {"send_buffer": 256 << 10}
_CHANCE = random.Random(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run gave. Seconds."""

    value: float
    bound: float
    late: float
    """How late the relay was with a packet, at the 99th percentile."""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something to measure."""

    name: str
    what: str
    bound: str
    measure: Callable[[Certificates, str], Awaitable[Sample]]
    servers: tuple[str, ...] = ("aioquic", "gtlsserver")


def longest_pause(outcome: Line, since: float) -> float:
    """The longest pause that ended after a moment."""
    pauses: list[tuple[float, float]] = outcome["pauses"]
    return max((length for length, end in pauses if end >= since), default=0.0)


def pto_at(here: Trial, at: float) -> float:
    """The active path's probe timeout as last told before a moment."""
    told = [line["pto"] for line in here.client.told if "pto" in line and line["at"] <= at]
    pto: float = told[-1]
    return pto


async def late(here: Trial) -> float:
    answer: dict[str, Any] = await here.lab.tell("late")
    p99: float = answer["p99"]
    return p99


async def interface_down(certs: Certificates, kind: str) -> Sample:
    async with trial(certs, kind, "download", size=10 * MEGABYTE) as here:
        await here.client.reaches(_some_megabytes())
        at = await here.lab.down(WIFI.name)
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=longest_pause(outcome, at), bound=CELLULAR.rtt + ALLOWANCE, late=await late(here)
        )


async def silent_download(certs: Certificates, kind: str) -> Sample:
    return await _silent(certs, kind, "download", {})


async def silent_upload(certs: Certificates, kind: str) -> Sample:
    return await _silent(certs, kind, "upload", UPLOAD)


async def _silent(certs: Certificates, kind: str, task: str, transport: dict[str, Any]) -> Sample:
    async with trial(certs, kind, task, size=10 * MEGABYTE, transport=transport) as here:
        await here.client.reaches(_some_megabytes())
        at = await here.lab.silence(WIFI.name)
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=longest_pause(outcome, at),
            bound=3 * pto_at(here, at) + CELLULAR.rtt,
            late=await late(here),
        )


def _some_megabytes() -> int:
    """When the event comes: not always in the same phase of the transfer."""
    return int(_CHANCE.uniform(2, 5) * MEGABYTE)


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(
            name="down",
            what="Wi-Fi interface goes down, download",
            bound="cellular RTT + 50 ms",
            measure=interface_down,
        ),
        Figure(
            name="silent-download",
            what="Wi-Fi dies silently, download",
            bound="3 PTO + cellular RTT",
            measure=silent_download,
        ),
        Figure(
            name="silent-upload",
            what="Wi-Fi dies silently, upload",
            bound="3 PTO + cellular RTT",
            measure=silent_upload,
        ),
    )
}
