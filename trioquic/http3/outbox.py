"""What is to be sent on one of our own unidirectional streams (RFC 9114 section 6.2).

Whoever has something to say puts it here and goes on; one task sends it, in order. Requests wait
while too much is queued, so a server that gives these streams no credit cannot make it grow.
"""

from typing import Final

import trio

from .errors import ErrorCode, PeerError

ROOM: Final = 1 << 14  # bytes queued from which on new requests wait
MOST: Final = 1 << 18  # bytes queued that no honest peer lets come together


class Outbox:
    def __init__(self, first: bytes) -> None:
        self._queue = bytearray(first)
        self._filled = trio.Event()
        self._room = trio.Event()
        self._filled.set()
        self._room.set()

    def put(self, data: bytes) -> None:
        """Queue `data`. Raises `PeerError` if the server has let far too much come together."""
        if not data:
            return
        self._queue += data
        if len(self._queue) > MOST:
            text = "the server does not read what it asked for"
            raise PeerError(ErrorCode.H3_EXCESSIVE_LOAD, text)
        if len(self._queue) > ROOM and self._room.is_set():
            self._room = trio.Event()
        self._filled.set()

    def offer(self, data: bytes) -> bool:
        """Queue `data` if there is room, and tell whether there was."""
        if not self._room.is_set():
            return False
        self.put(data)
        return True

    async def wait_for_room(self) -> None:
        """Wait until not too much is queued. Cancelled, nothing has happened."""
        await self._room.wait()

    async def run(self, stream: trio.abc.SendStream) -> None:
        """Send what is queued, until cancelled or the stream breaks."""
        while True:
            await self._filled.wait()
            data = bytes(self._queue)
            await stream.send_all(data)
            del self._queue[: len(data)]
            if len(self._queue) <= ROOM:
                self._room.set()
            if not self._queue:
                self._filled = trio.Event()
