"""Ten httpx requests a second on a connection to which something happens; the short form of
`python -m tests.lab --servers caddy`."""

from functools import partial

from tests.certificates import Certificates
from tests.programs import needs

from .measure_pool import (
    Watched,
    interface_down,
    restart,
    silent_death,
    stop_client,
    suffer,
    udp_void,
    watched,
)
from .requirements import LAB

pytestmark = [*LAB, needs("caddy")]


async def test_no_request_fails_that_has_another_network(certs: Certificates) -> None:
    """None takes longer than 2.5 s. The server forbids migration, so connections are made anew."""
    for event in (silent_death, interface_down):
        async with watched(certs, settled=5) as here:
            sample = await suffer(here, event, seconds=1.5)
            assert sample.value <= sample.bound
            assert here.versions(0.0)[-1] == "HTTP/3"


async def test_no_request_fails_when_the_server_or_the_client_stands_still(
    certs: Certificates,
) -> None:
    """The client for longer than its read timeout. At last nothing but TCP passes: the fallback is
    used, and kept."""
    async with watched(certs, settled=5) as here:
        for event in (restart, partial(stop_client, seconds=5.5), udp_void):
            sample = await suffer(here, event, seconds=1.0)
            assert sample.value <= sample.bound
        assert await versions_of_the_next(here, 5) == ["HTTP/2"] * 5


async def versions_of_the_next(here: Watched, number: int) -> list[str]:
    """How the next requests travel."""
    before = len(here.requests)
    await here.watch(lambda _: len(here.requests) >= before + number)
    return [line["version"] for line in here.requests[before:]]
