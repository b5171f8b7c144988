"""The lab as a test sees it: where programs run, links to disturb, packets to look at."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import trio

from tests.programs import program

from .lines import Lines
from .plan import LINKS, PORT, way_back

ROOT = Path(__file__).parent.parent.parent


class Passage(NamedTuple):
    """A UDP datagram that went over a link, or did not. Times are those of `time.monotonic()`."""

    at: float
    due: float
    """When the link delivers it; 0 if it does not."""
    arrived: float
    link: str
    way: str
    """`up`: from the client to the server; `down`."""
    source: tuple[str, int]
    destination: tuple[str, int]
    size: int
    connection_id: str
    """The beginning of the destination connection ID; empty during the handshake."""
    fate: str
    """`delivered`, or why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A running lab. Everything in it ends with the block it was made for."""

    relay: Lines
    shell: trio.Process
    """An `ip` inside the client's namespace that carries out one line after the other."""
    client_space: str
    server_space: str

    def inside(self, space: str, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        """The command line that runs a command in a namespace."""
        return [program("nsenter"), f"--net={space}", *(os.fspath(part) for part in command)]

    @staticmethod
    def listens(process: int, space: str, table: str) -> bool:
        """Whether somebody in the namespace has a socket with the server's port in a `table` of
        /proc/net. As long as the process has not entered it, the table would be that of the tests,
        where others may have such a socket."""
        if not os.path.samefile(f"/proc/{process}/ns/net", space):
            return False
        lines = Path(f"/proc/{process}/net/{table}").read_text().splitlines()
        return any(line.split()[1].endswith(f":{PORT:04X}") for line in lines[1:])

    async def tell(self, *words: str) -> dict[str, Any]:
        """A command for the relay; see there."""
        return await self.relay.ask(" ".join(words))

    async def ip(self, *lines: str) -> float:
        """Lines for `ip` in the client's namespace. Returns the time they were given to it."""
        assert self.shell.stdin is not None
        now = time.monotonic()
        await self.shell.stdin.send_all("".join(f"{line}\n" for line in lines).encode())
        return now

    async def down(self, interface: str) -> float:
        """Switch an interface off."""
        return await self.ip(f"link set {interface} down")

    async def up(self, interface: str) -> float:
        """Switch it on again, with its route, as whoever manages the network would."""
        return await self.ip(
            f"link set {interface} up", f"route replace {way_back(LINKS[interface])}"
        )

    async def lose_address(self, interface: str) -> float:
        """Take the interface's address away; it stays up."""
        return await self.ip(f"address del {LINKS[interface].client}/24 dev {interface}")

    async def regain_address(self, interface: str) -> float:
        """Give it back."""
        plan = LINKS[interface]
        return await self.ip(
            f"address add {plan.client}/24 dev {interface}", f"route replace {way_back(plan)}"
        )

    async def silence(self, interface: str) -> float:
        """The link loses everything from now on, and nobody is told."""
        answer = await self.tell("silent", interface)
        at: float = answer["at"]
        return at

    async def passages(self) -> list[Passage]:
        """All datagrams so far."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "trace"
            await self.tell("trace", str(path))
            rows = json.loads(path.read_bytes())
        return [Passage._make([*row[:5], tuple(row[5]), tuple(row[6]), *row[7:]]) for row in rows]


def linkable_ids(passages: Iterable[Passage]) -> dict[str, set[tuple[str, str]]]:
    """Connection IDs that somebody who watches several links could recognise (section 9.5): those
    that the client used on more than one pair of link and address."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for passage in passages:
        if passage.way == "up" and passage.connection_id:
            seen.setdefault(passage.connection_id, set()).add((passage.link, passage.source[0]))
    return {name: places for name, places in seen.items() if len(places) > 1}


@asynccontextmanager
async def open_lab(*, ipv6: bool = False) -> AsyncIterator[Lab]:
    """Two namespaces, two links. Needs root and /dev/net/tun."""
    words = [sys.executable, "-m", "tests.lab.relay", *(["--ipv6"] if ipv6 else [])]
    async with Lines.of(words, cwd=ROOT) as relay:
        spaces = await relay.next()
        command = [program("nsenter"), f"--net={spaces['client']}", program("ip"), "-batch", "-"]
        shell = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE)
        try:
            yield Lab(
                relay=relay,
                shell=shell,
                client_space=spaces["client"],
                server_space=spaces["server"],
            )
        finally:
            with trio.CancelScope(shield=True):
                assert shell.stdin is not None
                await shell.stdin.aclose()
                await shell.wait()
