"""What commands keep for the next time: the file of sessions in the user's own folder for state.

The folder is where each system wants what a program has found out, that is neither a setting nor a
cache to be emptied at will. It says which servers were visited, so it is made for its owner only.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click

from .. import FileSessions

_FILE: Final = "sessions.json"


def open_sessions(
    file: str | None, no_sessions: bool, tell: Callable[[str], None]
) -> FileSessions | None:
    """The store that the options ask for, in the default place if `file` is None; None: connections
    begin like the first one, always. What prevents that is told, and nothing is kept then."""
    if file is not None and no_sessions:
        raise click.UsageError("--sessions and --no-sessions exclude each other")
    if file is not None:
        return FileSessions(file)
    if not no_sessions:
        try:
            return FileSessions(make_default_file())
        except (OSError, RuntimeError) as error:
            tell(f"no sessions are kept, as there is no place for them: {error}")
    return None


def make_default_file() -> Path:
    """Where sessions are kept if nobody says where; its folder is there then. Raises OSError when
    it cannot be made, RuntimeError when nobody knows where the user is at home."""
    folder = state_folder(sys.platform, os.environ) / "trioquic"
    home = Path.home()
    if folder.is_relative_to(home) and (os.environ.get("HOME") == "" or not home.is_dir()):
        # Services run with a home that is not there, on purpose: it is not for us to make one.
        raise RuntimeError(f"the home folder {os.environ.get('HOME', home)!s:.200} does not exist")
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        # private, as the XDG Base Directory Specification wants it of whoever makes them
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder / _FILE


def state_folder(platform: str, environ: Mapping[str, str]) -> Path:
    """Where programs keep what they have found out. `platform` as in `sys.platform`."""
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    given = Path(environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():
        return given
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path.home() / ".local" / "state"
