"""One attempt to connect, and the connection it becomes: a nursery with the timer and the paths.

`run` is the life of a connection as one task. It ends when the connection does, or when it is
cancelled; either way the last thing it does is to send CONNECTION_CLOSE, if the connection was
still open, and to close every socket. It does not stay for the closing period of RFC 9000 section
10.2: a client that has closed its socket cannot be asked anything any more.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import trio

from ..._groups import bug_in
from ..._protocol.events import Ending, HandshakeCompleted, TicketReceived, TokenReceived
from ..._protocol.tls.state import EarlyData
from ...errors import HandshakeError, HandshakeTimeoutError
from ...paths import Address
from ..authority import Authority
from ..connection import Connection, make_connection
from ..driver import Driver
from ..endings import handshake_error
from ..paths.adding import PathAdder
from ..paths.by_hand import ByHand
from ..paths.path_set import PathSet
from ..paths.reach import Reach
from ..sockets.sockets import DatagramSocket, Remote
from ..supervisor.supervisor import Supervisor
from ..tracing.trace import open_trace
from .arguments import Plan
from .refusals import Refusals
from .session_keeper import FirstFlight, SessionKeeper

# Turns of trio's scheduler in which the application can say what goes with the ClientHello: about
# two for each call on a stream.
_FIRST_TURNS: Final = 16


class ConnectionTask:
    """A connection from its first datagram to its last. OSError: its trace cannot be written."""

    def __init__(
        self,
        plan: Plan,
        remote: Remote,
        socket: DatagramSocket,
        keeper: SessionKeeper | None,
        first: FirstFlight,
        others_than: Callable[[Remote], Sequence[Address]],
    ) -> None:
        """`others_than`: what else than an address the server's name stands for."""
        self._plan = plan
        self._others_than = others_than
        self._remote = remote
        self._socket = socket
        self._keeper = keeper
        config = plan.core_config(first)
        core = plan.new_core(config, trio.current_time())
        self._trace = open_trace(plan.transport, core.original_id)
        if self._trace is not None:
            core.observe(self._trace)
            own = config.parameters(core.source_id)
            self._trace.started(socket.local, socket.remote, plan.tls.alpn, own)
        self._ticket = first.taken.ticket
        self._driver = Driver(core, self._trace, plan.transport.drain_timeout, _assumed(first))
        # cancelled when the attempt is not to go on
        self._going_on = trio.CancelScope()

    @property
    def resumes(self) -> bool:
        """Whether it offers a ticket."""
        return self._ticket is not None

    @property
    def heard(self) -> bool:
        """Whether the server has answered, as far as anybody can know."""
        return self._driver.core.statistics().packets_received > 0

    def leave(self) -> None:
        """Nothing is to go this way any more, as it leads beside a tunnel: the attempt fails, and
        the server is not told. Without effect when the handshake is over."""
        self._going_on.cancel()

    async def wait_handshake_over(self) -> None:
        """Wait until the handshake is complete, or will never be. Cancelled, nothing changes."""
        await self._driver.life.handshake_over.wait()

    @property
    def alternative_version(self) -> int:
        """A version to try instead, as the server speaks none of those offered first; 0: none."""
        return self._driver.core.alternative_version

    @property
    def hearsay(self) -> bool:
        """Whether the attempt was ended by what needs no keys that only the server has: a Version
        Negotiation packet, or CONNECTION_CLOSE before the server's Handshake packets could be read
        (RFC 9000 section 7: Initial packets are not authenticated)."""
        end = self._driver.life.end
        if end is None:
            return False
        if end.ending is Ending.PEER_CLOSE:
            return not self._driver.core.has_handshake_keys
        return end.ending is Ending.VERSION

    async def run(
        self, tell: Callable[[Connection], None], refused: Callable[[], None], beside: bool
    ) -> HandshakeError | None:
        """Shake hands, tell of the connection, and serve it to its end. With early data, the
        connection is told of first.

        Returns why there was no connection, or None after there was one. `refused` is told when the
        server's host says for the first time that nobody listens, which may be a lie. `beside`:
        over another network than the system's choice.
        """
        paths: PathSet | None = None
        failure: HandshakeError | None = None
        driver = self._driver
        try:
            if self._left:
                return self._beside_tunnel()
            async with trio.open_nursery() as nursery:
                plan = self._plan
                others = partial(self._others_than, self._remote)
                reach = Reach(plan.networks, plan.migration, plan.interface, others)
                paths = PathSet(driver, nursery, self._remote, reach, plan.transport)
                adder = PathAdder(driver, paths)
                if self._keeper is not None:
                    driver.attach_keeper(partial(self._keep, self._keeper, paths))
                    nursery.start_soon(self._keeper.run)
                supervisor = Supervisor(driver, paths, adder)
                by_hand = ByHand(driver, paths, adder)
                authority = Authority(plan.host, plan.tls)
                connect = partial(
                    make_connection,
                    driver,
                    paths,
                    by_hand,
                    supervisor,
                    authority,
                    plan.transport,
                )
                nursery.start_soon(supervisor.run, nursery)
                refusals = Refusals(driver, refused, nursery.start_soon, beside)
                failure = await self._serve(nursery, paths, refusals, lambda: tell(connect()))
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            bug = bug_in(group)
            if bug is None:
                raise
            if isinstance(bug, Exception):
                # Whoever waits shall know why, and not hear that this side has closed.
                driver.stop_for(bug)
            raise bug from bug.__cause__
        finally:
            await self._leave(paths)
        return failure

    async def _serve(
        self, nursery: trio.Nursery, paths: PathSet, refusals: Refusals, tell: Callable[[], None]
    ) -> HandshakeError | None:
        """From the first datagram to the end of the connection, or to why there was none. No task
        may be started after that, however it ended."""
        driver = self._driver
        plan = self._plan
        paths.start_first(self._socket, plan.named)
        told = driver.core.sends_early_data
        try:
            with self._socket.telling(refusals.note):
                if told:
                    tell()
                    # What is written at once goes with the ClientHello. A server that has read that
                    # begins to answer; what comes a moment later may have to wait for its pacer.
                    for _ in range(_FIRST_TURNS):
                        await trio.lowlevel.checkpoint()
                nursery.start_soon(driver.run)
                driver.flush()
                failure = await self._handshake(refusals)
            if failure is None and not told:
                tell()
            # The application may also have closed a connection that was still to come.
            elif failure is not None and not driver.life.closing:
                if self._trace is not None:
                    self._trace.handshake_failed(str(failure))
                if not told:
                    return failure
                if driver.life.end is None:
                    late = isinstance(failure, HandshakeTimeoutError)
                    driver.give_up(str(failure), timed_out=late)
            await driver.life.stopped.wait()
            return None
        finally:
            paths.stop_serving()

    async def _handshake(self, refusals: Refusals) -> HandshakeError | None:
        life = self._driver.life
        timeout = self._plan.transport.handshake_timeout
        with self._going_on:
            await refusals.wait(life.handshake_over, trio.current_time() + timeout)
        if life.end is not None:
            return handshake_error(life.end)
        if life.completed is not None:
            return None
        where = self._where()
        failure: HandshakeError
        if self._left:
            return self._beside_tunnel()
        if refusals.too_narrow:
            failure = HandshakeError(f"no handshake with {where}: {refusals.too_narrow}")
        elif refusals.believed:
            failure = HandshakeError(f"nothing listens on UDP at {where}")
        else:
            failure = HandshakeTimeoutError(f"no handshake with {where} within {timeout:g} s")
        failure.__cause__ = self._socket.last_error
        return failure

    @property
    def _left(self) -> bool:
        return self._going_on.cancel_called and self._driver.life.completed is None

    def _where(self) -> str:
        return f"{self._remote.address[0]} port {self._remote.address[1]}"

    def _beside_tunnel(self) -> HandshakeError:
        """Nothing is wrong with the server: a timeout, if one that came early."""
        return HandshakeTimeoutError(
            f"no handshake with {self._where()} before a tunnel came up, and nothing goes beside it"
        )

    def _keep(
        self, keeper: SessionKeeper, paths: PathSet, event: TicketReceived | TokenReceived
    ) -> None:
        link = paths.active_link()
        socket = self._socket if link is None else link.socket
        resumed = self._ticket if self._driver.life.facts.resumed else None
        keeper.keep(event, self._remote.address[0], socket, self._driver.core.version, resumed)

    async def _leave(self, paths: PathSet | None) -> None:
        driver = self._driver
        try:
            driver.close(0, "")
            link = None if paths is None else paths.active_link()
            if link is not None and not self._left:
                await link.send_last(trio.current_time())
        finally:
            if paths is not None:
                paths.shut_all()
            self._socket.close()
            if self._trace is not None:
                self._trace.end(driver.core.statistics())
            driver.life.gone.set()
            if self._keeper is not None:
                await self._keeper.finish()


def _assumed(first: FirstFlight) -> HandshakeCompleted | None:
    """What holds of a connection that sends early data before its handshake is complete: what held
    of the session that it is to resume."""
    ticket = first.taken.ticket
    if not first.early_data or ticket is None:
        return None
    return HandshakeCompleted(
        alpn=ticket.alpn,
        cipher_suite=ticket.cipher_suite,
        group=0,
        peer_certificates=ticket.peer_certificates,
        resumed=False,
        ocsp_response=None,
        signed_certificate_timestamps=None,
        early_data=EarlyData.OFFERED,
    )
