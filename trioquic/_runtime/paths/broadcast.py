"""Path events to any number of subscribers, none of which can hold the connection up.

Each subscriber has a bounded channel. Who does not read loses the newest events; that is counted.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from ...events import PathEvent


class Broadcast:
    """Hands every event to everyone who listens at that moment."""

    def __init__(self, buffer: int) -> None:
        self._buffer = buffer
        self._channels: set[trio.MemorySendChannel[PathEvent]] = set()
        self._closed = False
        self.dropped = 0

    def send(self, event: PathEvent) -> None:
        """Deliver to all; a full channel drops it."""
        for channel in self._channels:
            try:
                channel.send_nowait(event)
            except trio.WouldBlock:
                self.dropped += 1
            except trio.BrokenResourceError:
                # The subscriber closed its end and is about to leave.
                pass

    def close(self) -> None:
        """No more events: subscribers read what they have, and then their end."""
        self._closed = True
        for channel in self._channels:
            channel.close()
        self._channels.clear()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[trio.MemoryReceiveChannel[PathEvent]]:
        """Listen from now on, until the block is left."""
        sender, receiver = trio.open_memory_channel[PathEvent](self._buffer)
        if self._closed:
            sender.close()
        else:
            self._channels.add(sender)
        # the sender first: who still reads in another task finds the end, and no closed channel
        with receiver, sender:
            try:
                yield receiver
            finally:
                self._channels.discard(sender)
