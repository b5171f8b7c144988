"""All downloads of one command: each into its file at once, or to standard output in turn."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import trio

from ..http3.client.settings import Settings
from ..http3.url import host_and_port
from .connections import Connections
from .handovers import WatchedConnection
from .progress import Display
from .transfer import Job, Transfer

_MOST_AT_ONCE: Final = 100


async def fetch_all(
    jobs: Sequence[Job],
    settings: Settings,
    shown: Display,
    retries: int,
    redirects: int | None,
    verbose: bool = False,
) -> list[dict[str, Any]]:
    """Do all jobs; returns what became of the connections."""
    connections = Connections(settings, shown.tell, trio.current_time(), verbose=verbose)
    limit = trio.CapacityLimiter(_MOST_AT_ONCE)

    async def one_after_the_other(some: Sequence[Job]) -> None:
        for job in some:
            await Transfer(job, connections, retries=retries, redirects=redirects).run()

    async def limited(job: Job) -> None:
        async with limit:
            await one_after_the_other([job])

    async with connections.opened(), trio.open_nursery() as nursery:
        nursery.start_soon(shown.follow, jobs)
        async with trio.open_nursery() as working:
            for turn in {job.sink.turn for job in jobs}:
                together = [job for job in jobs if job.sink.turn == turn]
                if turn is not None:
                    working.start_soon(one_after_the_other, together)
                    continue
                for job in together:
                    working.start_soon(limited, job)
        results = [_result(one) for one in connections.all if one.quic.handshake_complete]
        nursery.cancel_scope.cancel()
    return results


def _result(connection: WatchedConnection) -> dict[str, Any]:
    """What became of a connection, for programs."""
    connection.settle()
    return {
        "origin": f"https://{host_and_port(*connection.origin)}",
        "resumed": connection.quic.resumed,
        "early_data": connection.quic.early_data.name.lower(),
        "handovers": [dataclasses.asdict(handover) for handover in connection.handovers],
        "paths": connection.statistics,
    }
