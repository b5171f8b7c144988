"""One connection of the program under test, to one server, inside a lab of its own."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import trio

from tests.certificates import Certificates
from tests.servers.kinds import HQ, KINDS
from tests.servers.place import Launch, Place, Wish
from tests.servers.process import standing_behind, stop
from trioquic import CloseCause

from .client import Job, body
from .lines import ChildEndedError, Lines
from .network import ROOT, Lab, open_lab
from .one_door import host_with_one_door
from .plan import CELLULAR, PORT, PREFERRED, SERVER, WIFI, LinkPlan

_READY_TIMEOUT = 20.0
# Twice what is under way when a link is full, so that an upload never waits for the application.
SEND_BUFFER = 512 << 10
# The lab decides where the connection belongs.
POLICY = {"interfaces": [WIFI.name, CELLULAR.name]}
# A machine that keeps the server waiting for longer than a PTO is no reason to move.
CALM = {"switches_per_minute": 0}
# The lab alone moves it.
STAY = {**CALM, "move_back_after": inf}

Line = dict[str, Any]


@dataclass
class Client:
    """The program under test, and what it has told so far."""

    output: Lines
    job: Job
    told: list[Line] = field(default_factory=list)

    async def until(self, condition: Callable[[Line], bool]) -> Line:
        """Read on to the first line that meets the condition."""
        while True:
            try:
                line = await self.output.next()
            except ChildEndedError as error:
                raise AssertionError(f"{error}; {self._last_words()}") from error
            self.told.append(line)
            if condition(line):
                return line

    def _last_words(self) -> str:
        """The last of what was told, but for progress; the statistics of the end are long."""
        words = [str(line)[:300] for line in self.told if line["what"] != "progress"]
        return "its last words:\n" + "\n".join(words[-20:])

    async def event(self, kind: str, **facts: object) -> Line:
        """The next path event of a kind with these facts."""
        return await self.until(
            lambda line: line.get("kind") == kind and facts.items() <= line.items()
        )

    async def happens(self, link: LinkPlan, kind: str, **facts: object) -> Line:
        """The next event of a kind on a path over this link."""
        while True:
            line = await self.event(kind, **facts)
            if line["path"].startswith(link.client):
                return line

    async def line(self, what: str) -> Line:
        """The next line of a sort."""
        return await self.until(lambda line: line["what"] == what)

    async def reaches(self, size: int) -> Line:
        """Progress beyond so many bytes."""
        return await self.until(lambda line: line["what"] == "progress" and line["bytes"] >= size)

    async def finish(self) -> Line:
        """The last line, `done` or `failed`."""
        return await self.until(lambda line: line["what"] in ("done", "failed"))

    def events(self, kind: str) -> list[Line]:
        """The path events of a kind so far."""
        return [line for line in self.told if line.get("kind") == kind]

    async def migrate(self, interface: str) -> float:
        """Ask for a planned move. Returns when."""
        await self.output.say(f"migrate {interface}")
        return time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A lab with a server and a client at work."""

    lab: Lab
    client: Client
    digest: str
    """SHA-256 of the file that is to be had."""

    def check(self, outcome: Line) -> None:
        """The exchange came to its end and the bytes are right."""
        assert outcome["what"] == "done", outcome
        job = self.client.job
        if job.task == "download":
            assert outcome["bytes"] == job.size
            assert outcome["sha256"] == self.digest
        elif job.task == "upload" and job.alpn == HQ:
            expected = hashlib.sha256(body(job.size)).hexdigest()
            assert outcome["answer"] == f"{job.size} {expected}"


@asynccontextmanager
async def server(
    lab: Lab, kind: str, certs: Certificates, root: Path, wish: Wish
) -> AsyncIterator[None]:
    """One of the servers in the server's namespace."""
    place = Place(identity=certs.server, files=root, host=SERVER, port=PORT)
    async with AsyncExitStack() as stack:
        launch = stack.enter_context(KINDS[kind].launch(place, wish))
        space = lab.server_space
        if kind == "picoquic":
            space = await stack.enter_async_context(host_with_one_door(lab))
        behind = standing_behind(launch, root / "behind.log", partial(lab.inside, space))
        await stack.enter_async_context(behind)
        await stack.enter_async_context(_running(lab, space, kind, launch, root))
        yield


