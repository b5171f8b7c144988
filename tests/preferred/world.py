"""Makes an order of events happen on the simulated phone, and tells how it ended.

Until the event the supervisor is held back where it would go further than the order says (`Gate`);
in the orders of the application there is none at all (`automatic=False`).
"""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
from aioquic.quic.configuration import QuicConfiguration

import trioquic
from tests import sim_server
from tests.preferred.orders import Active, Migration, Mover, Order, Preferred
from tests.preferred.rules import CELLULAR, WIFI, End, Outcome, Server
from tests.sim_server import PORT, ServerOptions, SimServer, pattern
from tests.sim_world import CELLULAR as CELLULAR4
from tests.sim_world import PREFERRED, PREFERRED6, SERVER, WIFI6, World
from tests.supervisor.phone import Phone, phone
from trioquic.policy import Decision, OpenPath, PolicyEvent, View

NOWHERE = "198.51.100.77"
ORIGINAL = (SERVER, PORT)
SIZE = 20_000
LONG_ENOUGH = 5.0
NETWORKS = {"wlan0": WIFI, "wwan0": CELLULAR}


@dataclass
class Gate:
    """How far the supervisor may go."""

    probes: bool = False
    """To ask the preferred address over Wi-Fi."""
    open: bool = False
    """Everywhere."""


@dataclass(frozen=True, kw_only=True)
class Held(trioquic.MigrationPolicy):
    """The default policy behind a gate."""

    gate: Gate = field(default_factory=Gate)

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        decision = super().decide(view, event, now)
        if self.gate.open:
            return decision
        asked = [
            action
            for action in decision.of(OpenPath)
            if action.candidate.preferred and action.candidate.interface == "wlan0"
        ]
        return Decision(tuple(asked) if self.gate.probes else ())


def giving(ids: int) -> type[sim_server._Quic]:
    """A server that gives so many connection IDs beside that of the handshake."""

    class Limited(sim_server._Quic):
        def _replenish_connection_ids(self) -> None:
            self._remote_active_connection_id_limit = 1 + ids
            super()._replenish_connection_ids()

    return Limited


def preferred_of(order: Order) -> tuple[str, int]:
    """The address that the server prefers."""
    match order.preferred:
        case Preferred.FAILED:
            return NOWHERE, PORT
        case Preferred.OTHER_FAMILY | Preferred.OUT_OF_REACH:
            return PREFERRED6, PORT
        case Preferred.OTHER_PORT:
            return SERVER, PORT + 1
        case _:
            return PREFERRED, PORT


