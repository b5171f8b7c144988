"""A policy of one's own: be where the round trip is shortest.

    python -m examples.custom_policy HOST PORT --interface wlan0 --interface eth0

The default policy prefers networks by order, kind and price, and leaves the one in use when it
fails or a better one returns. A game or a call may care for latency only. `LowestRtt` keeps two
other networks validated, measures them every few seconds, and moves when one is clearly faster.

A policy is a pure function of a frozen view, so it can be tested without any network: make a
`View`, call `decide`, look at the `Decision`. What it does not want to think about (a path that
dies, the server's preferred address, no network at all) it leaves to the inherited function.

See examples/options.py for the other options.
"""

import argparse
import math
import sys
from dataclasses import dataclass

import trio

import trioquic
from trioquic.policy import ClosePath, Decision, Migrate, PathInfo, PolicyEvent, View

from .options import chosen_networks, first_interface, make_parser, run


@dataclass(frozen=True, kw_only=True)
class LowestRtt(trioquic.MigrationPolicy):
    """Moves to the path with the shortest round trip."""

    standby: int = 2
    standby_interval: float = 5.0
    """Each challenge measures the round trip again; seconds between two of them."""
    metered_standby_interval: float = 5.0
    move_back_after: float = math.inf
    """The inherited function must not go back to the network that is first in its order."""
    gain: float = 0.2
    """How much shorter the round trip must be, as a share: bulk data of our own fills the queues of
    the path in use, and the other one would look faster for that reason alone."""
    least_stay: float = 3.0
    """Seconds on a path before it may be left for a faster one."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        inherited = super().decide(view, event, now)
        active = view.active
        if active is None or inherited.move is not None:
            return inherited  # something more urgent
        if active.rtt is None or active.silent_since < math.inf or self._has_just_moved(view, now):
            return inherited
        faster = [path for path in view.paths if self._is_faster(path, active)]
        if not faster:
            return inherited
        best = min(faster, key=_rtt)
        reason = f"{_rtt(best) * 1000:.0f} ms instead of {_rtt(active) * 1000:.0f} ms"
        return Decision((*inherited.of(ClosePath), Migrate(best.id, reason=reason)))

    def _has_just_moved(self, view: View, now: float) -> bool:
        return any(now - at < self.least_stay for at in (*view.returns, *view.switches))

    def _is_faster(self, path: PathInfo, active: PathInfo) -> bool:
        return (
            path.state is trioquic.PathState.VALIDATED
            and path.usable
            and path.preferred == active.preferred
            and _rtt(path) < (1.0 - self.gain) * _rtt(active)
        )


def _rtt(path: PathInfo) -> float:
    return math.inf if path.rtt is None else path.rtt


async def measure(conn: trioquic.Connection, path: str, pause: float) -> None:
    """Ask for a few bytes again and again, and tell how long that took."""
    while True:
        started = trio.current_time()
        stream = await conn.open_stream()
        await stream.send_all(f"GET {path}\r\n".encode())
        await stream.send_eof()
        size = sum([len(chunk) async for chunk in stream])
        took = (trio.current_time() - started) * 1000
        network = conn.active_path.interface if conn.active_path else None
        print(f"{size} bytes over {network} in {took:.0f} ms", flush=True)
        await trio.sleep(pause)


async def tell_moves(conn: trioquic.Connection) -> None:
    async with conn.path_events() as events:
        async for event in events:
            if isinstance(event, trioquic.Migrated):
                print(f"moved to {event.new.interface}: {event.reason}", flush=True)


async def main(options: argparse.Namespace) -> None:
    async with trioquic.open_connection(
        options.host,
        options.port,
        alpn=["hq-interop"],
        tls=options.tls,
        networks=chosen_networks(options),
        interface=first_interface(options),
        migration=LowestRtt(interfaces=options.interfaces),
    ) as conn:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell_moves, conn)
            with trio.move_on_after(options.seconds):
                await measure(conn, options.path, options.pause)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--path", default="/1000", help="what to ask for")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two requests")
    parser.add_argument("--seconds", type=float, default=math.inf, help="when to stop")
    sys.exit(run(main, parser.parse_args()))
