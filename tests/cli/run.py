"""Runs the command line beside a server: in a thread, where it has a trio run of its own."""

import json
from typing import Any

import trio
from click.testing import CliRunner, Result

from trioquic.cli import command


def invoke(*arguments: object) -> Result:
    """One command; whatever it raised beside SystemExit is a failure."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


async def trioquic(*arguments: object) -> Result:
    """The same from within a trio run."""
    return await trio.to_thread.run_sync(invoke, *arguments)


async def trioquic_json(*arguments: object, exit_code: int = 0) -> Any:
    """What the command prints as JSON."""
    result = await trioquic(*arguments, "--json")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def without_silence(stderr: str) -> str:
    """What a command told, without the lines on a path that was silent for a while.

    A server that shares this process, or a processor with it, computes for as long now and then.
    """
    lines = stderr.splitlines(keepends=True)
    silences = ("no answer over ", "127.0.0.1 answers again", "::1 answers again")
    return "".join(line for line in lines if not line.startswith(silences))
