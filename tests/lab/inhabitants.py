"""Ends whoever is in a network namespace, or on the way into it.

nsenter(1) opens the file that stands for a namespace, enters, closes the file, and becomes the
program it was given. One that has opened the file and is not inside yet would be overlooked by who
looks into the namespace only, and its program would stay, in a namespace that nobody else knows.

So the files that others were told of are closed before `end_inhabitants` is called: from then on
nobody new can open them. Who has, holds the namespace open or is inside, and so are the children.
They are killed and waited for until a look finds nobody.
"""

import os
import select
import signal
from collections.abc import Iterator, Set
from contextlib import suppress


def name_of(space: int) -> str:
    """What links in /proc say of an open namespace."""
    return os.readlink(f"/proc/self/fd/{space}")


def end_inhabitants(spaces: Set[str]) -> None:
    """Kill them all, but not this process, and return when they are gone. `spaces`: names, of
    namespaces that this process holds open, so that no others get these names."""
    while handles := list(_kill_inhabitants(spaces)):
        for handle in handles:
            select.select([handle], [], [])
            os.close(handle)


def _kill_inhabitants(spaces: Set[str]) -> Iterator[int]:
    """A descriptor for each that was found, to wait for its end."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and int(entry) != os.getpid():
            with suppress(ProcessLookupError):
                # before the look, so that no other process can have its number by then
                handle = os.pidfd_open(int(entry))
                if _occupies(entry, spaces):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    yield handle
                else:
                    os.close(handle)


def _occupies(process: str, spaces: Set[str]) -> bool:
    """Whether it is inside or holds one open. In the other order one that enters between the looks
    would be overlooked: it closes the file when it is inside."""
    files: list[str] = []
    with suppress(OSError):
        files += (f"fd/{name}" for name in os.listdir(f"/proc/{process}/fd"))
    for file in (*files, "ns/net"):
        with suppress(OSError):
            if os.readlink(f"/proc/{process}/{file}") in spaces:
                return True
    return False
