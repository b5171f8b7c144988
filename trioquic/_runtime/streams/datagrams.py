"""Datagrams (RFC 9221) as the application sees them."""

from typing import Final

import trio

from ..._construction import NoPublicConstructor, create
from ..._protocol.datagrams import DatagramOutcome, Receipt
from ...errors import DatagramError
from ..driver import Driver
from ..waiting import Reason

_FINAL: Final = (DatagramOutcome.ACKNOWLEDGED, DatagramOutcome.LOST, DatagramOutcome.DROPPED)


class DatagramReceipt(metaclass=NoPublicConstructor, made_by="Connection.send_datagram"):
    """What became of a datagram that was sent; made by `Connection.send_datagram`."""

    __slots__ = ("_driver", "_receipt")

    _driver: Driver
    _receipt: Receipt

    def __repr__(self) -> str:
        return f"<DatagramReceipt {self.outcome.value}>"

    @property
    def outcome(self) -> DatagramOutcome:
        """What is known of it now."""
        return self._receipt.outcome

    async def wait(self) -> DatagramOutcome:
        """Wait until it was acknowledged, lost or dropped.

        An acknowledgement can be late by the peer's max_ack_delay, and a loss is known about a
        round trip later. Raises what ended the connection if that comes first. Cancellation leaves
        nothing behind.
        """
        await trio.lowlevel.checkpoint()
        self._receipt.on_awaited()
        while self.outcome not in _FINAL:
            self._driver.life.check_open()
            await self._driver.waiters.wait(Reason.SETTLED)
        return self.outcome


class DatagramChannel:
    """Sends and receives on one connection. `accepts`: the server was told that it may send."""

    __slots__ = ("_accepts", "_driver")

    def __init__(self, driver: Driver, *, accepts: bool) -> None:
        self._driver = driver
        self._accepts = accepts

    def send(self, data: bytes) -> DatagramReceipt:
        """Queue `data`, to leave with this turn."""
        driver = self._driver
        driver.life.check_open()
        datagrams = driver.core.datagrams
        if not datagrams.supported:
            raise DatagramError("the server takes no datagrams")
        largest = driver.core.largest_datagram
        if len(data) > largest:
            raise DatagramError(f"{len(data)} bytes do not fit: {largest} do at the moment")
        receipt = datagrams.send(data)
        driver.timer.soon()
        handle = create(DatagramReceipt)
        handle._driver = driver
        handle._receipt = receipt
        return handle

    async def receive(self) -> bytes:
        """The next one that came in."""
        await trio.lowlevel.checkpoint_if_cancelled()
        driver = self._driver
        driver.life.check_readable()
        if not self._accepts:
            # none will ever come
            raise DatagramError(
                "the server may send no datagrams: open the connection with"
                " transport=TransportConfig(datagrams=True)"
            )
        data = driver.core.datagrams.take()
        if data is not None:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while data is None:
            driver.life.check_open()
            await driver.waiters.wait(Reason.DATAGRAM)
            driver.life.check_readable()
            data = driver.core.datagrams.take()
        return data
