"""Every call of `trioquic` in the documentation has options and arguments that there are."""

import re
import shlex
from pathlib import Path

import click
import pytest

from trioquic.cli import command

from .blocks import PAGES, commands

pytestmark = pytest.mark.plain

SHOWN = [(page, line) for page in PAGES for line in commands(page)]


def parse(arguments: list[str]) -> click.Context:
    """What click makes of a command line, without doing what it says."""
    context = command.make_context("trioquic", list(arguments))
    assert isinstance(command, click.Group)
    name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    assert found is not None
    return found.make_context(name, rest, parent=context)


def test_the_commands_are_found() -> None:
    assert len(SHOWN) >= 6
    assert {line.split()[1] for _, line in SHOWN} >= {"fetch", "check", "paths", "plot"}


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_a_command_can_be_parsed(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").touch()
    (tmp_path / "traces").mkdir()
    for trace in re.findall(r"traces/\S+", line):
        (tmp_path / trace).touch()
    parse(shlex.split(line, comments=True)[1:])


def test_one_that_does_not_exist_is_found() -> None:
    with pytest.raises(click.UsageError):
        parse(["fetch", "https://example.org/", "--no-such-option"])
