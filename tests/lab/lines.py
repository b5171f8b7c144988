"""A child process that speaks JSON, a line at a time."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

_STOP_TIMEOUT = 5.0


class ChildEndedError(Exception):
    """The child has said its last word; its standard error is this process's."""


class Lines:
    """Reads the lines of a child's standard output and writes to its standard input."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._output = process.stdout
        self._buffer = bytearray()

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> AsyncIterator["Lines"]:
        """Run the command for the block. The end of its input is its sign to end."""
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            # an interrupt from the keyboard is for the test; this child has to clean up
            start_new_session=True,
        )
        lines = cls(process)
        try:
            yield lines
        finally:
            with trio.CancelScope(shield=True):
                await lines._stop()

    @property
    def pid(self) -> int:
        """The child's process number."""
        return self._process.pid

    def kill(self) -> None:
        """End a child that does not read its input."""
        self._process.kill()

    async def _stop(self) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        with trio.move_on_after(_STOP_TIMEOUT):
            await self._process.wait()
        if self._process.poll() is None:
            self._process.kill()
            await self._process.wait()
        await self._output.aclose()

    async def say(self, line: str) -> None:
        """Write one line."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(f"{line}\n".encode())

    async def next(self) -> dict[str, Any]:
        """The next line."""
        while b"\n" not in self._buffer:
            chunk = await self._output.receive_some()
            if not chunk:
                raise ChildEndedError(f"exit status {self._process.poll()}")
            self._buffer += chunk
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        content: dict[str, Any] = json.loads(line)
        return content

    async def ask(self, line: str) -> dict[str, Any]:
        """Write one line and read the one that answers it."""
        await self.say(line)
        return await self.next()
