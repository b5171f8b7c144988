"""A host behind the lab's server namespace, with the server's address and one interface.

The lab's server has an interface for each link of the client's. picoquic answers by the one that
the first packet came in on, whatever the routes say, so it needs to live where there is only one,
as servers do: the namespace becomes its router.
"""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from tests.programs import program
from tests.servers.process import stop

from .network import Lab
from .plan import SERVER

_ROUTER: Final = "198.18.1.1"
_HOST: Final = "198.18.1.2"


@asynccontextmanager
async def host_with_one_door(lab: Lab) -> AsyncIterator[str]:
    """The host's namespace; it goes with the process that lives in it for this block."""
    words = [program("unshare"), "--net", "sh", "-c", "echo inside; exec cat"]
    dweller = await trio.lowlevel.open_process(
        lab.inside(lab.server_space, words), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    space = f"/proc/{dweller.pid}/ns/net"
    try:
        assert dweller.stdout is not None
        assert await dweller.stdout.receive_some()
        outside = (
            f"link add inside type veth peer name eth0 netns {dweller.pid}",
            f"address add {_ROUTER}/30 dev inside",
            "link set inside up",
            f"address del {SERVER}/32 dev lo",
            f"route add {SERVER}/32 via {_HOST} onlink dev inside",
        )
        inside = (
            "link set lo up",
            f"address add {SERVER}/32 dev eth0",
            f"address add {_HOST}/30 dev eth0",
            "link set eth0 up",
            f"route add default via {_ROUTER}",
        )
        await _ip(lab, lab.server_space, outside)
        await _ip(lab, space, inside)
        forward = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        await trio.run_process(lab.inside(lab.server_space, forward))
        yield space
    finally:
        await stop(dweller)


async def _ip(lab: Lab, space: str, lines: tuple[str, ...]) -> None:
    command = lab.inside(space, [program("ip"), "-batch", "-"])
    await trio.run_process(command, stdin="".join(f"{line}\n" for line in lines).encode())
