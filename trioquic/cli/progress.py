"""Shows how downloads get on, on standard error: bars on a terminal, else a line for each event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import trio
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .console import messages, printable, safe
from .transfer import Job

_BETWEEN_LOOKS: Final = 0.1
# more than these are summed up in one bar
_MOST_BARS: Final = 8
_LONGEST_NAME: Final = 30


class Display:
    """What is shown while a command works: where nobody watches, a line for what happens."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, text: str) -> None:
        self._console.print(safe(text), soft_wrap=True)

    async def follow(self, jobs: Sequence[Job]) -> None:
        """Show how they get on until cancelled."""
        await trio.sleep_forever()


class Bars(Display):
    """A bar for each download, or one for all if they are many; what happens goes above them."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.console)
        self._progress = progress

    def tell(self, text: str) -> None:
        self._console.print(f"[yellow]{safe(text)}", soft_wrap=True)

    async def follow(self, jobs: Sequence[Job]) -> None:
        groups = [[job] for job in jobs] if len(jobs) <= _MOST_BARS else [list(jobs)]
        bars = [(self._progress.add_task("", total=None, where=""), group) for group in groups]
        try:
            while True:
                self._update(bars)
                await trio.sleep(_BETWEEN_LOOKS)
        finally:
            self._update(bars)

    def _update(self, bars: list[tuple[TaskID, list[Job]]]) -> None:
        for bar, group in bars:
            known = [job.total for job in group if job.total is not None]
            used = [job.connection for job in group if job.connection is not None]
            self._progress.update(
                bar,
                description=printable(_name(group)),
                completed=sum(job.received for job in group),
                total=sum(known) if len(known) == len(group) else None,
                where=printable(used[-1].where) if used else "",
            )


def _name(group: list[Job]) -> str:
    if len(group) > 1:
        return f"{len(group)} files"
    return group[0].final_url.rpartition("/")[2][-_LONGEST_NAME:] or "/"


def progress_on(console: Console) -> Progress:
    """The bars' columns: what, how far, how fast, how long still, and over which path."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[where]}", style="cyan", markup=False),
        console=console,
    )


@contextmanager
def display(*, silent: bool) -> Iterator[Display]:
    """What fits where standard error goes to."""
    console = messages()
    if silent:
        yield Display(Console(quiet=True))
    elif not console.is_terminal:
        yield Display(console)
    else:
        with progress_on(console) as progress:
            yield Bars(progress)
