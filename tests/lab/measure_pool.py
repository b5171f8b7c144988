"""What ten requests a second of an httpx client suffer when something happens to their connection.

The server is caddy 2.6, which forbids migration: the connection itself can do nothing, so the pool
has to. A figure is the longest time that a request took; in a run with a request that failed there
is none. A process that was stopped is not blamed for that time: its requests begin anew.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeAlias

import trio

from tests.certificates import Certificates
from tests.programs import program
from tests.servers.process import stop

from .lines import Lines
from .measure import Figure, Sample, late
from .network import ROOT, Lab, open_lab
from .plan import CELLULAR, PORT, SERVER, WIFI
from .pool_client import Job

LONGEST: Final = 2.5
"""The longest that a request may take, the first of its kind, in seconds."""
_CONTENT: Final = bytes(1000)
_STOPPED: Final = 60.0
_READY_TIMEOUT: Final = 20.0
_CADDYFILE: Final = """\
{{
    admin off
    auto_https off
    servers {{
        protocols h1 h2 h3
    }}
}}
https://:{port} {{
    bind {host}
    tls {cert} {key}
    root * {root}
    file_server
}}
"""

Line = dict[str, Any]


class Site:
    """caddy in the server's namespace; it can be killed and started again."""

    def __init__(self, lab: Lab, certs: Certificates) -> None:
        self._lab = lab
        root = certs.directory
        (root / "small").write_bytes(_CONTENT)
        config = root / "pool.caddy"
        identity = certs.named(SERVER)
        config.write_text(
            _CADDYFILE.format(
                port=PORT,
                host=SERVER,
                cert=identity.cert_file,
                key=identity.key_file,
                root=root,
            )
        )
        self._command = lab.inside(
            lab.server_space,
            [program("caddy"), "run", "--config", config, "--adapter", "caddyfile"],
        )
        self._env = {
            **os.environ,
            "HOME": str(root),
            "XDG_CONFIG_HOME": str(root),
            "XDG_DATA_HOME": str(root),
        }
        self._log = root / "pool.caddy.log"
        self._process: trio.Process

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = await trio.lowlevel.open_process(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env
            )
        with trio.fail_after(_READY_TIMEOUT):
            while not self._listens():
                assert self._process.poll() is None, self._log.read_text(errors="replace")
                await trio.sleep(0.01)

    def _listens(self) -> bool:
        lab, pid = self._lab, self._process.pid
        return all(lab.listens(pid, lab.server_space, table) for table in ("udp", "tcp"))

    async def kill(self) -> None:
        """No word to anybody."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """End it."""
        await stop(self._process)


@dataclass
class Watched:
    """The client at work, and the requests that have ended so far."""

    lab: Lab
    site: Site
    output: Lines
    requests: list[Line] = field(default_factory=list)
    awake_at: float = 0.0
    """When the client was let go on for the last time."""

    async def watch(self, until: Callable[[Line], bool]) -> Line:
        """Read on to the first request that meets the condition."""
        while True:
            line = await self.output.next()
            if line["what"] == "request":
                self.requests.append(line)
            if until(line):
                return line

    async def watch_for(self, seconds: float) -> None:
        """Read on for so long."""
        end = time.monotonic() + seconds
        await self.watch(lambda line: bool(line["at"] >= end))

    async def wait_for_all(self) -> None:
        """Read on until all requests have ended that were begun before now."""
        now = time.monotonic()
        await self.watch(lambda line: bool(line["oldest"] >= now))

    def failures(self) -> list[Line]:
        """The requests that failed."""
        return [line for line in self.requests if line["error"]]

    def longest(self, since: float) -> float:
        """The longest that a request took which ended after a moment."""
        taken: list[float] = [
            line["at"] - max(line["began"], self.awake_at)
            for line in self.requests
            if line["at"] >= since
        ]
        return max(taken)

    def versions(self, since: float) -> list[str]:
        """How the requests travelled that began after a moment, in their order."""
        requests = sorted(self.requests, key=lambda line: line["began"])
        return [line["version"] for line in requests if line["began"] >= since]


@asynccontextmanager
async def watched(certs: Certificates, *, settled: int = 15) -> AsyncIterator[Watched]:
    """A lab with a site and a client, after so many requests."""
    async with open_lab() as lab:
        site = Site(lab, certs)
        await site.start()
        try:
            job = Job(url=f"https://{SERVER}:{PORT}/small", ca_file=str(certs.ca_file))
            words = [sys.executable, "-m", "tests.lab.pool_client", json.dumps(asdict(job))]
            async with Lines.of(lab.inside(lab.client_space, words), cwd=ROOT) as output:
                here = Watched(lab, site, output)
                await here.watch(lambda _: len(here.requests) >= settled)
                assert here.requests[-1]["version"] == "HTTP/3", here.requests
                yield here
        finally:
            await site.stop()


# -- what happens ----------------------------------------------------------------------------------


Event: TypeAlias = Callable[[Watched], Awaitable[float]]
"""Does something, and returns when."""


async def interface_down(here: Watched) -> float:
    """The Wi-Fi goes, and the system knows."""
    return await here.lab.down(WIFI.name)


async def silent_death(here: Watched) -> float:
    """The Wi-Fi delivers nothing any more, and nobody knows."""
    return await here.lab.silence(WIFI.name)


async def restart(here: Watched) -> float:
    """The server is killed, and started again on the same port."""
    at = time.monotonic()
    await here.site.kill()
    await here.site.start()
    return at


async def udp_void(here: Watched) -> float:
    """Nothing but TCP passes, on any network."""
    for link in (WIFI, CELLULAR):
        answer = await here.lab.tell("void", link.name)
    at: float = answer["at"]
    return at


async def stop_client(here: Watched, seconds: float = _STOPPED) -> float:
    """The client is stopped for a while, as when a laptop's lid is closed. Returns when it goes on,
    as nobody has waited before."""
    # nsenter has become the client
    os.kill(here.output.pid, signal.SIGSTOP)
    await trio.sleep(seconds)
    os.kill(here.output.pid, signal.SIGCONT)
    here.awake_at = time.monotonic()
    return here.awake_at


async def suffer(here: Watched, event: Event, *, seconds: float) -> Sample:
    """What the requests suffer from an event, watched for so long: none may fail, and the longest
    counts."""
    at = await event(here)
    await here.watch_for(seconds)
    await here.wait_for_all()
    failures = here.failures()
    assert not failures, (len(failures), at, failures[:2])
    versions = Counter(here.versions(at))
    return Sample(
        value=here.longest(at),
        bound=LONGEST,
        late=await late(here.lab),
        counts={
            "requests": versions.total(),
            "around HTTP/3": versions.total() - versions["HTTP/3"],
        },
    )


def _figure(name: str, what: str, event: Event, bound: str = "2.5 s") -> Figure:
    async def measure(certs: Certificates, _: str) -> Sample:
        async with watched(certs) as here:
            return await suffer(here, event, seconds=12.0)

    return Figure(name=name, what=what, bound=bound, measure=measure, servers=("caddy",))


POOL_FIGURES: Final = {
    figure.name: figure
    for figure in (
        _figure("httpx-down", "Wi-Fi interface goes down, httpx", interface_down),
        _figure("httpx-silent", "Wi-Fi dies silently, httpx", silent_death),
        _figure("httpx-restart", "the server is killed and starts again, httpx", restart),
        _figure("httpx-void", "UDP is lost and TCP passes, httpx", udp_void),
        _figure(
            "httpx-stop",
            f"the client is stopped for {_STOPPED:.0f} s, httpx",
            stop_client,
            "2.5 s after it goes on",
        ),
    )
}
