"""Starting the command line: with and without the packages it needs."""

import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
import trio

import trioquic
from tests.cli.run import invoke
from trioquic.cli.console import INTERRUPTED, run, split_host

PROJECT = Path(__file__).parent.parent.parent


def test_help_lists_the_commands() -> None:
    text = invoke("--help").stdout
    for name in ("check", "fetch", "paths", "plot"):
        assert f"\n  {name} " in text
    assert invoke("--version").stdout == f"trioquic, version {trioquic.__version__}\n"


def test_unknown_commands_are_usage_errors() -> None:
    assert invoke("nonsense").exit_code == 2


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trioquic", "--version"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"trioquic, version {trioquic.__version__}\n"


@pytest.mark.parametrize("missing", ["click", "pylsqpack", "rich"])
def test_a_missing_package_is_named_with_its_extra(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(sys.modules):
        if name.startswith(("trioquic.cli", "trioquic.http3", f"{missing}.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "trioquic.__main__", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("trioquic", run_name="__main__")
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"trioquic: the command line needs {missing}: pip install 'trioquic[cli]'\n"
    )


def test_control_c_while_the_command_line_loads() -> None:
    code = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "trioquic.cli.fetch":
            signal.raise_signal(signal.SIGINT)

import trioquic.__main__
sys.meta_path.insert(0, Finder())
trioquic.__main__.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "")


def test_control_c_leaves_no_traceback() -> None:
    async def interrupted() -> None:
        raise BaseExceptionGroup("of a nursery", [KeyboardInterrupt()])

    with pytest.raises(SystemExit) as ended:
        run(interrupted)
    assert ended.value.code == INTERRUPTED


def test_control_c_ends_the_command_and_no_task_of_it_alone() -> None:
    """Whatever is running then: a connection that ends first would look lost to its users."""
    hit: list[str] = []

    async def busy() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
        except KeyboardInterrupt:
            hit.append("a task of its own")
            raise

    async def command() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(busy)

    with interruptible(), pytest.raises(SystemExit) as ended:
        run(command)
    assert ended.value.code == INTERRUPTED
    assert hit == []


@contextmanager
def interruptible() -> Iterator[None]:
    """A shell's background jobs inherit that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org", ("example.org", 443)),
        ("example.org:8443", ("example.org", 8443)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
        ("2001:db8::1", ("2001:db8::1", 443)),
        ("[2001:db8::1]", ("2001:db8::1", 443)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
    ],
)
def test_hosts_and_ports(text: str, expected: tuple[str, int]) -> None:
    assert split_host(text, 443) == expected


@pytest.mark.parametrize("text", ["", ":443", "a:", "a:0", "a:65536", "a:x", "[::1", "[::1]x:1"])
def test_what_is_no_host_and_port(text: str) -> None:
    with pytest.raises(click.BadParameter):
        split_host(text, 443)
