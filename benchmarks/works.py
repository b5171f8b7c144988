"""What is measured: the works, the figures that are read off them, and the bars."""

from collections.abc import Callable
from dataclasses import dataclass

from .link import ROUND_TRIP
from .task import ETHERNET, Figures

EVERYBODY = ("compiled", "plain", "qh3", "gtlsclient", "aioquic")
OURS = ("compiled", "plain")
LIBRARIES = ("compiled", "plain", "qh3", "aioquic")
WORST_LOSS = 0.01
# Direction, share that is lost, and a size that takes 10 to 30 s at 20 Mbit/s and 100 ms.
LOSSY = (
    ("download", 0.0, 25_000_000),
    ("upload", 0.0, 25_000_000),
    ("download", 0.001, 15_000_000),
    ("upload", 0.001, 5_000_000),
    ("download", WORST_LOSS, 8_000_000),
    ("upload", WORST_LOSS, 5_000_000),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a work, so made that more is better or less is."""

    name: str
    unit: str
    of: Callable[[Figures], float]
    more_is_better: bool
    bars: tuple[tuple[str, str, float], ...] = ()
    """Variant of trioquic, peer, and how many times as good as the peer it should be."""
    plotted: bool = True

    def ratio(self, ours: float, theirs: float) -> float:
        """How many times as good ours is."""
        return ours / theirs if self.more_is_better else theirs / ours


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that clients do, each in a process of its own."""

    name: str
    title: str
    program: str
    """What the client processes call it."""
    clients: tuple[str, ...]
    metrics: tuple[Metric, ...]
    size: int
    count: int = 1
    parallel: int = 1
    loss: float | None = None
    """Over a long, slow link that loses this share of the datagrams; None: over loopback."""
    largest: int | None = ETHERNET
    """The largest datagrams that trioquic may send; None: what the interface carries."""
    early_data: bool = False
    """Resume sessions, and ask before their handshakes are complete."""
    alone: bool = False
    """Only trioquic's core, without a network."""


def _speed(figures: Figures) -> float:
    return figures["size"] / figures["seconds"] / 1e6


def _goodput_of(figures: Figures) -> float:
    return figures["size"] / figures["seconds"] * 8 / 1e6


def _processor_per_byte(figures: Figures) -> float:
    return figures["processor"] / (figures["size"] * figures["count"]) * 1e9


def _processor_per_packet(figures: Figures) -> float:
    return figures["processor"] / figures["count"] * 1e6


def _time_per_byte(figures: Figures) -> float:
    return figures["seconds"] / (figures["size"] * figures["count"]) * 1e9


def _rate(figures: Figures) -> float:
    return figures["count"] / figures["seconds"]


def _processor_each(figures: Figures) -> float:
    return figures["processor"] / figures["count"] * 1e3


def _milliseconds(figures: Figures) -> float:
    return figures["seconds"] * 1e3


def _round_trips(figures: Figures) -> float:
    return figures["seconds"] / ROUND_TRIP


def _memory_each(figures: Figures) -> float:
    return figures["memory"] / 1024


def _seconds(figures: Figures) -> float:
    return figures["seconds"]


def _memory(figures: Figures) -> float:
    return figures["memory"] / 2**20


def _transfer(direction: str, size: int, bars: tuple[tuple[str, str, float], ...]) -> Work:
    return Work(
        direction,
        f"{direction} of {size / 1e6:g} MB",
        direction,
        EVERYBODY,
        (
            Metric("speed", "MB/s", _speed, True, bars),
            Metric("CPU", "s/GB", _processor_per_byte, False, plotted=False),
        ),
        size,
    )


def _large_upload(size: int) -> Work:
    """As `upload`, but trioquic may send what loopback carries; others do not go that far."""
    metrics = (
        Metric("speed", "MB/s", _speed, True, plotted=False),
        Metric("CPU", "s/GB", _processor_per_byte, False, plotted=False),
    )
    title = "upload in datagrams for loopback"
    return Work("upload-large", title, "upload", (*OURS, "qh3"), metrics, size, largest=None)


def _goodput(direction: str, loss: float, size: int) -> Work:
    bars = (("compiled", "gtlsclient", 1.0),) if loss == WORST_LOSS else ()
    return Work(
        f"{direction}-{100 * loss:g}",
        f"{direction}, 20 Mbit/s, 100 ms, {100 * loss:g} % lost",
        direction,
        EVERYBODY,
        (Metric("goodput", "Mbit/s", _goodput_of, True, bars, plotted=loss == WORST_LOSS),),
        size,
        loss=loss,
    )


def _requests(name: str, title: str, clients: tuple[str, ...], count: int, parallel: int) -> Work:
    bars = (("compiled", "aioquic", 3.0),)
    metrics = (
        Metric("rate", "requests/s", _rate, True, bars),
        Metric("CPU", "ms each", _processor_each, False, plotted=False),
    )
    return Work(name, title, "requests", clients, metrics, 32, count, parallel)


def _first_byte(count: int, *, early_data: bool) -> Work:
    metrics = (
        Metric("after", "ms", _milliseconds, False),
        Metric("after", "round trips", _round_trips, False, plotted=False),
    )
    name, how = "first-byte", "new connection"
    if early_data:
        name, how = "first-byte-early", "early data"
    title = f"first byte, {how}, {ROUND_TRIP * 1e3:g} ms"
    return Work(
        name, title, "first-byte", LIBRARIES, metrics, 32, count, loss=0.0, early_data=early_data
    )


@dataclass(frozen=True, slots=True)
class Growth:
    """A work in several sizes: what a byte or packet costs should not depend on the size."""

    name: str
    title: str
    works: tuple[Work, ...]
    labels: tuple[str, ...]


FLAT = 1.2
"""The most that any size may cost, compared with the first."""


def _volume(volumes: tuple[tuple[int, int], ...]) -> Growth:
    metrics = (
        Metric("time", "ns/byte", _time_per_byte, False),
        Metric("CPU", "ns/byte", _processor_per_byte, False),
    )
    works = tuple(
        Work(f"volume-{size // 10**6}", "download", "volume", OURS, metrics, size, count)
        for size, count in volumes
    )
    labels = tuple(f"{size / 1e6:g} MB" for size, _ in volumes)
    return Growth("volume", "size of a download", works, labels)


def _core(name: str, title: str, steps: tuple[int, ...], packets: int) -> Growth:
    metrics = (Metric("CPU", "us/packet", _processor_per_packet, False),)
    works = tuple(
        Work(f"{name}-{step}", title, name, OURS, metrics, 0, packets, step, alone=True)
        for step in steps
    )
    return Growth(name, title, works, tuple(str(step) for step in steps))


def growths(quick: bool) -> list[Growth]:
    """What grows; with `quick` only a little."""
    sizes, packets = (1, 100) if quick else (4, 10_000)
    volumes = ((10**6, 20), (10**7, 5), (10**8, 1), (10**9, 1))[:sizes]
    streams, ranges = (1, 10, 100, 1000)[:sizes], (0, 10, 100, 1000)[:sizes]
    return [
        _volume(volumes),
        _core("receive-streams", "streams that data comes for in turn", streams, packets),
        _core("send-streams", "streams that have data to send", streams, packets),
        _core("receive-ranges", "ranges ahead of a gap", ranges, packets),
        _core("read-upload", "packets under way, to the reader of a trace", streams, packets),
    ]


def works(size: int, quick: bool) -> list[Work]:
    """`size` is that of a large transfer; with `quick` all is so small that figures say little."""
    requests, handshakes, connections = (20, 4, 10) if quick else (2000, 200, 1000)
    first_bytes = 1 if quick else 5
    return [
        _transfer(
            "download",
            size,
            (
                ("compiled", "qh3", 1.0),
                ("compiled", "gtlsclient", 1.5),
                ("compiled", "aioquic", 25.0),
                ("plain", "aioquic", 10.0),
            ),
        ),
        _transfer("upload", size, (("compiled", "qh3", 1.5), ("compiled", "aioquic", 5.0))),
        _large_upload(size),
        _requests(
            "requests", f"{requests} requests of 32 B, 100 at a time", LIBRARIES, requests, 100
        ),
        _requests("serial", f"{requests} requests of 32 B, one by one", LIBRARIES, requests, 1),
        Work(
            "handshakes",
            "full handshakes",
            "handshakes",
            LIBRARIES,
            (
                Metric("rate", "handshakes/s", _rate, True, plotted=False),
                Metric("CPU", "ms each", _processor_each, False, (("compiled", "qh3", 1.0),)),
            ),
            0,
            handshakes,
        ),
        _first_byte(first_bytes, early_data=False),
        _first_byte(first_bytes, early_data=True),
        Work(
            "idle",
            "memory of an idle connection",
            "idle",
            LIBRARIES,
            (Metric("memory", "KiB", _memory_each, False, (("compiled", "qh3", 1.0),)),),
            0,
            handshakes,
        ),
        Work(
            "many",
            f"{connections} connections, a request each",
            "many",
            LIBRARIES,
            (
                Metric("time", "s", _seconds, False, plotted=False),
                Metric("CPU", "ms each", _processor_each, False, plotted=False),
                Metric("process", "MiB", _memory, False, plotted=False),
            ),
            32,
            connections,
        ),
        *(_goodput(direction, loss, 20_000 if quick else size) for direction, loss, size in LOSSY),
    ]
