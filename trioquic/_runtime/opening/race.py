"""Happy Eyeballs over QUIC handshakes (RFC 8305 section 5): the first one that completes wins.

An attempt begins when the one before has failed, was told that nobody listens there, or has had
`attempt_delay` without success. Those that are under way go on meanwhile, also the one that was
told so, as it may be a lie of somebody on the way (`refusals.py`). A completed handshake cancels
all others; each of them closes its socket and tells its server, with one datagram, that nobody is
coming.

Addresses that the resolver tells later join the race in their place; an attempt that is under way
has its time before them.

A tunnel that comes up meanwhile is entered (`late_tunnel.py`): what was to begin outside begins
inside; what is under way there has a second more, and ends without a word to its server.
"""

from collections.abc import Callable, Sequence
from typing import Final

import trio

from ..._groups import bug_in
from ...errors import HandshakeError, LocalAddressError
from ...networks import is_own
from ..connection import Connection
from ..paths.late_tunnel import LateTunnel
from ..paths.reach import Reach
from ..sockets.binding import interface_name
from ..sockets.sockets import DatagramSocket
from .arguments import Plan
from .attempts import Attempts, HandshakeAttempt, RunningAttempt
from .connection_task import ConnectionTask
from .failures import is_final, may_be_the_tickets, summary
from .first_datagram import FirstDatagram
from .lookup import Lookup
from .ways import WayToServer, are_in_tunnels, are_the_systems, other_ways, servers_of, ways_to

_MANY_REFUSED: Final = 2
# The networks are watched from then on, seconds: most handshakes are over before.
_SOON: Final = 0.1

Result = Connection | Exception


