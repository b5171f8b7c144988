"""What an attempt to connect needs before its first datagram: a socket, and earlier sessions."""

from ...sessions import Resumption
from ..paths.reach import Reach
from ..sockets.binding import bind_socket, connect_socket, interface_of
from ..sockets.sockets import DatagramSocket
from .arguments import Plan
from .attempts import Attempts, HandshakeAttempt
from .connection_task import ConnectionTask
from .lookup import Lookup
from .session_keeper import FirstFlight, network_of
from .ways import WayToServer


class FirstDatagram:
    """Prepares the attempts of one connection."""

    def __init__(self, plan: Plan, lookup: Lookup, attempts: Attempts) -> None:
        self._plan = plan
        self._lookup = lookup
        self._attempts = attempts

    async def connect(self, way: WayToServer) -> DatagramSocket:
        """A socket for this way. Raises LocalAddressError, and other OSErrors where the system
        knows no way there. Cancelled, nothing is left open."""
        plan, server = self._plan, way.remote.address
        interface, networks = way.interface, plan.networks
        reach = Reach(networks, plan.migration, plan.interface)
        local = plan.local or reach.source_for(interface, server)
        if interface is None and local is not None:
            interface = interface_of(local, server, networks)
        sock = await bind_socket(
            way.remote.family, interface=interface, local=local, networks=networks
        )
        tie = plan.migration.enabled and plan.migration.automatic
        return await connect_socket(sock, way.remote, interface, networks=networks, tie=tie)

    async def task_for(
        self, attempt: HandshakeAttempt, connected: DatagramSocket, one_address: bool
    ) -> tuple[HandshakeAttempt, ConnectionTask]:
        """A task with this socket, for this attempt or a better one; `one_address`: there is no
        other. OSError: no trace can be written. When this raises, the socket is closed."""
        plan = self._plan
        keeper = plan.new_keeper()
        try:
            first = FirstFlight()
            if keeper is not None and not attempt.fresh:
                versions = (attempt.version,) if attempt.version else plan.versions
                first = await keeper.take(connected, versions)
            ticket = first.taken.ticket
            early = plan.early_data and ticket is not None and ticket.early_data
            if early and ticket is not None and not one_address:
                attempt, connected, early = await self._go_where_taken(attempt, connected, ticket)
            first = first._replace(renegotiated=attempt.version, early_data=early)
            task = ConnectionTask(
                plan, attempt.way.remote, connected, keeper, first, self._lookup.others_than
            )
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
            there = await self.connect(other.way)
        except OSError:
            return attempt, connected, False
        try:
            # It may have had its turn meanwhile.
            waiting = self._attempts.waiting
            if other in waiting and network == network_of(there, self._plan.networks):
                waiting[waiting.index(other)] = attempt
                connected, there = there, connected
                return other, connected, True
            return attempt, connected, False
        finally:
            there.close()

    def _where_taken(
        self, attempt: HandshakeAttempt, ticket: Resumption
    ) -> HandshakeAttempt | None:
        wanted = ticket.address, attempt.way.interface, attempt.version
        for other in self._attempts.waiting:
            if (other.way.remote.address[0], other.way.interface, other.version) == wanted:
                return other
        return None
