"""picoquic, in a Python environment of its own: its package, aiopquic, wants Python 3.12

    python -m tests.servers.picoquic        (`make picoquic` does it)

makes the environment in /var/cache/trioquic-test-servers. What needs it where it is not is skipped,
and the summary says so.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.certificates import Identity
from tests.programs import MISSING_PREFIX, find_program

from .chroots import CACHE

PACKAGE: Final = "aiopquic==0.6.1"
SERVER: Final = Path(__file__).parent / "picoquic_server.py"
_HOME: Final = CACHE / "picoquic"
_PYTHON: Final = _HOME / "bin/python"
_READY: Final = _HOME / "ready"
_MISSING: Final = f"{MISSING_PREFIX}picoquic (see `make picoquic`)"
_NAMES: Final = ("python3.14", "python3.13", "python3.12", "python3")
_NEW_ENOUGH: Final = "import sys, venv; sys.exit(sys.version_info < (3, 12))"


def needs_picoquic() -> pytest.MarkDecorator:
    """Mark a test that talks to picoquic."""
    return pytest.mark.skipif(not _READY.exists(), reason=_MISSING)


def why_no_picoquic() -> str | None:
    """The reason of what is skipped without it; None if it is here."""
    return None if _READY.exists() else _MISSING


def picoquic_command(
    identity: Identity, files: Path, *, port: int, options: Sequence[str] = ()
) -> list[str | os.PathLike[str]]:
    """The command line of a server of the files of one folder, by hq-interop, on all addresses."""
    if not _READY.exists():
        pytest.skip(_MISSING)
    keys = ("--certificate", identity.cert_file, "--key", identity.key_file)
    return [_PYTHON, SERVER, *keys, "--root", files, "--port", str(port), *options]


def _pythons() -> Iterator[str]:
    """Interpreters that may be new enough. pyenv's names in the PATH may do nothing."""
    yield sys.executable
    yield from (found for name in _NAMES if (found := find_program(name)) is not None)
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from sorted(map(str, versions.glob("3.1[2-9]*/bin/python")))


def make() -> None:
    """Make the environment, if it is not there."""
    if _READY.exists():
        return
    for python in _pythons():
        if subprocess.run([python, "-c", _NEW_ENOUGH], capture_output=True, check=False).returncode:
            continue
        shutil.rmtree(_HOME, ignore_errors=True)
        subprocess.run([python, "-m", "venv", _HOME], check=True)
        options = ("--quiet", "--disable-pip-version-check")
        subprocess.run([_PYTHON, "-m", "pip", "install", *options, PACKAGE], check=True)
        subprocess.run([_PYTHON, SERVER, "--help"], stdout=subprocess.DEVNULL, check=True)
        _READY.touch()
        return
    sys.exit("picoquic needs Python >= 3.12, and there is none here")


if __name__ == "__main__":
    make()
