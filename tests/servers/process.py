"""One server process: started, awaited until it answers, ended.

A server is ready when it answers a long-header packet of an unknown version with Version
Negotiation (RFC 9000 section 6): that is the one thing that every QUIC server says without a
handshake, it has no side effects, and it shows that the socket is really being read.
"""

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from .place import Command, Launch

READY_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
ATTEMPTS = 3
# RFC 9000 section 15: versions of this pattern are reserved to force version negotiation
PROBE = bytes.fromhex("c0 1a2a3a4a 08 7472696f71756963 04 74657374").ljust(1200, b"\0")

Wait = Callable[[str, int, trio.Process], Awaitable[None]]


class ServerFailedError(Exception):
    """The server did not come up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    host: str
    port: int
    ca_file: Path
    process: trio.Process
    log_file: Path

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self.log_file.read_text(errors="replace")


def free_port(host: str) -> int:
    """A UDP port that nobody had a moment ago: not every server can choose one itself."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        port = sock.getsockname()[1]
        assert isinstance(port, int)
        return port


async def wait_until_it_answers(host: str, port: int, process: trio.Process) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with trio.socket.socket(family, socket.SOCK_DGRAM) as sock:
        await sock.connect((host, port))
        while process.poll() is None:
            try:
                await sock.send(PROBE)
                with trio.move_on_after(0.05):
                    await sock.recv(2048)
                    return
            except ConnectionError:
                # nobody listens yet: the answer to the probe before this one
                await trio.sleep(0.01)
    raise ServerFailedError(f"exit status {process.returncode}")


async def wait_until_it_accepts(host: str, port: int, process: trio.Process) -> None:
    """For a server without QUIC: until there is somebody at its TCP port."""
    while process.poll() is None:
        try:
            stream = await trio.open_tcp_stream(host, port)
        except OSError:
            await trio.sleep(0.01)
        else:
            await stream.aclose()
            return
    raise ServerFailedError(f"exit status {process.returncode}")


async def start(
    command: Command,
    *,
    host: str,
    port: int,
    ca_file: Path,
    log_file: Path,
    env: Mapping[str, str],
    wait: Wait = wait_until_it_answers,
) -> Server:
    """Start a server and wait until it answers. Raises ServerFailedError; who calls this stops it
    in the end."""
    with log_file.open("wb") as log:
        process = await trio.lowlevel.open_process(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **env},
        )
    server = Server(host=host, port=port, ca_file=ca_file, process=process, log_file=log_file)
    try:
        with trio.fail_after(READY_TIMEOUT):
            await wait(host, port, process)
    except BaseException as error:
        await stop(process)
        if isinstance(error, ServerFailedError | trio.TooSlowError):
            raise ServerFailedError(f"{command[0]}: {error!r}\n{server.log}") from error
        raise
    return server


async def stop(process: trio.Process) -> None:
    """Ask the process to end, and see to it that it does."""
    with trio.CancelScope(shield=True):
        if process.poll() is None:
            process.terminate()
        with trio.move_on_after(STOP_TIMEOUT):
            await process.wait()
            return
        process.kill()
        await process.wait()


@asynccontextmanager
async def standing_behind(
    launch: Launch, log_file: Path, inside: Callable[[Command], Command]
) -> AsyncIterator[None]:
    """What a server passes requests on to, for the block, if it does so. `inside` makes the command
    line of the place where that is to run."""
    if launch.behind is None or launch.door is None:
        yield
        return
    with log_file.open("wb") as log:
        words = [os.fspath(word) for word in inside(launch.behind)]
        process = await trio.lowlevel.open_process(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        with trio.fail_after(READY_TIMEOUT):
            while not launch.door.exists():
                if process.poll() is not None:
                    raise ServerFailedError(f"{words[0]}: see {log_file}")
                await trio.sleep(0.01)
        yield
    finally:
        await stop(process)


@asynccontextmanager
async def running(
    command_on_port: Callable[[int], Command],
    *,
    host: str,
    ca_file: Path,
    log_file: Path,
    env: Mapping[str, str] | None = None,
    wait: Wait = wait_until_it_answers,
) -> AsyncIterator[Server]:
    """Run a server for the block, which starts when the server answers.

    Another process may take the port between finding and binding it, so there are a few attempts.
    """
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port(host)
        command = command_on_port(port)
        try:
            server = await start(
                command,
                host=host,
                port=port,
                ca_file=ca_file,
                log_file=log_file,
                env=env or {},
                wait=wait,
            )
            break
        except ServerFailedError:
            if attempt == ATTEMPTS:
                raise
    try:
        yield server
    finally:
        await stop(server.process)
