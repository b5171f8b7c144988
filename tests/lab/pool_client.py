"""The program under test: an httpx client that asks for a small file ten times a second.

    python -m tests.lab.pool_client JOB

JOB is JSON, see `Job`. What is written: one line of JSON for each request when it has ended, with
the time it was begun and that of the oldest one still under way; `done` at the end. Times are those
of `time.monotonic()`, which all processes of a machine share. The end of standard input ends it,
after the requests that are under way.
"""

import json
import sys
import time
from dataclasses import dataclass
from typing import Final

import httpx
import trio

import trioquic
from tests.lab.plan import NOT_TUNNELS
from trioquic.httpx import HTTP3Transport

_PERIOD: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to ask for. Everything else is as users get it who do not choose."""

    url: str
    ca_file: str
    idle_timeout: float | None = None
    """For tests that have no half minute."""


def tell(what: str, **facts: object) -> None:
    """One line of output."""
    sys.stdout.write(json.dumps({"what": what, "at": time.monotonic(), **facts}) + "\n")
    sys.stdout.flush()


async def get(client: httpx.AsyncClient, url: str, under_way: set[float]) -> None:
    """One request."""
    began = time.monotonic()
    under_way.add(began)
    version, error, size = "", "", 0
    try:
        response = await client.get(url)
        version, size = response.http_version, len(response.content)
        if response.status_code != 200:
            error = f"status {response.status_code}"
    except httpx.HTTPError as failure:
        error = f"{failure!r} because of {failure.__cause__!r}"
    under_way.remove(began)
    oldest = min(under_way, default=time.monotonic())
    tell("request", began=began, version=version, size=size, error=error, oldest=oldest)


async def run(job: Job) -> None:
    """Ask until the input ends."""
    ended = trio.Event()
    under_way: set[float] = set()

    async def listen() -> None:
        async with trio.lowlevel.FdStream(0) as stream:
            async for _ in stream:
                pass
        ended.set()

    config = trioquic.TransportConfig()
    if job.idle_timeout is not None:
        config = trioquic.TransportConfig(idle_timeout=job.idle_timeout)
    transport = HTTP3Transport(
        tls=trioquic.TLSConfig(ca_file=job.ca_file),
        transport=config,
        migration=trioquic.MigrationPolicy(not_tunnels=NOT_TUNNELS),
    )
    async with httpx.AsyncClient(transport=transport) as client, trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        while not ended.is_set():
            nursery.start_soon(get, client, job.url, under_way)
            with trio.move_on_after(_PERIOD):
                await ended.wait()
    tell("done")


if __name__ == "__main__":
    trio.run(run, Job(**json.loads(sys.argv[1])))
