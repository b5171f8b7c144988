"""Figures: one event in one connection gives one sample, and says the bound that it should keep.

A pause is the longest time in which no byte reached the application, from the event to the end of
the transfer; in an upload, in which none left the send buffer because the server had acknowledged
it. The bounds are made of the links' round-trip times (`plan.py`) and, for a death that nobody
announces, of the active path's probe timeout as the client knew it just before.
"""

import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import trio

from tests.certificates import Certificates

from .network import Lab, Passage
from .plan import CELLULAR, WIFI
from .trial import STAY, Line, Trial, to_and_fro, trial

MEGABYTE: Final = 1_000_000
# Downloads; aioquic's congestion control needs a second for a megabyte.
SIZES: Final = {"aioquic": 4 * MEGABYTE, "gtlsserver": 10 * MEGABYTE}
UPLOAD: Final = 10 * MEGABYTE
# What an event may cost beside round trips
ALLOWANCE: Final = 0.05
HANDOVERS: Final = 20
_WAIT: Final = 2.0
_OUTAGE: Final = 5.0
_NO_PATH_TIMEOUT: Final = 2.0
_CHANCE = random.Random(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run gave. Seconds."""

    value: float
    bound: float
    late: float
    """How late the relay was with a packet, at the 99th percentile."""
    times: dict[str, float] = field(default_factory=dict)
    """Other times of interest."""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something to measure."""

    name: str
    what: str
    bound: str
    measure: Callable[[Certificates, str], Awaitable[Sample]]
    servers: tuple[str, ...] = ("aioquic", "gtlsserver")


# -- what is read off a run ------------------------------------------------------------------------


def longest_pause(outcome: Line, since: float, until: float = inf) -> float:
    """The longest pause that ended after a moment and began before another."""
    pauses: list[tuple[float, float]] = outcome["pauses"]
    return max(
        (length for length, end in pauses if end >= since and end - length <= until), default=0.0
    )


def end_of_pause(outcome: Line, since: float) -> float:
    """When the first pause ended that was there at a moment."""
    ends: Iterable[float] = (
        end for length, end in outcome["pauses"] if end - length <= since < end
    )
    return next(iter(ends))


def pto_at(here: Trial, at: float) -> float:
    """The active path's probe timeout as last told before a moment."""
    told = [line["pto"] for line in here.client.told if "pto" in line and line["at"] <= at]
    pto: float = told[-1]
    return pto


async def late(lab: Lab) -> float:
    answer: dict[str, Any] = await lab.tell("late")
    p99: float = answer["p99"]
    return p99


def first_answer(passages: Iterable[Passage], link: str, since: float) -> float:
    """How long after a moment the first datagram of the server came in over a link."""
    found = (p for p in passages if p.link == link and p.way == "down" and p.arrived > since)
    return min(p.arrived for p in found if p.fate == "delivered") - since


def repeated(passages: Iterable[Passage], size: int) -> int:
    """About how many full datagrams more than necessary brought `size` bytes of content."""
    full = [p.size for p in passages if p.way == "down" and p.fate == "delivered" and p.size > 1000]
    room = max(full) - _HEADERS
    return max(0, sum(full) - len(full) * _HEADERS - size) // room


# A 1-RTT packet's and a STREAM frame's header, and the tag, with either server
_HEADERS: Final = 35


def somewhere(here: Trial) -> int:
    """When the event comes: not always in the same phase of the transfer."""
    return int(_CHANCE.uniform(0.2, 0.5) * here.client.job.size)


def size_of(kind: str, task: str) -> int:
    return UPLOAD if task == "upload" else SIZES[kind]


# -- one link goes ---------------------------------------------------------------------------------


async def down_download(certs: Certificates, kind: str) -> Sample:
    return await _down(certs, kind, "download")


async def down_upload(certs: Certificates, kind: str) -> Sample:
    return await _down(certs, kind, "upload")


async def _down(certs: Certificates, kind: str, task: str) -> Sample:
    async with trial(certs, kind, task, size=size_of(kind, task)) as here:
        await here.client.reaches(somewhere(here))
        at = await here.lab.down(WIFI.name)
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=longest_pause(outcome, at, at + CELLULAR.rtt),
            bound=CELLULAR.rtt + ALLOWANCE,
            late=await late(here.lab),
            times={
                "first datagram": first_answer(await here.lab.passages(), CELLULAR.name, at),
            },
        )


async def silent_download(certs: Certificates, kind: str) -> Sample:
    return await _silent(certs, kind, "download")


async def silent_upload(certs: Certificates, kind: str) -> Sample:
    return await _silent(certs, kind, "upload")


async def _silent(certs: Certificates, kind: str, task: str) -> Sample:
    async with trial(certs, kind, task, size=size_of(kind, task)) as here:
        await here.client.reaches(somewhere(here))
        at = await here.lab.silence(WIFI.name)
        outcome = await here.client.finish()
        here.check(outcome)
        moved = [line["at"] for line in here.client.events("Migrated") if line["at"] > at]
        return Sample(
            value=longest_pause(outcome, at),
            bound=3 * pto_at(here, at) + CELLULAR.rtt,
            late=await late(here.lab),
            times={"moved after": moved[0] - at},
        )


async def silent_wait(certs: Certificates, kind: str) -> Sample:
    """The link dies in the last moments before the answer. What counts is how late that comes."""
    async with trial(certs, kind, "wait", size=1000, seconds=_WAIT) as here:
        asked = await here.client.line("asked")
        due = asked["at"] + _WAIT + WIFI.rtt
        await trio.sleep(_WAIT - _CHANCE.uniform(0.0, 0.3))
        at = await here.lab.silence(WIFI.name)
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=max(0.0, outcome["first"] - due),
            bound=3 * pto_at(here, at) + CELLULAR.rtt,
            late=await late(here.lab),
        )


