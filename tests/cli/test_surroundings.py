"""The command where outputs are closed, full or terminals, and where there is no home."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from tests.cli.run import invoke
from trioquic.cli import failures
from trioquic.cli.console import complain, output, print_json, safe
from trioquic.cli.failures import FetchError
from trioquic.cli.kept import make_default_file
from trioquic.cli.outputs import StandardOutput

PROJECT = Path(__file__).parent.parent.parent
NOWHERE = "https://192.0.2.1/"
pytestmark = [pytest.mark.plain, pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")]


def shell(line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a line with the command in $T."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=PROJECT,
        env={**os.environ, "T": f"{sys.executable} -m trioquic", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("$T paths >&- 2>&-", 0, ""),
        ("$T --help >/dev/full", 1, "trioquic: standard output: "),
        (f"$T fetch {NOWHERE} --interface no --json -o /dev/null >/dev/full", 23, "standard out"),
        (f"set -o pipefail; $T fetch {NOWHERE} --interface no 2>&1 | true", 45, ""),
    ],
)
def test_outputs_that_take_nothing(line: str, code: int, says: str) -> None:
    done = shell(line)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("output", ["-", "pipe"])
def test_control_c(tmp_path: Path, output: str) -> None:
    """While nobody answers, and while nobody reads a named pipe."""
    where = str(tmp_path / output) if output != "-" else "-"
    if output == "pipe":
        os.mkfifo(where)
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        done = interrupted(["fetch", "--no-sessions", url, "-o", where])
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_leave_no_part_of_a_file(tmp_path: Path, number: signal.Signals) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        words = ["fetch", "--no-sessions", url, "-o", str(tmp_path / "x")]
        done = interrupted(words, number)
    assert (done.returncode, done.stdout) == (128 + number, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = invoke("fetch", NOWHERE, "-o", str(tmp_path / "nodir" / "x"))
    assert result.exit_code == failures.WRITING
    assert f"No such file or directory: '{tmp_path / 'nodir' / 'x'}'" in result.stderr


def interrupted(
    words: list[str], number: signal.Signals = signal.SIGINT
) -> subprocess.CompletedProcess[str]:
    """The command, a second after its start."""
    code = (
        "import os, signal, sys, threading; from trioquic.cli import command;"
        # a shell's background jobs inherit that it is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"threading.Timer(1.0, os.kill, [os.getpid(), {int(number)}]).start();"
        f"command({words!r})"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("home", ["missing", ""])
def test_a_home_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / home) if home else "")
    with pytest.raises((OSError, RuntimeError)):
        make_default_file()
    result = invoke("fetch", NOWHERE, "--interface", "no")
    assert result.exit_code == failures.INTERFACE
    assert "no sessions are kept" in result.stderr
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "missing").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    assert make_default_file().parent.is_dir()


def test_letters_that_the_locale_does_not_have() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell("$T paths '\u00fc.invalid'; $T paths", **ascii_only)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("Interfaces")


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"reason": "\N{EURO SIGN}\x9b31m\ud800"}
    print_json(value)
    printed = capsys.readouterr().out
    assert printed.isascii() and printed.rstrip("\n").replace("\n", "").isprintable()
    assert json.loads(printed) == value


def test_what_a_server_says_does_nothing_to_a_terminal() -> None:
    assert safe("a\x1b[2Jb\x9b31m\r\n\u202e[bold]") == "a\\x1b[2Jb\\x9b31m\\x0d\\x0a\\x202e\\[bold]"


def test_addresses_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Parts of them are names of emojis to rich."""
    addresses = ["fd00:1234::1", "2001:100::1", "2001:db8:a:b::1", ":bee:"]
    for address in addresses:
        complain(address)
        table = Table("address")
        table.add_row(safe(address))
        output().print(table)
    shown = capsys.readouterr()
    for address in addresses:
        assert address in shown.err
        assert address in shown.out


class Terminal(io.TextIOWrapper):
    """Standard output, with somebody in front of it."""

    def __init__(self) -> None:
        self.shown = io.BytesIO()
        super().__init__(self.shown)

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("binary", [False, True])
async def test_binary_to_a_terminal_needs_a_yes(
    monkeypatch: pytest.MonkeyPatch, binary: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    sink = StandardOutput(binary=binary)
    await sink.open()
    await sink.write("text \N{EURO SIGN} ".encode())
    if binary:
        await sink.write(b"\0\1")
        assert terminal.shown.getvalue().endswith(b" \0\1")
        return
    with pytest.raises(FetchError, match="-o -") as caught:
        await sink.write(b"more \0")
    assert caught.value.exit_code == failures.WRITING
    assert terminal.shown.getvalue().endswith(b" ")


async def test_binary_to_what_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", file)
    sink = StandardOutput(binary=False)
    await sink.open()
    await sink.write(b"\0")
    assert file.buffer.getvalue() == b"\0"
