"""Figures of a server with several workers, which a new client port may lead astray: nginx.

The kernel gives each four-tuple to one of the workers, and only one knows the connection. So a
probe from a new port is answered by the right one in one case of four, and by a stateless reset
otherwise. What counts is that every download comes to its end, and how long it stands still.
"""

from typing import Any, Final

from tests.certificates import Certificates

from .measure import MEGABYTE, Figure, Sample, late, longest_pause, somewhere
from .plan import WIFI
from .trial import trial

_SIZE: Final = 6 * MEGABYTE
_BOUND: Final = 2.0
WORKERS: Final = ("nginx1", "nginx4", "nginx4-sid")


async def _down(certs: Certificates, kind: str, policy: dict[str, Any]) -> Sample:
    async with trial(certs, kind, "download", size=_SIZE, policy=policy) as here:
        await here.client.reaches(somewhere(here))
        at = await here.lab.down(WIFI.name)
        outcome = await here.client.finish()
        here.check(outcome)
        return Sample(
            value=longest_pause(outcome, at, at + _BOUND),
            bound=_BOUND,
            late=await late(here.lab),
            counts={"moves": len(here.client.events("Migrated"))},
        )


async def down(certs: Certificates, kind: str) -> Sample:
    return await _down(certs, kind, {})


async def leap(certs: Certificates, kind: str) -> Sample:
    """Without a standby path: the worst case, in which connection IDs may run out."""
    return await _down(certs, kind, {"standby": 0})


WORKER_FIGURES: Final = {
    figure.name: figure
    for figure in (
        Figure(
            name="nginx-down",
            what="Wi-Fi interface goes down, several workers",
            bound="2 s",
            measure=down,
            servers=WORKERS,
        ),
        Figure(
            name="nginx-leap",
            what="the same without a standby path",
            bound="2 s",
            measure=leap,
            servers=WORKERS,
        ),
    )
}