@asynccontextmanager
async def _running(
    lab: Lab, space: str, kind: str, launch: Launch, root: Path
) -> AsyncIterator[None]:
    log = root / f"{kind}.log"
    with log.open("wb") as file:
        process = await trio.lowlevel.open_process(
            lab.inside(space, launch.command),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **launch.env},
        )
    try:
        with trio.fail_after(_READY_TIMEOUT):
            while not any(lab.listens(process.pid, space, table) for table in ("udp", "udp6")):
                assert process.poll() is None, log.read_text(errors="replace")
                await trio.sleep(0.01)
        yield
    finally:
        await stop(process)


@asynccontextmanager
async def trial(
    certs: Certificates,
    kind: str,
    task: str,
    *,
    size: int = 0,
    seconds: float = 0.0,
    policy: dict[str, Any] | None = None,
    transport: dict[str, Any] | None = None,
    settle: bool = False,
    metered: Sequence[str] = (),
    wish: Wish = Wish(),  # noqa: B008 - frozen
    qlog_dir: Path | None = None,
    ipv6: bool = False,
    prepare: Callable[[Lab], Awaitable[object]] | None = None,
) -> AsyncIterator[Trial]:
    """Everything up to the moment when the connection is confirmed. `prepare` may change the lab
    before the client begins."""
    root = certs.directory
    name = f"file-{size}"
    digest = ""
    if task == "download":
        content = body(size)
        digest = hashlib.sha256(content).hexdigest()
        (root / name).write_bytes(content)
    traced = {} if qlog_dir is None else {"qlog_dir": str(qlog_dir)}
    job = Job(
        host=SERVER,
        port=PORT,
        ca_file=str(certs.ca_file),
        alpn=KINDS[kind].alpn,
        task=task,
        size=size,
        name=name,
        seconds=seconds,
        policy={**POLICY, **(policy or {})},
        transport={**(transport or {"send_buffer": SEND_BUFFER}), **traced},
        settle=settle,
        metered=list(metered),
    )
    async with open_lab(ipv6=ipv6) as lab, server(lab, kind, certs, root, wish):
        if prepare is not None:
            await prepare(lab)
        words = [sys.executable, "-m", "tests.lab.client", json.dumps(asdict(job))]
        async with Lines.of(lab.inside(lab.client_space, words), cwd=ROOT) as output:
            client = Client(output, job)
            yield Trial(lab=lab, client=client, digest=digest)


def preferred_address(*addresses: tuple[str, int]) -> Wish:
    """For a gtlsserver that has preferred addresses, one of a family at most."""
    flags = [
        f"--preferred-ipv6-addr=[{host}]:{port}"
        if ":" in host
        else f"--preferred-ipv4-addr={host}:{port}"
        for host, port in addresses or ((PREFERRED, PORT),)
    ]
    return Wish(options=tuple(flags))


async def to_and_fro(here: Trial, handovers: int) -> None:
    """Spread so many handovers evenly over the first two thirds of a download, so that a busy
    machine does not get it to its end before the last of them."""
    for number in range(handovers):
        await here.client.reaches((number + 1) * here.client.job.size * 2 // (3 * handovers))
        await _hand_over(here, number)


async def _hand_over(here: Trial, number: int) -> None:
    """From one link to the other: twice because the interface in use goes down, twice because the
    application wants it, and so on."""
    old, new = (WIFI, CELLULAR) if number % 2 == 0 else (CELLULAR, WIFI)
    goes_down = number % 4 in (1, 2)
    if goes_down:
        await here.lab.down(old.name)
    else:
        await here.client.migrate(new.name)
    moved = await here.client.event("Migrated")
    assert moved["new"].startswith(new.client), moved
    if goes_down:
        await here.lab.up(old.name)
    elif number % 4 == 0:
        # what the application has left is given up after a while, for another port
        await here.client.happens(old, "PathClosed", cause=str(CloseCause.LEFT))
    else:
        return
    # the next move needs it: from a path that is not proven the connection may well go back
    await here.client.happens(old, "PathValidated")
