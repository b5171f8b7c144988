"""A request's slot on a connection of the pool, and how long it waits for that connection."""

import math
from collections.abc import Callable

import trio

from ..failure import CLOSED, Phase, RequestFailedError, during
from ..timeouts import wait_until
from .connection import PooledConnection


class PoolSlot:
    """Its request waits for the connection for `connect` seconds, and for as long as the connection
    is not older than `patience` seconds. It is released once, whatever happens; `tidy` hears of
    that."""

    def __init__(
        self,
        connection: PooledConnection,
        tidy: Callable[[PooledConnection], None],
        connect: float,
        patience: float,
    ) -> None:
        self.connection = connection
        self._tidy = tidy
        self._deadline = trio.current_time() + connect
        self._late = connection.started_at + patience
        self._released = False
        self._overdue = False  # the patience was over: the attempt goes on without the request
        self.early: bool = False
        """Whether its request goes out before the handshake is complete."""

    async def wait_early(self) -> bool:
        """Wait until requests can be sent; whether this one is `early` then. Raises
        `RequestFailedError`."""
        await self._wait(self.connection.opened, self._late)
        self.early = self.connection.takes_early_data
        return self.early

    async def wait_connected(self, *, patiently: bool = False) -> bool:
        """Wait until the handshake is complete; False if the patience is over. The attempt goes on
        by itself then. Raises `RequestFailedError`."""
        return await self._wait(self.connection.settled, math.inf if patiently else self._late)

    async def _wait(self, event: trio.Event, late: float) -> bool:
        connection = self.connection
        if not await wait_until(event, min(late, self._deadline)):
            if late <= self._deadline:
                self._overdue = True
                return False
            text = f"no connection to {connection.endpoint.authority} in time"
            raise RequestFailedError(Phase.CONNECT, text=text)
        if connection.failed:
            with during(Phase.CONNECT):
                raise connection.error or trio.ClosedResourceError(CLOSED)
        return True

    def release(self) -> None:
        """The request is over. Idempotent."""
        if not self._released:
            self._released = True
            self.connection.release()
            self._tidy(self.connection)

    def abandon(self) -> None:
        """`release`, and an attempt to connect that nobody waits for any more is given up."""
        self.release()
        if self.connection.connecting and not self.connection.users and not self._overdue:
            self.connection.end()
