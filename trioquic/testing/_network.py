"""The simulated network: hosts and names around an ideal core.

The network takes the place of trio's socket factory and hostname resolver for the time of its
block, so that every trio program that speaks UDP runs on it unmodified. Under
`trio.testing.MockClock(autojump_threshold=0)` a second of network time costs no second.

The same seed gives the same run: chance on the links comes from generators seeded by it, ephemeral
ports are counted, and for the time of the block trio's scheduler, which shuffles its runnable
tasks, shuffles them from the same seed. What is left are the programs' own sources of chance.
"""

import errno
import socket
from collections import Counter
from contextlib import AbstractAsyncContextManager
from typing import Self

import trio
import trio.abc

from .. import _checks
from .._construction import create
from .._groups import leaves
from ._core import Core
from ._errors import NoCurrentHostError, failure
from ._host import Host, current_host
from ._record import Fate, Recorder
from ._resolver import SimulatedResolver
from ._scheduling import SeededScheduler
from ._sockets import SimulatedSocket


class _Factory(trio.abc.SocketFactory):
    """Makes the sockets of whichever host is current."""

    def socket(
        self,
        family: socket.AddressFamily | int = socket.AF_INET,
        type: socket.SocketKind | int = socket.SOCK_STREAM,  # noqa: A002 - trio's name
        proto: int = 0,
    ) -> SimulatedSocket:
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise failure(errno.EAFNOSUPPORT)
        if type != socket.SOCK_DGRAM:
            raise failure(errno.EPROTONOSUPPORT)
        host = current_host.get(None)
        if host is None:
            raise NoCurrentHostError(
                "no current host in the simulated network: connect, and make sockets, "
                "inside `with host.as_current():`"
            )
        return create(SimulatedSocket, host, family, type, proto)


class SimulatedNetwork:
    """A seeded, multi-homed UDP network inside one trio program; see the example above.

    Hosts and interfaces may be made before the block is entered or inside it. Entering raises
    nothing; leaving cancels the hosts' background tasks, drops the datagrams in flight, gives trio
    its socket factory and resolver back, and lets an exception of the block out as it is. A
    background task or a filter that fails cancels the block, and its exception comes out.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._core = Core(seed)
        self._hosts: dict[str, Host] = {}
        self._resolver = SimulatedResolver()
        self._manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._scheduler = SeededScheduler(f"{seed}/scheduler")
        self.undeliverable: Counter[Fate] = self._core.undeliverable
        """How many datagrams the core dropped, by their fate."""

    # Building

    def host(self, name: str, *, icmp: bool = True) -> Host:
        """A new host; ValueError if the name is taken.

        With `icmp`, datagrams to its closed ports are answered by "port unreachable".
        """
        _checks.check(_checks.text, "name", name)
        if name in self._hosts:
            raise ValueError(f"there is already a host {name}")
        host = self._hosts[name] = create(Host, self._core, name, icmp=icmp)
        return host

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(self._hosts.values())

    def name(self, name: str, *addresses: str) -> None:
        """Let a name resolve to these addresses, in this order; replaces what it was before.

        Without addresses the name exists but resolves to none. ValueError if one is not numeric.
        """
        self._resolver.register(name, addresses)

    def set_resolver_delay(self, seconds: float) -> None:
        """How long the answer to a name takes from now on; 0 at first."""
        self._resolver.delay = seconds

    def record(self, *, limit: int = 100_000, payloads: bool = False) -> Recorder:
        """Start to remember every datagram that any host sends, the newest `limit` of them."""
        recorder = create(Recorder, limit=limit, payloads=payloads)
        self._core.recorders += (recorder,)
        return recorder

    # Running

    async def __aenter__(self) -> Self:
        if self._manager is not None:
            raise RuntimeError("this network is already running")
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._scheduler.start()
        self._old_factory = trio.socket.set_custom_socket_factory(_Factory())
        self._old_resolver = trio.socket.set_custom_hostname_resolver(self._resolver)
        self._core.start(self._nursery)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        manager = self._manager
        assert manager is not None
        self._nursery.cancel_scope.cancel()
        # The block's own exception stays out of the nursery, which would wrap it in a group.
        try:
            await manager.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            _, errors = group.split(trio.Cancelled)
            if errors is None:
                raise
            # A background task or a filter failed, and that failure ended the block.
            raise _single(errors) from None
        finally:
            trio.socket.set_custom_socket_factory(self._old_factory)
            trio.socket.set_custom_hostname_resolver(self._old_resolver)
            self._scheduler.stop()
            self._manager = None
            self._core.stop()

    def now(self) -> float:
        """The time on trio's clock, in seconds."""
        return trio.current_time()


def _single(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception in a group, or the group if there are more. KeyboardInterrupt and
    SystemExit are alone, whatever has failed beside them."""
    for leaf in leaves(errors):
        if not isinstance(leaf, Exception):
            return leaf
    while len(errors.exceptions) == 1:
        only = errors.exceptions[0]
        if not isinstance(only, BaseExceptionGroup):
            return only
        errors = only
    return errors
