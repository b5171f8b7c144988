"""What a download shows: the client's paths, the progress, and what happened when.

On a terminal it is drawn live; elsewhere the same facts come as lines.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import trio
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

import trioquic

STATE_STYLES = {"active": "bold green", "validated": "cyan", "probing": "yellow"}


class View:
    """Everything on the screen."""

    def __init__(self, size: int | None, names: dict[str, str] | None = None) -> None:
        """`size` of the download if it is known; `names` of networks by our address in them."""
        self.console = Console()
        if not self.console.is_terminal:
            self.console.width = 120  # the table is for people, wherever it is written to
        self.names = names or {}
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
        tenth = total * 10 // self.size if self.size else 0
        if tenth > self.reported and not self.console.is_terminal:
            self.reported = tenth
            self.say(f"{tenth * 10:3d} % received")

    def tell(self, event: trioquic.PathEvent) -> None:
        """One line for what happened to a path."""
        match event:
            case trioquic.PathValidated(path=path, rtt=rtt):
                self.say(f"{self.name(path)} works both ways, RTT {rtt * 1000:.1f} ms")
            case trioquic.ValidationFailed(path=path, reason=reason):
                self.say(f"{self.name(path)} does not work: {reason}")
            case trioquic.PathClosed(path=path, reason=reason):
                self.say(f"{self.name(path)} is given up: {reason}")
            case trioquic.PathDegraded(path=path):
                self.say(f"[yellow]{self.name(path)} does not answer[/]")
            case trioquic.PathRecovered(path=path):
                self.say(f"{self.name(path)} answers again")
            case trioquic.Migrated(old=old, new=new, reason=reason):
                before = "nothing" if old is None else self.name(old)
                self.say(f"[bold green]moved[/] from {before} to {self.name(new)}: {reason}")
            case trioquic.MigrationRefused(reason=reason):
                self.say(f"[yellow]no new path[/]: {reason}")
            case trioquic.WaitingForPath(deadline=deadline):
                left = deadline - trio.current_time()
                self.say(f"[bold yellow]no network[/]; waiting {left:.1f} s for one")
            case trioquic.PreferredAddressResult(used=used, reason=reason):
                verb = "uses" if used else "does not use"
                self.say(f"{verb} the server's preferred address: {reason}")

    def name(self, path: trioquic.Path) -> str:
        """Its network and our address there."""
        return f"{self._network(path.interface, path.local[0])} ({path.local[0]})"

    def show_paths(self) -> None:
        """The table, once, as it is now."""
        self.console.print(self._table())

    def _network(self, interface: str | None, address: str) -> str:
        return interface or self.names.get(address, "default network")

    def _render(self) -> Group:
        return Group(self._table(), self.progress)

    def _table(self) -> Table:
        table = Table(expand=True, title="paths of the connection", title_justify="left")
        for column in ("path", "from", "to", "state", "RTT", "sent", "received", "lost"):
            numeric = column in ("RTT", "sent", "received", "lost")
            table.add_column(column, justify="right" if numeric else "left")
        for path in self.paths.values():
            now = path.statistics()
            state = now.state.name.lower()
            style = STATE_STYLES.get(state, "dim")
            table.add_row(
                self._network(now.interface, now.local[0]),
                "{}:{}".format(*now.local[:2]),
                "{}:{}".format(*now.remote[:2]),
                f"[{style}]{state}[/{style}]",
                "-" if now.rtt is None else f"{now.rtt * 1000:.1f} ms",
                f"{now.bytes_sent / 1e6:.1f} MB",
                f"{now.bytes_received / 1e6:.1f} MB",
                str(now.packets_lost),
            )
        return table
