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
