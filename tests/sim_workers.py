"""A server with several workers, as the simulator's server can be: `ServerOptions(workers=...)`.

Many servers have a process for each processor, all behind one address and port, and the kernel
gives a datagram to one of them by the four-tuple that it came with. A client that comes from
another port, or behind a NAT that has chosen another, may reach a worker that has never heard of
its connection. That one does what it wants:

- "reset": a stateless reset that the client can tell (nginx 1.26: all workers have one key);
- "alien": one that it cannot, as this worker makes its tokens with a key of its own (nginx 1.30);
- "drop": nothing.

`restart` is the end of all of them: the ones that follow know no connection, and the keys are the
same if they are kept in a file.
"""

import hashlib
import os
import random
from collections.abc import Sequence
from typing import Literal, TypeAlias

from aioquic.quic.connection import QuicConnectionId

Strangers: TypeAlias = Literal["reset", "alien", "drop"]
_SHORTEST_RESET = 21
_TOKEN = 16


class Workers:
    """Who gets which datagram, and what those say who do not know the connection."""

    def __init__(self, count: int, strangers: Strangers, seed: int = 1) -> None:
        self.count = count
        self.strangers = strangers
        self._seed = seed
        self._chance = random.Random(seed)
        self.resets = 0
        """How many were sent."""

    def of(self, host: str, port: int) -> int:
        """The number of the worker that gets what comes from there: always the same."""
        place = f"{self._seed}/{host}/{port}".encode()
        return hashlib.sha256(place).digest()[0] % self.count

    def answer(self, datagram: bytes, ids: Sequence[QuicConnectionId]) -> bytes | None:
        """What is said to a datagram with a short header and an unknown ID: at random as long as
        it may be, so that nobody sees what it is (section 10.3), or nothing. `ids` are those that
        the server gave."""
        known = [i.stateless_reset_token for i in ids if datagram[1:].startswith(i.cid)]
        longest = len(datagram) - 1
        if self.strangers == "drop" or longest < _SHORTEST_RESET or not known:
            return None
        self.resets += 1
        token = known[0] if self.strangers == "reset" else os.urandom(_TOKEN)
        start = os.urandom(self._chance.randint(_SHORTEST_RESET, longest) - _TOKEN)
        return bytes([start[0] & 0x3F | 0x40]) + start[1:] + token