class HappyEyeballs:
    """All attempts of one connection, and the life of the connection that comes of them."""

    def __init__(self, plan: Plan, lookup: Lookup, tell: Callable[[Result], None]) -> None:
        self._plan = plan
        self._lookup = lookup
        self._tell = tell
        ways = self._ways()
        self._attempts = Attempts(ways)
        self._first = FirstDatagram(plan, lookup, self._attempts)
        self._refused = 0
        self._failures: list[Exception] = []
        self._result: Result | None = None
        self._winner: RunningAttempt | None = None
        self._news = trio.Event()
        # there is one way, and there will be no other
        self._alone = False
        self._used: set[str] = set()
        self._plan_ways(ways, started=False)
        # what the application named does not depend on the networks, nor does a server that is here
        interfaces = plan.networks.snapshot()
        here = all(is_own(remote.address[0], interfaces) for remote in lookup.remotes)
        self._follows = not plan.named and not plan.migration.leave_tunnel and not here
        self._following = trio.CancelScope()
        # all began in a tunnel, or the server was heard there
        self._in_tunnel = self._follows and are_in_tunnels(plan, ways)
        reach = Reach(plan.networks, plan.migration)
        self._tunnel = LateTunnel(reach, servers_of(lookup.remotes))
        lookup.tell(self._on_addresses)

    def _ways(self) -> list[WayToServer]:
        """The ways that there are now; none, and a note of why, if none may be used."""
        self._no_way: LocalAddressError | None = None
        try:
            return ways_to(self._plan, self._lookup.remotes)
        except LocalAddressError as error:
            # Its traceback refers to this object: that cycle would wait for a garbage collection.
            self._no_way = error.with_traceback(None)
            return []

    def _plan_ways(self, ways: Sequence[WayToServer], started: bool) -> None:
        """These are the ways; `started`: the system's choice has been tried already."""
        plan = self._plan
        self._one_address = len(ways) == 1 and self._lookup.complete
        self._started = started
        # whether other networks may take part later, and those that do already
        self._widens = (
            plan.migration.start_interfaces is None
            and not plan.named
            and are_the_systems(plan, ways)
        )
        there = {interface.name for interface in plan.networks.snapshot() if interface.up}
        self._used = {
            each.interface or ""
            for each in self._attempts.running
            if not each.left and each.interface in there
        }

    async def run(self) -> None:
        """Try until a way leads to the server, and serve that connection; or tell why none does."""
        waiting = self._attempts.waiting
        if self._one_address and not self._widens and not self._follows:
            self._alone = True
            while waiting:
                running = self._attempts.begin(0.0)
                try:
                    await self._try(running)
                finally:
                    self._attempts.running.remove(running)
        else:
            await self._run_several()
        if self._result is None:
            no_way = self._no_way if self._tunnel.there or not self._failures else None
            self._tell(no_way or summary(self._plan, self._failures))

    async def _run_several(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                if self._follows:
                    nursery.start_soon(self._follow)
                await self._start_attempts(nursery)
                if self._result is not None:
                    self._tell(self._result)
                if self._winner is not None and self._winner.task is not None:
                    # with early data that may still be to come
                    await self._winner.task.wait_handshake_over()
                self._following.cancel()
        except BaseExceptionGroup as group:
            bug = bug_in(group)
            if bug is None:
                raise
            raise bug from bug.__cause__

    async def _start_attempts(self, nursery: trio.Nursery) -> None:
        """Until there is a result, and nothing is left of all attempts but the winner."""
        attempts, delay = self._attempts, self._plan.transport.attempt_delay
        while True:
            due = trio.current_time() >= attempts.due
            if due and self._started and self._widens and self._result is None:
                self._widen()
            if self._over:
                return
            self._news = trio.Event()
            if due and attempts.waiting:
                # Where all doors seem shut there is nobody to be spared a second knock.
                shut = self._refused >= _MANY_REFUSED
                self._started = True
                nursery.start_soon(self._try_beside, attempts.begin(0.0 if shut else delay))
            elif due:
                # those under way may still fail, or want another attempt
                await self._news.wait()
                continue
            with trio.move_on_at(attempts.due):
                await self._news.wait()

    @property
    def _over(self) -> bool:
        """Whether nothing is to begin any more, and nothing is left but the winner."""
        attempts = self._attempts
        more = attempts.waiting or not (self._lookup.complete or self._result is not None)
        return not more and all(each is self._winner for each in attempts.running)

    def _on_addresses(self) -> None:
        """The resolver has told of other addresses, or that there are no more."""
        if self._result is not None:
            return
        self._tunnel.note_servers(servers_of(self._lookup.remotes))
        self._plan_again()
        self._news.set()

    # -- a tunnel that comes up --------------------------------------------------------------------

    async def _follow(self) -> None:
        """Follow the networks until cancelled."""
        with self._following:
            await trio.sleep(_SOON)
            await self._tunnel.follow(self._on_networks, self._leave_outside, self._was_in_tunnel)

    def _on_networks(self) -> None:
        """A tunnel has come or gone, or there is one and something is new: which ways are there?"""
        if self._result is not None:
            return
        new = self._plan_again()
        if new or self._widens:
            self._attempts.hurry()
            self._news.set()

    def _plan_again(self) -> bool:
        """Whether there is a way that did not wait before."""
        ways = self._ways()
        going = any(
            each.attempt.way.interface is None for each in self._attempts.running if not each.left
        )
        new = self._attempts.replace(ways)
        self._plan_ways(ways, started=going)
        return new

    def _was_in_tunnel(self) -> bool:
        """Whether the server was heard in the tunnel, or all of this began there: then nothing
        leaves it when it goes, as a connection would not."""
        return self._in_tunnel or any(each.heard_inside for each in self._attempts.running)

    def _leave_outside(self) -> None:
        for running in self._attempts.running:
            if self._tunnel.leads_outside(running.interface):
                running.leave()

    # -- the attempts ------------------------------------------------------------------------------

    def _on_refused(self) -> None:
        """Somebody says that nobody listens there: a reason to hurry, though not to give up."""
        self._refused += 1
        self._attempts.hurry()
        self._news.set()

    def _widen(self) -> None:
        """The first attempts leave the choice of the network to the system. It has not led to the
        server within `attempt_delay`: the other networks take part, which are asked for only now,
        after one other address from there, as it may be the address that leads nowhere."""
        self._widens = False
        others = [
            HandshakeAttempt(way, beside=True)
            for way in other_ways(self._plan, self._lookup.remotes, self._used)
        ]
        self._attempts.waiting[1:1] = others

    async def _try_beside(self, running: RunningAttempt) -> None:
        try:
            with running.scope:
                await self._try(running)
        finally:
            self._in_tunnel |= running.heard_inside
            self._attempts.running.remove(running)
            self._attempts.hurry()
            self._news.set()

    async def _try(self, running: RunningAttempt) -> None:
        """Try one way; with success, until the connection ends."""
        plan, attempt, way = self._plan, running.attempt, running.attempt.way
        if self._follows and self._tunnel.look_again(self._was_in_tunnel):
            self._on_networks()
        try:
            connected = await self._first.connect(way)
        except OSError as error:
            # whose traceback refers to this object, as below
            error.with_traceback(None)
            named = plan.named and way.interface == plan.interface
            if named and isinstance(error, LocalAddressError):
                self._end(error, running)
            elif not attempt.beside:
                self._failures.append(error)
            return
        interface = self._note_interface(connected)
        try:
            attempt, task = await self._first.task_for(attempt, connected, self._one_address)
        except OSError as error:
            self._end(error.with_traceback(None), running)
            return
        running.attempt, running.task, running.interface = attempt, task, interface
        # a tunnel may have come up since this was planned
        if self._tunnel.leads_outside(interface):
            running.leave()
        else:
            running.in_tunnel = self._tunnel.there
            self._attempts.note_begun(attempt.way)
        failure = await task.run(
            lambda connection: self._end(connection, running), self._on_refused, attempt.beside
        )
        if failure is not None:
            self._on_failed(running, task, failure)

    def _note_interface(self, connected: DatagramSocket) -> str | None:
        """The name of the interface that a socket is on. It is closed when this raises."""
        if not self._widens and not self._follows:
            return None
        try:
            name = interface_name(connected, self._plan.networks)
        except BaseException:
            connected.close()
            raise
        if self._widens:
            self._used.add(name or "")
        return name

    def _on_failed(
        self, running: RunningAttempt, task: ConnectionTask, failure: HandshakeError
    ) -> None:
        if task.alternative_version and not running.left:
            # incompatible negotiation (RFC 9368 section 2.1): the same server, from the beginning
            again = running.attempt._replace(version=task.alternative_version)
            self._attempts.put_first(again)
            return
        if task.resumes and may_be_the_tickets(failure) and not running.left:
            # a server that has lost, or changed, what its tickets mean has to say so in a better
            # way (RFC 8446 section 4.2.11), and some do not
            self._attempts.put_first(running.attempt._replace(fresh=True))
            return
        self._failures.append(failure)
        if not running.left:
            self._attempts.note_failed(running.attempt.way)
        if is_final(failure, task.hearsay):
            self._end(summary(self._plan, self._failures), running)

    def _end(self, result: Result, running: RunningAttempt) -> None:
        """Tell the result, unless there is one, and stop all attempts but this one."""
        if self._result is not None:
            # Two came through in the same moment; this one is cancelled already.
            return
        self._result = result
        if self._alone:
            self._tell(result)
            return
        if isinstance(result, Connection):
            self._winner = running
        self._attempts.waiting.clear()
        for other in self._attempts.running:
            if other is not running:
                other.scope.cancel()
        self._news.set()
