"""A slow, long, lossy link between a client and the server: a relay in user space.

    python -m benchmarks.link --target 127.0.0.1:4433 --loss 0.01 --seed 1

Both ways have a rate, half of the round trip as delay, a queue of one bandwidth-delay product, and
lose datagrams at random, each way from a seed of its own: the same datagrams, counted from the
first, for every client of a round. The first few of each way are spared, as handshakes are not what
is measured here. Datagrams that Ethernet would not carry are lost, too, as if nobody told.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from examples.relay import Address, Direction, Link, Relay, parse_address

from .task import ETHERNET

PROJECT = Path(__file__).parent.parent
CLIENT = "127.0.0.1"
RATE = 20e6 / 8
ROUND_TRIP = 0.1
SPARED = 12


@dataclass(kw_only=True)
class LossyDirection(Direction):
    """One way over the link."""

    loss: float
    chance: random.Random
    seen: int = field(default=0, init=False)

    def arrival(self, now: float, size: int) -> float | None:
        """When a datagram that is sent now arrives; None if it never does."""
        self.seen += 1
        unlucky = self.chance.random() < self.loss and self.seen > SPARED
        if unlucky or size > ETHERNET:
            return None
        return Direction.arrival(self, now, size)


def make_link(loss: float, seed: int) -> Link:
    up, down = (
        LossyDirection(
            rate=RATE,
            delay=ROUND_TRIP / 2,
            queue=ROUND_TRIP,
            loss=loss,
            chance=random.Random(f"{way} {seed}"),
        )
        for way in ("up", "down")
    )
    return Link(up, down)


@asynccontextmanager
async def lossy_link(target: Address, loss: float, seed: int) -> AsyncIterator[Address]:
    """A relay to `target` for the block, and the address that clients use instead."""
    command = [sys.executable, "-m", "benchmarks.link", "--target", f"{target[0]}:{target[1]}"]
    process = await trio.lowlevel.open_process(
        [*command, "--loss", str(loss), "--seed", str(seed)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        line = b""
        while not line.endswith(b"\n"):
            part = await process.stdout.receive_some()
            if not part:
                raise RuntimeError("the link did not come up")
            line += part
        *_, host, port = line.decode().split()
        yield host, int(port)
    finally:
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()  # which ends it
            await process.wait()
            await process.stdout.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", type=parse_address, required=True)
    parser.add_argument("--loss", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    link = make_link(options.loss, options.seed)
    relay = Relay((CLIENT, 0), options.target, {CLIENT: link})
    print("listening on {} {}".format(*relay.address), flush=True)
    relay.run()


if __name__ == "__main__":
    main()