@dataclass(kw_only=True)
class Run:
    """What is there while an order is played, and what came of it."""

    order: Order
    here: Phone
    gate: Gate
    keys: io.StringIO
    nursery: trio.Nursery
    event_at: float = 0.0
    done: bool = False
    """Whether the content has come whole."""
    ended: trioquic.QuicError | None = None
    refused: trioquic.QuicError | None = None

    # -- before the event --------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Bring the preferred address into the state of the order."""
        await trio.sleep(0.3)  # until the server's connection IDs are there
        if self.order.preferred is Preferred.OTHER_PORT:
            world = self.here.world
            await world.server_host.start(listen_too, world.server, preferred_of(self.order))
        state = self.order.preferred
        if state in (Preferred.PROBING, Preferred.REACHED, Preferred.FAILED):
            if self.order.mover is Mover.SUPERVISOR:
                await self._prepare_supervised(state)
            else:
                await self._prepare_by_hand(state)

    async def _prepare_supervised(self, state: Preferred) -> None:
        self.gate.probes = True
        self.gate.open = state is not Preferred.PROBING
        self.here.conn.network_changed()
        if state is Preferred.PROBING:
            await self.here.until(trioquic.PathOpened)
            await trio.sleep(0.01)
        else:
            await self.here.until(trioquic.PreferredAddressResult)
            await trio.sleep(1)

    async def _prepare_by_hand(self, state: Preferred) -> None:
        conn = self.here.conn
        first = conn.active_path
        path = await conn.add_path(server=preferred_of(self.order))
        if state is Preferred.PROBING:
            self.nursery.start_soon(_ask, path)
            await trio.sleep(0.01)
        elif state is Preferred.FAILED:
            await _ask(path)
            await path.aclose()
            await trio.sleep(1)
        else:
            await path.validate()
            path.migrate()
            assert first is not None
            await first.aclose()
            await trio.sleep(1)

    # -- the event ---------------------------------------------------------------------------------

    async def play(self) -> None:
        """The event, and what follows of it."""
        stream = await self.here.conn.open_stream()
        self.event_at = trio.current_time()
        wifi = self.here.world.wifi
        match self.order.active:
            case Active.SILENT:
                wifi.link.blackhole()
            case Active.DOWN:
                wifi.down()
        self.gate.open = True
        with trio.move_on_after(LONG_ENOUGH):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._download, stream)
                if self.order.mover is Mover.APPLICATION:
                    await self._migrate()
                elif self.order.active is Active.UP:
                    self.here.conn.network_changed()
        if self.done:
            await trio.sleep(1)

    async def _download(self, stream: trioquic.Stream) -> None:
        content = bytearray()
        try:
            await stream.send_all(f"GET {SIZE}\r\n".encode())
            await stream.send_eof()
            async for chunk in stream:
                content += chunk
        except trioquic.QuicError as error:
            self.ended = error
            return
        assert content == pattern(SIZE)
        self.done = True

    async def _migrate(self) -> None:
        try:
            await self.here.conn.migrate(interface="wwan0")
        except trioquic.QuicError as error:
            self.refused = error

    async def revive(self) -> None:
        """Wi-Fi works again: a connection that stayed there goes on."""
        wifi = self.here.world.wifi
        wifi.link.restore()
        wifi.up()
        with trio.fail_after(60):
            await self.here.download(SIZE)

    # -- the end -----------------------------------------------------------------------------------

    def outcome(self) -> Outcome:
        """The same as `rules.py` has."""
        path = self.here.conn.active_path
        asked = frozenset(self._server(address) for address in self.asked())
        if self.ended is not None or path is None:
            return Outcome(WIFI, None, asked, self._end())
        network = NETWORKS[path.interface or ""]
        return Outcome(network, self._server(path.remote), asked, self._end())

    def asked(self) -> set[tuple[str, int]]:
        """Where anything was sent to over cellular since the event."""
        sent = self.here.world.record.select(host="phone", interface="wwan0", since=self.event_at)
        return {record.destination[:2] for record in sent}

    def _server(self, address: tuple[str, int]) -> Server:
        assert address in (ORIGINAL, preferred_of(self.order)), address
        return Server.ORIGINAL if address == ORIGINAL else Server.PREFERRED

    def _end(self) -> End:
        match self.ended, self.refused:
            case trioquic.NoPathError(reason=trioquic.NoPathReason.MIGRATION_FORBIDDEN), _:
                return End.NO_PATH_FORBIDDEN
            case trioquic.NoPathError(reason=trioquic.NoPathReason.NO_CONNECTION_ID), _:
                return End.NO_PATH_NO_ID
            case _, trioquic.MigrationNotAllowedError(refusal=trioquic.Refusal.DISABLED_BY_PEER):
                return End.REFUSED_FORBIDDEN
            case _, trioquic.MigrationNotAllowedError(refusal=trioquic.Refusal.NO_SPARE_ID):
                return End.REFUSED_NO_ID
            case None, None:
                return End.NONE if self.done else End.STAYS
            case error:
                raise AssertionError(f"no end that the table knows: {error}")


async def _ask(path: trioquic.Path) -> None:
    try:
        await path.validate()
    except (trioquic.PathValidationError, trioquic.PathAbandonedError):
        pass


async def listen_too(
    server: SimServer,
    address: tuple[str, int],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The server listens on one more address."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(address)
        server.sockets.append(sock)
        async with trio.open_nursery() as nursery:
            task_status.started()
            await server.listen(nursery, len(server.sockets) - 1)


def prepare_networks(order: Order, world: World) -> None:
    """Each network has one family where the preferred address is of the other one."""
    if order.preferred is Preferred.OTHER_FAMILY:
        world.wifi.remove_address(WIFI6)
        world.cellular.remove_address(CELLULAR4)


@asynccontextmanager
async def started(order: Order) -> AsyncIterator[Run]:
    """The connection is made, and the handshake confirmed."""
    keys, gate = io.StringIO(), Gate()

    def log_keys(configuration: QuicConfiguration) -> None:
        configuration.secrets_log_file = keys

    address = preferred_of(order)
    options = ServerOptions(
        preferred_ipv4=None if ":" in address[0] else address,
        preferred_ipv6=address if ":" in address[0] else None,
        disable_active_migration=order.migration is Migration.FORBIDDEN,
        configure=log_keys,
    )
    policy: trioquic.MigrationPolicy = trioquic.MigrationPolicy(automatic=False)
    if order.mover is Mover.SUPERVISOR:
        policy = Held(gate=gate)
    async with (
        phone(
            options=options,
            policy=policy,
            prepare=lambda world: prepare_networks(order, world),
            ipv6=order.preferred is Preferred.OTHER_FAMILY,
        ) as here,
        trio.open_nursery() as nursery,
    ):
        yield Run(order=order, here=here, gate=gate, keys=keys, nursery=nursery)
        nursery.cancel_scope.cancel()
