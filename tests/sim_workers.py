"""A server with several workers, as the simulator's server can be: `ServerOptions(workers=...)`.

Many servers have a process for each processor, all behind one address and port, and the kernel
gives a datagram to one of them by the four-tuple that it came with. A client that comes from
another port, or behind a NAT that has chosen another, may reach a worker that has never heard of
its connection. That one does what it wants:

- "reset": a stateless reset that the client can tell (nginx 1.26: all workers have one key);
- "alien": one that it cannot, as this worker makes its tokens with a key of its own (nginx 1.30);
- "drop": nothing.

The worker that knows the connection may be `wary`: from an address that is new to it, it takes the
packet with the highest number of all only (nginx 1.30). So it ignores a probe that travels longer
than what the client has sent on its active path meanwhile: for as long as a download lasts.

`restart` is the end of all of them: the ones that follow know no connection, and the keys are the
same if they are kept in a file.
"""

import hashlib
import os
import random
from collections.abc import Sequence
from typing import Literal, TypeAlias

from aioquic.quic.connection import NetworkAddress, QuicConnection, QuicConnectionId
from aioquic.quic.packet import decode_packet_number
from aioquic.tls import Epoch

Strangers: TypeAlias = Literal["reset", "alien", "drop"]
_SHORTEST_RESET = 21
_TOKEN = 16


class Workers:
    """Who gets which datagram, and what those say who do not know the connection."""

    def __init__(
        self, count: int, strangers: Strangers, seed: int = 1, *, wary: bool = False
    ) -> None:
        self.count = count
        self.strangers = strangers
        self.wary = wary
        self.deaf = False
        """Whatever comes from an address that is new to it is overtaken for a wary worker."""
        self._seed = seed
        self._chance = random.Random(seed)
        self.resets = 0
        """How many were sent."""

    def of(self, host: str, port: int) -> int:
        """The number of the worker that gets what comes from there: always the same."""
        place = f"{self._seed}/{host}/{port}".encode()
        return hashlib.sha256(place).digest()[0] % self.count

    def ignores(self, quic: QuicConnection, datagram: bytes, peer: NetworkAddress) -> bool:
        """Whether the worker that knows the connection makes nothing of it all the same."""
        if not self.wary or datagram[0] & 0x80:
            return False
        if any(path.addr == peer for path in quic._network_paths):
            return False
        if self.deaf:
            return True
        start = 1 + len(quic.host_cid)
        protection = quic._cryptos[Epoch.ONE_RTT].recv.hp
        assert protection is not None
        header, number = protection.remove(datagram, start)
        expected = quic._spaces[Epoch.ONE_RTT].expected_packet_number
        return decode_packet_number(number, (header[0] & 3) * 8 + 8, expected) < expected

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
