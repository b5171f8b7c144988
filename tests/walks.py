"""The ways that data and decisions take through the package, as they are really taken.

A simulated phone is watched at a few places; what stands on the call stack there, from the runtime
down, are the hops: one for each file. So docs/architecture.md tells what is so.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED
from tests.supervisor.phone import phone
from trioquic._protocol.path.mover import Mover
from trioquic._protocol.path.preferred import PreferredAddress
from trioquic._protocol.path.prober import Prober
from trioquic._protocol.streams.table import StreamTable
from trioquic._runtime.waiting import StreamWaiters

PACKAGE = Path(trioquic.__file__).parent
MOST_HOPS = 12
Hops = list[str]


def hops(last: CodeType) -> Hops:
    """The files of the package on the call stack, from the task down, each once; then `last`."""
    found: dict[str, str] = {}
    frame: FrameType | None = sys._getframe(1)
    codes = [last]
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    for code in reversed(codes):
        path = Path(code.co_filename)
        if PACKAGE in path.parents and (PACKAGE / "testing") not in path.parents:
            found.setdefault(path.relative_to(PACKAGE).as_posix(), code.co_name)
    return [f"{name} ({function})" for name, function in found.items()]


class Watched:
    """The first walk to each place, since `clear`."""

    def __init__(self) -> None:
        self.walks: dict[str, Hops] = {}

    def clear(self) -> None:
        self.walks.clear()

    @contextmanager
    def at(self, owner: Any, name: str, label: str) -> Iterator[None]:
        """Note the stack whenever this method is called."""
        method: Any = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self.walks.setdefault(label, hops(method.__code__))
            return result

        setattr(owner, name, noted)
        try:
            yield
        finally:
            setattr(owner, name, method)


def together(*walks: Hops) -> Hops:
    """One after the other, each hop once."""
    return list(dict.fromkeys(hop for walk in walks for hop in _one_function_a_file(walks, walk)))


def _one_function_a_file(walks: tuple[Hops, ...], walk: Hops) -> Iterator[str]:
    first = {hop.partition(" ")[0]: hop for other in reversed(walks) for hop in reversed(other)}
    for hop in walk:
        yield first[hop.partition(" ")[0]]


async def _data() -> dict[str, Hops]:
    watched = Watched()
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        with (
            watched.at(StreamTable, "on_stream_untrusted", "frame"),
            watched.at(StreamWaiters, "wake", "wake"),
            watched.at(StreamTable, "read", "read"),
            watched.at(StreamTable, "write", "write"),
            watched.at(StreamTable, "write_frames", "frames"),
        ):
            await here.download(1000)
    walks = watched.walks
    return {
        "datagram to reader": together(walks["frame"], walks["wake"], walks["read"]),
        "write to socket": together(walks["write"], walks["frames"]),
    }


async def _interface_down() -> dict[str, Hops]:
    watched = Watched()
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        (standby,) = [path for path in here.conn.paths if path is not here.conn.active_path]
        socket = here.conn._paths.links[standby.id].socket
        with (
            watched.at(Mover, "migrate", "move"),
            watched.at(socket, "send_nowait", "packet"),
        ):
            here.world.wifi.down()
            await here.until(trioquic.Migrated)
    return {"interface down to move": together(watched.walks["move"], watched.walks["packet"])}


async def _preferred_address() -> dict[str, Hops]:
    watched = Watched()
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    with (
        watched.at(Prober, "on_response_untrusted", "answer"),
        watched.at(PreferredAddress, "on_moved", "moved"),
    ):
        async with phone(options=options) as here:
            await here.until(trioquic.Migrated)
    walks = watched.walks
    return {"preferred address to move": together(walks["answer"], walks["moved"])}


def record() -> dict[str, Hops]:
    """All walks, by name."""
    found: dict[str, Hops] = {}
    for walk in (_data, _interface_down, _preferred_address):
        found |= trio.run(walk, clock=trio.testing.MockClock(autojump_threshold=0))
    return found


def text() -> str:
    """The walks for docs/architecture.md."""
    lines = []
    for name, walk in record().items():
        lines += [f"From {name}:", ""]
        for number, hop in enumerate(walk, 1):
            file, _, function = hop.partition(" ")
            lines.append(f"{number}. `{file}` {function}")
        lines.append("")
    return "\n".join(lines[:-1])