# -- planned moves ---------------------------------------------------------------------------------


async def planned_download(certs: Certificates, kind: str) -> Sample:
    return await _planned(certs, kind, "download")


async def planned_upload(certs: Certificates, kind: str) -> Sample:
    return await _planned(certs, kind, "upload")


async def _planned(certs: Certificates, kind: str, task: str) -> Sample:
    """The move's pause is one that began within two round trips of it. Later ones come from the
    slow start on the new path, which fills its queue and overflows it as on any new connection."""
    async with trial(certs, kind, task, size=size_of(kind, task), policy=STAY) as here:
        await here.client.reaches(somewhere(here))
        at = await here.client.migrate(CELLULAR.name)
        moved = await here.client.line("moved")
        outcome = await here.client.finish()
        # the challenge that was answered just before the move
        validated = next(e for e in here.client.events("PathValidated") if e["at"] > at)
        here.check(outcome)
        soon = moved["at"] + 2 * CELLULAR.rtt
        if task == "download":
            counts = {"repeated datagrams": repeated(await here.lab.passages(), SIZES[kind])}
        else:
            paths = outcome["paths"]
            counts = {
                "lost": sum(path["packets_lost"] for path in paths),
                "spuriously": sum(path["spurious_losses"] for path in paths),
            }
        return Sample(
            value=longest_pause(outcome, at, soon),
            # a machine that stood still meanwhile shall not loosen it
            bound=min(validated["rtt"], 1.1 * CELLULAR.rtt),
            late=await late(here.lab),
            times={"later pauses": longest_pause(outcome, soon)},
            counts=counts,
        )


# -- both links go ---------------------------------------------------------------------------------


async def both_gone(certs: Certificates, kind: str) -> Sample:
    """What counts is when the server is heard again. The application waits longer: the server has
    to learn what was lost, and only an answer to its first new packet tells it."""
    async with trial(certs, kind, "download", size=3 * MEGABYTE) as here:
        await here.client.reaches(MEGABYTE)
        await here.lab.down(WIFI.name)
        await here.lab.down(CELLULAR.name)
        await here.client.event("WaitingForPath")
        await trio.sleep(_OUTAGE)
        at = await here.lab.up(CELLULAR.name)
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=first_answer(await here.lab.passages(), CELLULAR.name, at),
            bound=CELLULAR.rtt + ALLOWANCE,
            late=await late(here.lab),
            times={"bytes in order": end_of_pause(outcome, at) - at},
        )


async def gone_for_good(certs: Certificates, kind: str) -> Sample:
    """How long after the time that was set the error comes."""
    policy = {"no_path_timeout": _NO_PATH_TIMEOUT}
    async with trial(certs, kind, "download", size=3 * MEGABYTE, policy=policy) as here:
        await here.client.reaches(MEGABYTE)
        await here.lab.down(WIFI.name)
        at = await here.lab.down(CELLULAR.name)
        outcome = await here.client.finish()
        assert outcome["error"] == "NoPathError", outcome
        return Sample(
            value=outcome["at"] - at - _NO_PATH_TIMEOUT, bound=ALLOWANCE, late=await late(here.lab)
        )


# -- to and fro ------------------------------------------------------------------------------------


async def twenty_handovers(certs: Certificates, kind: str) -> Sample:
    size = 50 * MEGABYTE
    async with trial(certs, kind, "download", size=size, policy=STAY, settle=True) as here:
        ids = (await here.client.line("connected"))["ids"]
        await to_and_fro(here, HANDOVERS)
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=longest_pause(outcome, 0.0),
            bound=inf,
            late=await late(here.lab),
            counts={
                "connection IDs leaked": ids - outcome["ids"],
                "moves refused": len(here.client.events("MigrationRefused")),
            },
        )


FIGURES: Final = {
    figure.name: figure
    for figure in (
        Figure(
            name="down-download",
            what="Wi-Fi interface goes down, download",
            bound="cellular RTT + 50 ms",
            measure=down_download,
        ),
        Figure(
            name="down-upload",
            what="Wi-Fi interface goes down, upload",
            bound="cellular RTT + 50 ms",
            measure=down_upload,
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
        Figure(
            name="silent-wait",
            what="Wi-Fi dies silently, a request waits for its answer",
            bound="3 PTO + cellular RTT",
            measure=silent_wait,
            # gtlsserver cannot be made to wait
            servers=("aioquic",),
        ),
        Figure(
            name="planned-download",
            what="planned move to cellular, download",
            bound="cellular RTT as measured",
            measure=planned_download,
        ),
        Figure(
            name="planned-upload",
            what="planned move to cellular, upload",
            bound="cellular RTT as measured",
            measure=planned_upload,
        ),
        Figure(
            name="both-gone",
            what="both gone for 5 s, cellular returns: the server is heard again",
            bound="cellular RTT + 50 ms",
            measure=both_gone,
        ),
        Figure(
            name="gone-for-good",
            what="both gone for good: NoPathError after the time that was set",
            bound="50 ms",
            measure=gone_for_good,
        ),
        Figure(
            name="twenty",
            what=f"{HANDOVERS} handovers in a download of 50 MB, longest pause",
            bound="the bytes are right",
            measure=twenty_handovers,
            # aioquic needs a minute for as much
            servers=("gtlsserver",),
        ),
    )
}
