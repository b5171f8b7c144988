"""`trioquic fetch`: files over HTTP/3, over whatever network there is while they come.

All downloads of one command go on at once, each into its file; those to standard output in turn.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click
import trio

from .. import MigrationPolicy, TransportConfig, system_networks
from .._checks import without_password
from ..http3.client.settings import Settings
from ..http3.url import host_and_port
from . import failures, kept, options
from .connections import Connections
from .console import cannot_write, complain, print_json, run, trouble_told
from .handovers import WatchedConnection
from .outputs import StandardOutput, sink_for
from .progress import Display, display
from .sink import File, Sink
from .transfer import Job, Transfer

# A server may think for long, and standard output may be a pager: neither is silence.
_KEEP_ALIVE: Final = 10.0
_MOST_AT_ONCE: Final = 100


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option(
    "-o",
    "--output",
    "outputs",
    callback=options.named,
    multiple=True,
    metavar="FILE",
    help="For the next URL; - is standard output.",
)
@click.option("-O", "--remote-name", is_flag=True, help="Name files like the last part of the URL.")
@click.option("-L", "--location", is_flag=True, help="Follow redirects.")
@click.option("--max-redirs", type=click.IntRange(0), default=10, help="At most this many [10].")
@click.option(
    "--retry",
    type=click.IntRange(0),
    default=5,
    help="New connections for a lost one, in a row, that bring nothing or little [5].",
)
@options.cafile
@options.insecure
@options.interfaces("Start here, and stay until it fails; of several on the first that is up.")
@options.prefer_interfaces
@options.only_interfaces
@options.leave_tunnel
@options.not_tunnels
@click.option("--connect-timeout", type=options.Seconds(), default=10.0, help="Seconds.")
@click.option(
    "-m",
    "--max-time",
    type=options.Seconds(),
    help="Seconds that each URL may take in all [no limit].",
)
@click.option("-s", "--silent", is_flag=True, help="Show neither progress nor handovers.")
@click.option("-v", "--verbose", is_flag=True, help="Show how connections begin.")
@options.as_json("Print a summary as JSON on standard output.")
@click.option(
    "--qlog",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Write a trace of each connection there (docs/qlog.md).",
)
@click.option(
    "--keylog",
    metavar="FILE",
    callback=options.named,
    help="Append TLS secrets there (SSLKEYLOGFILE format).",
)
@click.option(
    "--sessions",
    metavar="FILE",
    callback=options.named,
    help="Keep there what lets the next connection start faster (docs/sessions.md)"
    " [sessions.json in the user's folder for state].",
)
@click.option("--no-sessions", is_flag=True, help="Keep nothing, use nothing.")
@click.option(
    "--early-data/--no-early-data",
    default=True,
    help="Send requests with the first datagram to a server that was visited before [on].",
)
def fetch(
    urls: tuple[str, ...],
    outputs: tuple[str, ...],
    remote_name: bool,
    location: bool,
    max_redirs: int,
    retry: int,
    cafile: str | None,
    insecure: bool,
    interfaces: tuple[str, ...],
    prefer_interfaces: tuple[str, ...],
    only_interfaces: tuple[str, ...],
    leave_tunnel: bool,
    not_tunnels: tuple[str, ...],
    connect_timeout: float,
    max_time: float | None,
    silent: bool,
    verbose: bool,
    as_json: bool,
    qlog: str | None,
    keylog: str | None,
    sessions: str | None,
    no_sessions: bool,
    early_data: bool,
) -> None:
    """Get files over HTTP/3. A download goes on when the network under it changes.

    All URLs are fetched at once, over one connection for each server. A file appears when it is
    complete. Without -o and -O the content goes to standard output, one URL after the other;
    binary content goes to a terminal only with -o -.

    Exit codes are curl's, of the first URL that failed: 0; 2 usage; 3 a URL that makes no sense; 6
    unknown host; 7 no connection; 22 an HTTP status that is no success; 23 a file cannot be
    written; 28 --max-time; 45 no such interface; 47 redirects; 56 the connection was lost for good;
    60 the certificate; 77 a file with certificates or secrets; 95 HTTP/3.
    """
    jobs = _jobs(urls, outputs, remote_name, as_json)
    _check_start(interfaces, only_interfaces)
    tell = (lambda text: None) if silent else complain
    store = kept.open_sessions(sessions, no_sessions, tell)
    with options.refused():
        settings = Settings(
            tls=options.tls_config(cafile, insecure, keylog),
            transport=TransportConfig(
                handshake_timeout=connect_timeout, keep_alive=_KEEP_ALIVE, qlog_dir=qlog
            ),
            interfaces=interfaces,
            migration=MigrationPolicy(
                only_interfaces=only_interfaces,
                interfaces=prefer_interfaces,
                leave_tunnel=leave_tunnel,
                not_tunnels=not_tunnels,
            ),
            sessions=store,
            early_data=early_data and store is not None,
        )
    redirects = max_redirs if location else None
    with display(silent=silent) as screen, trouble_told(screen.tell):
        connections = run(fetch_all, jobs, settings, screen, retry, redirects, verbose, max_time)
    sys.exit(_told_results(jobs, connections, tell, as_json=as_json))


def _told_results(
    jobs: Sequence[Job],
    connections: list[dict[str, Any]],
    tell: Callable[[str], None],
    *,
    as_json: bool,
) -> int:
    """Tell them, and return the exit code."""
    for job in jobs:
        if job.complaint is not None:
            tell(job.complaint)
    if as_json:
        summary = {"transfers": [job.summary() for job in jobs], "connections": connections}
        try:
            print_json(summary)
        except OSError as error:
            cannot_write(failures.WRITING, error)
    return next((job.exit_code for job in jobs if job.exit_code), 0)


async def fetch_all(
    jobs: Sequence[Job],
    settings: Settings,
    shown: Display,
    retries: int,
    redirects: int | None,
    verbose: bool = False,
    max_time: float | None = None,
) -> list[dict[str, Any]]:
    """Do all jobs, each in so many seconds if that is not None; returns what became of the
    connections."""
    _tell_unknown_interfaces(settings, shown.tell)
    connections = Connections(settings, shown.tell, trio.current_time(), verbose=verbose)
    limit = trio.CapacityLimiter(_MOST_AT_ONCE)

    async def one_after_the_other(some: Sequence[Job]) -> None:
        for job in some:
            await Transfer(
                job, connections, retries=retries, redirects=redirects, max_time=max_time
            ).run()

    async def limited(job: Job) -> None:
        async with limit:
            await one_after_the_other([job])

    async with connections.opened(), trio.open_nursery() as nursery:
        nursery.start_soon(shown.follow, jobs)
        async with trio.open_nursery() as working:
            for turn in {job.sink.turn for job in jobs}:
                together = [job for job in jobs if job.sink.turn == turn]
                if turn is not None:
                    working.start_soon(one_after_the_other, together)
                    continue
                for job in together:
                    working.start_soon(limited, job)
        results = [_result(one) for one in connections.all if one.quic.handshake_complete]
        nursery.cancel_scope.cancel()
    return results


def _tell_unknown_interfaces(settings: Settings, tell: Callable[[str], None]) -> None:
    """Those without which the downloads go on; without the others they fail, and say so."""
    interfaces = (settings.networks or system_networks()).snapshot()
    known = {interface.name for interface in interfaces}
    policy = settings.migration
    names = [*policy.interfaces, *policy.not_tunnels]
    for some in (settings.interfaces, policy.only_interfaces):
        if not known.isdisjoint(some):
            names += some
    for text in options.unknown_interfaces(names, interfaces):
        tell(text)


def _result(connection: WatchedConnection) -> dict[str, Any]:
    """What became of a connection, for programs."""
    connection.settle()
    return {
        "origin": f"https://{host_and_port(*connection.origin)}",
        "resumed": connection.quic.resumed,
        "early_data": connection.quic.early_data.name.lower(),
        "handovers": [dataclasses.asdict(handover) for handover in connection.handovers],
        "paths": connection.statistics,
    }


def _check_start(start: Sequence[str], only: Sequence[str]) -> None:
    """Raises UsageError where the one option forbids what the other wants."""
    outside = [name for name in start if only and name not in only]
    if outside:
        raise click.UsageError(f"--interface {outside[0]} is not among --only-interface")


def _jobs(
    urls: Sequence[str], outputs: Sequence[str], remote_name: bool, as_json: bool
) -> list[Job]:
    """Which content goes where. Raises UsageError."""
    if len(outputs) > len(urls):
        raise click.UsageError("there are more -o than URLs")
    jobs: list[Job] = []
    files: set[str] = set()
    for number, url in enumerate(urls):
        if url.partition(":")[0].lower() != "https":
            raise click.UsageError(f"{without_password(url)!r} is not an https URL")
        sink = _sink(url, outputs[number] if number < len(outputs) else None, remote_name)
        if isinstance(sink, File):
            # any number may go into what is no file, such as /dev/null
            where = os.path.realpath(sink.name)
            if where in files:
                raise click.UsageError(f"two URLs go into one file: {sink.name}")
            files.add(where)
        jobs.append(Job(url=url, sink=sink))
    if as_json and any(isinstance(job.sink, StandardOutput) for job in jobs):
        raise click.UsageError("--json is for standard output: give every URL a file, -o or -O")
    return jobs


def _sink(url: str, output: str | None, remote_name: bool) -> Sink:
    if output == "-":
        return StandardOutput(binary=True)
    if output is not None:
        return sink_for(output)
    return sink_for(_remote_name(url)) if remote_name else StandardOutput(binary=False)


def _remote_name(url: str) -> str:
    try:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        name = ""
    if name in ("", ".", "..") or any(c in "/\\" or not c.isprintable() for c in name):
        raise click.UsageError(f"-O: there is no file name in {without_password(url)!r}")
    return name
