"""A socket that a custom trio socket factory made, driven through trio's asynchronous methods.

That is how a simulated network carries paths. Such a socket cannot say whether it would block, so
everything goes through the path's tasks, one datagram a call.
"""

from typing import Final

import trio

from ..._protocol.sending.outgoing import Batch
from ...paths import Address
from .sockets import MOST_ERRORS_IN_A_ROW, PAUSE, DatagramSocket, Received

_RECEIVE_SIZE: Final = 65_536


class FactorySocket(DatagramSocket):
    """Takes over a bound and connected socket of a factory."""

    def __init__(
        self, sock: trio.socket.SocketType, remote: Address, interface: str | None, mtu: int
    ) -> None:
        host, port = sock.getsockname()[:2]
        super().__init__((host, port), remote, interface, mtu)
        self._sock = sock

    def receive_nowait(self) -> Received | None:
        return None

    async def receive(self) -> Received:
        errors = 0
        while True:
            try:
                data = await self._sock.recv(_RECEIVE_SIZE)
                return Received(data, len(data), 0)
            except OSError as error:
                await self.check_open()
                self.note_error(error)
                errors += 1
            if errors >= MOST_ERRORS_IN_A_ROW:
                await trio.sleep(PAUSE)

    def send_nowait(self, batch: Batch) -> bool:
        return False

    async def send(self, batch: Batch) -> None:
        data, size = batch.data, batch.segment_size
        for start in range(0, len(data), size):
            await self.check_open()
            try:
                await self._sock.send(data[start : start + size])
            except OSError as error:
                await self.check_open()
                self.note_unsent(error, len(data[start : start + size]))

    def _close(self) -> None:
        self._sock.close()
