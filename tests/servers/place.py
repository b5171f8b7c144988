"""What it takes to start a server, wherever it is to run: on loopback, or in a lab's namespace."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.certificates import Identity

Command = Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server listens, who it is and what it serves."""

    identity: Identity
    files: Path
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a server is asked for beside its default. Not all of them can be had of each."""

    retry: bool = False
    group: str | None = None
    """The only group for the key exchange, by the client's name for it."""
    preferred: tuple[str, int] | None = None
    """An IPv4 address and port to send the client to (RFC 9000 section 9.6)."""
    options: tuple[str, ...] = ()
    """More options of its command line, for aioquic and gtlsserver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A server's command line. As often as it is run it is the same server, with the same keys."""

    command: Command
    env: Mapping[str, str] = field(default_factory=dict)
    behind: Command | None = None
    """What it passes requests on to, to be started before it."""
    door: Path | None = None
    """The socket of `behind`, which is there when that answers."""
    uploads: Path | None = None
    """Where a file becomes visible that is put to `/up/NAME`."""
