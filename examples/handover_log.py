"""What happens to a connection's paths, as JSON lines on standard output.

    python -m examples.handover_log HOST PORT --interface wlan0 --interface eth0 |
        jq 'select(.event == "Migrated") | {time, from: .old.interface, to: .new.interface, cause}'

One line an event, flushed at once. Each has `time` (seconds since 1970), `event` (the name of the
class in `trioquic.events`), and the event's own fields. A path is an object: `id`, `interface`,
`local`, `remote`, `state`, `rtt` in seconds, `sent` and `received` in bytes, `lost` in packets.
Two lines are the example's own: `Connected` at the beginning and `Closed` at the end, with the
error that ended the connection, if one did.

Meanwhile it asks the server for a few bytes now and then, because only a connection that is used
has a path worth judging. See examples/options.py for the other options.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from enum import Enum

import trio

import trioquic

from .options import chosen_networks, first_interface, make_parser, run


def log(event: str, **fields: object) -> None:
    """One line."""
    print(json.dumps({"time": round(time.time(), 6), "event": event, **fields}), flush=True)


def plain(value: object) -> object:
    """A field of an event as JSON has it."""
    if isinstance(value, trioquic.Path):
        return describe(value)
    if isinstance(value, Enum):
        return value.name.lower()  # the values are for people
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no infinity
    return value


def describe(path: trioquic.Path) -> dict[str, object]:
    """A path; one that is gone is told as it was last."""
    now = path.statistics()
    return {
        "id": path.id,
        "interface": now.interface,
        "local": "{} {}".format(*now.local),
        "remote": "{} {}".format(*now.remote),
        "state": plain(now.state),
        "rtt": now.rtt,
        "sent": now.bytes_sent,
        "received": now.bytes_received,
        "lost": now.packets_lost,
    }


async def log_events(
    conn: trioquic.Connection, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Every event of every kind, also of kinds that a later version adds."""
    async with conn.path_events() as events:
        task_status.started()
        async for event in events:
            fields = {
                field.name: plain(getattr(event, field.name))
                for field in dataclasses.fields(event)  # type: ignore[arg-type]
            }
            if isinstance(event, trioquic.WaitingForPath):
                # The deadline is on trio's clock, which means nothing to anybody else.
                fields = {"seconds_left": plain(event.deadline - trio.current_time())}
            log(type(event).__name__, **fields)


async def use(conn: trioquic.Connection, path: str, pause: float) -> None:
    """A small request, a pause, and so on."""
    while True:
        stream = await conn.open_stream()
        await stream.send_all(f"GET {path}\r\n".encode())
        await stream.send_eof()
        async for _ in stream:
            pass
        await trio.sleep(pause)


async def connect_and_log(options: argparse.Namespace) -> None:
    async with trioquic.open_connection(
        options.host,
        options.port,
        alpn=["hq-interop"],
        tls=options.tls,
        networks=chosen_networks(options),
        interface=first_interface(options),
        migration=trioquic.MigrationPolicy(
            interfaces=options.interfaces, no_path_timeout=options.patience
        ),
    ) as conn:
        log("Connected", path=plain(conn.active_path))
        async with trio.open_nursery() as nursery:
            await nursery.start(log_events, conn)
            with trio.move_on_after(options.seconds):
                await use(conn, options.path, options.pause)
            nursery.cancel_scope.cancel()


async def main(options: argparse.Namespace) -> None:
    try:
        await connect_and_log(options)
    except* (trioquic.QuicError, OSError) as group:
        for error in group.exceptions:
            log("Closed", error=type(error).__name__, reason=str(error))
        raise
    log("Closed", error=None)


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--path", default="/1000", help="what to ask for")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two requests")
    parser.add_argument("--seconds", type=float, default=math.inf, help="when to stop")
    parser.add_argument("--patience", type=float, default=math.inf, help="seconds without network")
    sys.exit(run(main, parser.parse_args()))
