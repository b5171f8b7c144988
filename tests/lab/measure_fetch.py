"""What a download of `trioquic fetch` suffers when its connection cannot be saved.

The server is caddy 2.6, which forbids migration, and knows nothing of a connection after a restart.
A figure is the longest time without content from the event on; a time in which nothing could come
(the server was away, the client stopped, UDP lost) does not count.
"""

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from tests.certificates import Certificates

from .client import body
from .measure import MEGABYTE, Figure, Sample, late
from .measure_pool import Site
from .network import ROOT, Lab, open_lab
from .plan import CELLULAR, NO_VPN, PORT, SERVER, WIFI

SIZE: Final = 10 * MEGABYTE
_AWAY: Final = 1.0
_LOST: Final = 5.0
_STOPPED: Final = 60.0
# The longest pauses, and the longest after what could not be helped; seconds
DOWN: Final = 1.5
SILENT: Final = 3.0
AFTER: Final = 2.5
_CHUNK: Final = 1 << 16


@dataclass
class Download:
    """The command at work, and when how much of the content had come."""

    lab: Lab
    site: Site
    process: trio.Process
    content: bytes
    received: bytearray = field(default_factory=bytearray)
    times: list[float] = field(default_factory=list)
    said: bytearray = field(default_factory=bytearray)

    async def reaches(self, size: int) -> None:
        """Read on until so much has come."""
        assert self.process.stdout is not None
        while len(self.received) < size:
            chunk = await self.process.stdout.receive_some(_CHUNK)
            assert chunk, await self._words()
            self.received += chunk
            self.times.append(time.monotonic())

    async def finish(self) -> None:
        """All of it came, and it is right."""
        await self.reaches(len(self.content))
        words = await self._words()
        assert await self.process.wait() == 0, words
        assert hashlib.sha256(self.received).digest() == hashlib.sha256(self.content).digest()

    async def _words(self) -> str:
        assert self.process.stderr is not None
        async for chunk in self.process.stderr:
            self.said += chunk
        return self.said.decode()

    def longest_pause(self, at: float, possible: float) -> float:
        """The longest time without content from `at` on, of which what is before `possible` does
        not count."""
        before = [moment for moment in self.times if moment <= at]
        after = [moment for moment in self.times if moment > at]
        moments = [before[-1], *after]
        return max(
            later - (earlier if later <= possible else max(earlier, possible))
            for earlier, later in itertools.pairwise(moments)
        )


@asynccontextmanager
async def download(certs: Certificates, size: int, *options: str) -> AsyncIterator[Download]:
    """A lab with a site, and the command in the middle of a download."""
    content = body(size)
    (certs.directory / "big").write_bytes(content)
    command = [sys.executable, "-m", "trioquic", "fetch", f"https://{SERVER}:{PORT}/big"]
    command += ["--cafile", str(certs.ca_file), "--no-sessions", *NO_VPN, *options]
    async with open_lab() as lab:
        site = Site(lab, certs)
        await site.start()
        process = await trio.lowlevel.open_process(
            lab.inside(lab.client_space, command),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            here = Download(lab, site, process, content)
            await here.reaches(size // 4)
            yield here
        finally:
            process.kill()
            await site.stop()


BOTH: Final = ("--interface", WIFI.name, "--interface", CELLULAR.name)


# -- what happens; each tells when, and from when on content could come again ---------------------

Happening = Callable[[Download], Awaitable[tuple[float, float]]]


async def interface_down(here: Download) -> tuple[float, float]:
    """The Wi-Fi goes, and the system knows."""
    at = await here.lab.down(WIFI.name)
    return at, at


async def silent_death(here: Download) -> tuple[float, float]:
    """The Wi-Fi delivers nothing any more, and nobody knows."""
    at = await here.lab.silence(WIFI.name)
    return at, at


async def restart(here: Download) -> tuple[float, float]:
    """The server is killed, and is there again a second later on the same port."""
    at = time.monotonic()
    await here.site.kill()
    await trio.sleep(_AWAY)
    await here.site.start()
    return at, time.monotonic()


async def udp_lost(here: Download) -> tuple[float, float]:
    """Nothing passes for a while, on any network."""
    at = await here.lab.silence(WIFI.name)
    await here.lab.silence(CELLULAR.name)
    await trio.sleep(_LOST)
    await here.lab.tell("deliver", WIFI.name)
    answer = await here.lab.tell("deliver", CELLULAR.name)
    return at, answer["at"]


async def stopped(here: Download) -> tuple[float, float]:
    """The client is stopped for a minute, as when a laptop's lid is closed."""
    at = time.monotonic()
    os.kill(here.process.pid, signal.SIGSTOP)
    await trio.sleep(_STOPPED)
    os.kill(here.process.pid, signal.SIGCONT)
    return at, time.monotonic()


async def suffer(certs: Certificates, happening: Happening, bound: float, *, size: int) -> Sample:
    """The pause that an event causes in a download."""
    async with download(certs, size, *BOTH) as here:
        at, possible = await happening(here)
        await here.finish()
        return Sample(
            value=here.longest_pause(at, possible),
            bound=bound,
            late=await late(here.lab),
            counts={"new connections": here.said.count(b"going on with")},
        )


def _figure(name: str, what: str, happening: Happening, bound: float) -> Figure:
    async def measure(certs: Certificates, _: str) -> Sample:
        return await suffer(certs, happening, bound, size=SIZE)

    return Figure(
        name=f"fetch-{name}",
        what=f"{what}, `trioquic fetch`",
        bound=f"{bound:g} s",
        measure=measure,
        servers=("caddy",),
    )


FETCH_FIGURES: Final = {
    figure.name: figure
    for figure in (
        _figure("down", "Wi-Fi interface goes down", interface_down, DOWN),
        _figure("silent", "Wi-Fi dies silently", silent_death, SILENT),
        _figure("restart", "the server starts again, 1 s later", restart, AFTER),
        _figure("lost", "nothing passes for 5 s", udp_lost, AFTER),
        _figure("stop", "the client is stopped for 60 s", stopped, AFTER),
    )
}
