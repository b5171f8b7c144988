"""All downloads of one command: each into its file at once, or to standard output in turn."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio

from .._checks import without_password
from ..http3.client.settings import Settings
from . import failures
from .connections import Connections, Watched
from .console import host_and_port
from .failures import FetchError
from .progress import Display
from .sink import Sink
from .transfer import Transfer

_MOST_AT_ONCE: Final = 100


@dataclass(slots=True, kw_only=True)
class Job:
    """One URL and where its content goes; later, what became of it."""

    url: str
    sink: Sink
    transfer: Transfer | None = None
    seconds: float = 0.0
    error: str | None = None
    exit_code: int = 0

    def failed(self, exit_code: int, text: str) -> None:
        self.exit_code, self.error = exit_code, text

    @property
    def complaint(self) -> str | None:
        """What went wrong, for people: with the URL that was asked for, and with the one where it
        failed if redirects led there."""
        if self.error is None:
            return None
        where = [without_password(self.url)]
        if self.transfer is not None and self.transfer.progress.redirects:
            where.append(f"redirected to {self.transfer.progress.url}")
        return ": ".join([*where, self.error])

    def summary(self) -> dict[str, Any]:
        """The result, for programs."""
        assert self.transfer is not None
        done = self.error is None
        return {
            "url": without_password(self.url),
            "final_url": self.transfer.progress.url,
            "status": self.transfer.progress.status,
            "output": self.sink.name,
            "bytes": self.transfer.progress.received,
            "seconds": self.seconds,
            "sha256": self.sink.sha256 if done else None,
            "resumed": self.transfer.progress.resumed,
            "restarted": self.transfer.progress.restarted,
            "error": self.error,
            "exit_code": self.exit_code,
        }


async def fetch_all(
    jobs: Sequence[Job],
    settings: Settings,
    shown: Display,
    retries: int,
    redirects: int,
    verbose: bool = False,
) -> list[dict[str, Any]]:
    """Do all jobs; returns what became of the connections."""
    connections = Connections(settings, shown.tell, trio.current_time(), verbose=verbose)
    async with connections.opened(), trio.open_nursery() as nursery:
        for job in jobs:
            job.transfer = Transfer(
                job.url, job.sink, connections, retries=retries, redirects=redirects
            )
        nursery.start_soon(shown.follow, [job.transfer for job in jobs if job.transfer is not None])
        limit = trio.CapacityLimiter(_MOST_AT_ONCE)
        async with trio.open_nursery() as working:
            for turn in {job.sink.turn for job in jobs}:
                together = [job for job in jobs if job.sink.turn == turn]
                if turn is not None:
                    working.start_soon(_one_after_the_other, together)
                    continue
                for job in together:
                    working.start_soon(_limited, job, limit)
        results = [_result(one) for one in connections.all if one.quic.handshake_complete]
        nursery.cancel_scope.cancel()
    return results


def _result(connection: Watched) -> dict[str, Any]:
    """What became of a connection, for programs."""
    handovers = connection.handovers
    handovers.settle()
    return {
        "origin": f"https://{host_and_port(*connection.origin)}",
        "resumed": connection.quic.resumed,
        "early_data": connection.quic.early_data.name.lower(),
        "handovers": [dataclasses.asdict(handover) for handover in handovers.all],
        "paths": handovers.statistics,
    }


async def _one_after_the_other(jobs: Sequence[Job]) -> None:
    for job in jobs:
        await _do(job)


async def _limited(job: Job, limit: trio.CapacityLimiter) -> None:
    async with limit:
        await _do(job)


async def _do(job: Job) -> None:
    assert job.transfer is not None
    began = trio.current_time()
    try:
        await job.sink.open()
        await job.transfer.run()
        await job.sink.finish()
    except FetchError as error:
        job.failed(error.exit_code, str(error))
    except (OSError, UnicodeError) as error:
        # UnicodeError: a name that this system's files cannot have
        job.failed(failures.WRITING, str(error))
    finally:
        job.seconds = trio.current_time() - began
        job.sink.discard()
