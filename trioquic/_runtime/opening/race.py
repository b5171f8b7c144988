"""Happy Eyeballs over QUIC handshakes (RFC 8305 section 5): the first one that completes wins.

An attempt begins when the one before has failed, was told that nobody listens there, or has had
`attempt_delay` without success. Those that are under way go on meanwhile, also the one that was
told so, as it may be a lie of somebody on the way (`refusals.py`). A completed handshake cancels
all others; each of them closes its socket and tells its server, with one datagram, that nobody is
coming.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import trio

from ..._groups import bug_in
from ...errors import (
    AlpnError,
    CertificateError,
    HandshakeError,
    HandshakeTimeoutError,
    LocalAddressError,
    VersionError,
)
from ...sessions import Resumption
from ..connection import Connection
from ..sockets.binding import bind_socket, connect_socket, interface_name, interface_of
from ..sockets.sockets import DatagramSocket, Remote, is_here
from .arguments import Plan
from .connection_task import ConnectionTask
from .session_keeper import FirstFlight, network_of
from .ways import WayToServer, other_ways

_MANY_REFUSED: Final = 2
# The server has answered, and another of its addresses would not answer otherwise.
_ANSWERS: Final = (CertificateError, AlpnError, VersionError)

Result = Connection | Exception


class HandshakeAttempt(NamedTuple):
    """A way that is to be tried, or tried again."""

    way: WayToServer
    version: int = 0
    """The version that a Version Negotiation packet offered; 0: there was none."""
    beside: bool = False
    """Over another network than the system's choice: if that cannot be used at all, that tells
    nothing about the server."""


class HappyEyeballs:
    """All attempts of one connection, and the life of the connection that comes of them."""

    def __init__(
        self,
        plan: Plan,
        remotes: Sequence[Remote],
        ways: Sequence[WayToServer],
        tell: Callable[[Result], None],
    ) -> None:
        self._plan = plan
        self._remotes = remotes
        self._tell = tell
        self._one_address = len(ways) == 1
        # whether other networks may take part later, and those that do already
        self._widens = (
            plan.migration.start_interfaces is None
            and not plan.named
            and all(way.interface is None and not is_here(way.remote.address) for way in ways)
        )
        self._used: set[str] = set()
        self._refused = 0
        self._waiting = [HandshakeAttempt(way) for way in ways]
        self._running: list[trio.CancelScope] = []
        self._failures: list[Exception] = []
        self._result: Result | None = None
        self._winner: trio.CancelScope | None = None
        self._news = trio.Event()

    async def run(self) -> None:
        """Try until one way leads to the server, tell of that connection, and serve it to its end;
        or tell why there is none."""
        if len(self._waiting) == 1 and not self._widens:
            while self._waiting:
                await self._try(self._waiting.pop())
        else:
            await self._run_several()
        if self._result is None:
            self._tell(_summary(self._plan, self._failures))

    async def _run_several(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                await self._start_attempts(nursery)
                if self._result is not None:
                    self._tell(self._result)
        except BaseExceptionGroup as group:
            bug = bug_in(group)
            if bug is None:
                raise
            raise bug from bug.__cause__

    async def _start_attempts(self, nursery: trio.Nursery) -> None:
        """Until there is a result, and nothing is left of all attempts but the winner."""
        started = False
        while True:
            if started and self._widens and self._result is None:
                self._widen()
            if not self._waiting and all(scope is self._winner for scope in self._running):
                return
            self._news = trio.Event()
            pause = math.inf  # those under way may still fail, or want another attempt
            if self._waiting:
                # Where all doors seem shut there is nobody to be spared a second knock.
                shut = self._refused >= _MANY_REFUSED
                pause = 0.0 if shut else self._plan.transport.attempt_delay
                scope = trio.CancelScope()
                self._running.append(scope)
                started = True
                nursery.start_soon(self._try_beside, self._waiting.pop(0), scope)
            with trio.move_on_after(pause):
                await self._news.wait()

    def _on_refused(self) -> None:
        """Somebody says that nobody listens there: a reason to hurry, though not to give up."""
        self._refused += 1
        self._news.set()

    def _widen(self) -> None:
        """The first attempts leave the choice of the network to the system. It has not led to the
        server within `attempt_delay`: the other networks take part, which are asked for only now,
        after one other address from there, as it may be the address that leads nowhere."""
        self._widens = False
        others = [
            HandshakeAttempt(way, beside=True)
            for way in other_ways(self._plan, self._remotes, self._used)
        ]
        self._waiting[1:1] = others

    async def _try_beside(self, attempt: HandshakeAttempt, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._try(attempt, scope)
        finally:
            self._running.remove(scope)
            self._news.set()

    async def _try(self, attempt: HandshakeAttempt, scope: trio.CancelScope | None = None) -> None:
        """Try one way; with success, until the connection ends."""
        plan, way = self._plan, attempt.way
        try:
            connected = await self._connect(way)
        except OSError as error:
            named = plan.named and way.interface == plan.interface
            if named and isinstance(error, LocalAddressError):
                self._end(error, scope)
            elif not attempt.beside:
                self._failures.append(error)
            return
        try:
            attempt, task = await self._prepare(attempt, connected)
        except OSError as error:
            self._end(error, scope)
            return
        failure = await task.run(
            lambda connection: self._end(connection, scope),
            self._on_refused,
            attempt.beside,
        )
        if failure is None:
            return
        if task.alternative_version:
            # incompatible negotiation (RFC 9368 section 2.1): the same server, from the beginning
            self._waiting.insert(0, attempt._replace(version=task.alternative_version))
            return
        self._failures.append(failure)
        if _is_final(failure, task.hearsay):
            self._end(_summary(self._plan, self._failures), scope)

    async def _prepare(
        self, attempt: HandshakeAttempt, connected: DatagramSocket
    ) -> tuple[HandshakeAttempt, ConnectionTask]:
        """A task with this socket, for this attempt or a better one. OSError: it cannot write its
        trace."""
        plan = self._plan
        keeper = plan.new_keeper()
        try:
            first = FirstFlight()
            if keeper is not None:
                versions = (attempt.version,) if attempt.version else plan.versions
                first = await keeper.take(connected, versions)
            ticket = first.taken.ticket
            early = plan.early_data and ticket is not None and ticket.early_data
            if early and ticket is not None and not self._one_address:
                attempt, connected, early = await self._go_where_taken(attempt, connected, ticket)
            first = first._replace(renegotiated=attempt.version, early_data=early)
            task = ConnectionTask(plan, attempt.way.remote, connected, keeper, first)
            return attempt, task
        except BaseException:
            connected.close()
            raise

    async def _go_where_taken(
        self, attempt: HandshakeAttempt, connected: DatagramSocket, ticket: Resumption
    ) -> tuple[HandshakeAttempt, DatagramSocket, bool]:
        """This attempt, or the one instead of it that leads to where the ticket came from: there
        the server is, as far as anybody can know who has not asked. Whether there is such a one,
        from the network that the ticket is for."""
        if attempt.way.remote.address[0] == ticket.address:
            return attempt, connected, True
        other = self._where_taken(attempt, ticket)
        if other is None:
            return attempt, connected, False
        network = network_of(connected, self._plan.networks)
        try:
            there = await self._connect(other.way)
        except OSError:
            return attempt, connected, False
        try:
            # It may have had its turn meanwhile.
            if other in self._waiting and network == network_of(there, self._plan.networks):
                self._waiting[self._waiting.index(other)] = attempt
                connected, there = there, connected
                return other, connected, True
            return attempt, connected, False
        finally:
            there.close()

    def _where_taken(
        self, attempt: HandshakeAttempt, ticket: Resumption
    ) -> HandshakeAttempt | None:
        for other in self._waiting:
            if (
                other.way.remote.address[0] == ticket.address
                and other.way.interface == attempt.way.interface
                and other.version == attempt.version
            ):
                return other
        return None

    async def _connect(self, way: WayToServer) -> DatagramSocket:
        """Raises LocalAddressError, and other OSErrors where the system knows no way there."""
        plan = self._plan
        interface = way.interface
        if interface is None and plan.local is not None:
            interface = interface_of(plan.local, way.remote.address[0], plan.networks)
        sock = await bind_socket(
            way.remote.family,
            interface=interface,
            local=plan.local,
            local_port=0,
            networks=plan.networks,
        )
        tie = plan.migration.enabled and plan.migration.automatic
        connected = await connect_socket(sock, way.remote, interface, tie=tie)
        if self._widens:
            self._used.add(interface_name(connected, plan.networks) or "")
        return connected

    def _end(self, result: Result, scope: trio.CancelScope | None) -> None:
        """Tell the result, unless there is one, and stop all attempts but this one."""
        if self._result is not None:
            # Two came through in the same moment; this one is cancelled already.
            return
        self._result = result
        if scope is None:
            self._tell(result)
            return
        if isinstance(result, Connection):
            self._winner = scope
        self._waiting.clear()
        for other in self._running:
            if other is not scope:
                other.cancel()
        self._news.set()


def _is_final(failure: HandshakeError, hearsay: bool) -> bool:
    """Whether nothing else needs to be tried. What anybody on the way may have said, a Version
    Negotiation packet or a close in an Initial packet, says nothing of other addresses and
    networks: the next attempt may get past who said it."""
    return isinstance(failure, _ANSWERS) and not hearsay


def _summary(plan: Plan, failures: list[Exception]) -> HandshakeError:
    """One error for all attempts: the server's own answer if there was one."""
    last = failures[-1]
    alike = len({str(failure) for failure in failures}) == 1
    if isinstance(last, HandshakeError) and (alike or isinstance(last, _ANSWERS)):
        return last._of_all(tuple(failures))
    # the same over several networks need not be said several times
    reasons = "; ".join(dict.fromkeys(str(failure) for failure in failures))
    # where there is no way to an address, nobody was asked
    asked = [failure for failure in failures if isinstance(failure, HandshakeError)]
    timed_out = asked and all(isinstance(failure, HandshakeTimeoutError) for failure in asked)
    kind = HandshakeTimeoutError if timed_out else HandshakeError
    error = kind(
        f"no connection to {plan.host} port {plan.port}: {reasons}", attempts=tuple(failures)
    )
    error.__cause__ = last if len(failures) == 1 else ExceptionGroup("attempts", failures)
    return error
