"""What the demo shows: the client's paths, the progress of the download, and what happened when.

On a terminal it is drawn live; elsewhere the same facts come as lines.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

import trioquic

STATE_STYLES = {"active": "bold green", "validated": "cyan", "probing": "yellow"}


class View:
    """Everything on the screen."""

    def __init__(self, size: int, names: dict[str, str]) -> None:
        self.console = Console()
        self.names = names
        self.started = time.monotonic()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(None),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self.console,
            expand=True,
        )
        self.task = self.progress.add_task("download", total=size)
        self.reported = 0
        self.size = size
        # also those that are gone: a handle tells the last that was known
        self.paths: dict[int, trioquic.Path] = {}

    @contextmanager
    def on_screen(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        with Live(get_renderable=self._render, console=self.console, refresh_per_second=12):
            yield

    def say(self, text: str) -> None:
        """A line that stays, with the time since the start."""
        elapsed = time.monotonic() - self.started
        line = f"[dim]{elapsed:7.3f} s[/dim]  {text}"
        self.console.print(line, highlight=False, soft_wrap=True)

    def watch(self, paths: Iterable[trioquic.Path]) -> None:
        """Show these paths from now on."""
        self.paths.update({path.id: path for path in paths})

    def received(self, total: int) -> None:
        self.progress.update(self.task, completed=total)
        tenth = total * 10 // self.size
        if tenth > self.reported and not self.console.is_terminal:
            self.reported = tenth
            self.say(f"{tenth * 10:3d} % received")

    def name(self, path: trioquic.Path) -> str:
        host = path.local[0]
        return f"{self.names.get(host, '?')} ({host})"

    def _render(self) -> Group:
        table = Table(expand=True, title="paths of the connection", title_justify="left")
        for column in ("path", "from", "to", "state", "RTT", "received", "lost"):
            numeric = column in ("RTT", "received", "lost")
            table.add_column(column, justify="right" if numeric else "left")
        for path in self.paths.values():
            now = path.statistics()
            state = now.state.name.lower()
            style = STATE_STYLES.get(state, "dim")
            table.add_row(
                self.names.get(now.local[0], "?"),
                "{}:{}".format(*now.local[:2]),
                "{}:{}".format(*now.remote[:2]),
                f"[{style}]{state}[/{style}]",
                "-" if now.rtt is None else f"{now.rtt * 1000:.1f} ms",
                f"{now.bytes_received / 1e6:.1f} MB",
                str(now.packets_lost),
            )
        return Group(table, self.progress)
