"""Plays a `Case`: trioquic's public API on a phone with two interfaces, against aioquic's server.

Everything happens under a virtual clock, with every source of chance seeded. A run that takes more
virtual time, datagrams or task switches than its case allows is stopped and says so in
`Outcome.exceeded`; nothing else ends it but the jobs being done or typed errors. Any other
exception comes out.
"""

import hashlib
import io
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

import trio
import trio.testing
from aioquic.quic.configuration import QuicConfiguration

import trioquic
from tests.sim_server import PORT, ServerOptions, pattern
from tests.sim_world import World, simulated_world
from tests.simulation import changes
from tests.simulation.case import Case, Job, Outcome
from tests.simulation.chance import credentials, fingerprint, seeded_randomness
from trioquic.testing import Datagram, Nat

ALPN: Final = "hq-interop"
# No scenario comes near this many; what turns in circles does so soon.
MOST_TASK_STEPS: Final = 400_000
# So often the phone tries to move, and so long it waits in between: challenges are lost as often as
# anything else, and so are the frames that bring new connection IDs.
TRIES: Final = 20
PAUSE: Final = 0.1
# aioquic issues so many connection IDs; and so long they may take to come after a move.
SERVER_IDS: Final = 8
SETTLED: Final = 20.0
NAT: Final = "192.0.2.200"
EVENTS: Final = 1000


class Bounds(trio.abc.Instrument):
    """Ends a run that takes too many task switches or datagrams."""

    def __init__(self, case: Case) -> None:
        self._left = MOST_TASK_STEPS
        self._case = case
        self.scope = trio.CancelScope()
        self.world: World | None = None
        self.exceeded = ""
        self.turns = 0
        """How often the supervisor's task was run."""

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        self.turns += task.name.endswith("Supervisor.run")
        if self._left < 0:
            self._stop("task switches")
        elif self.world is not None and len(self.world.record) > self._case.datagrams:
            self._stop("datagrams")

    def _stop(self, what: str) -> None:
        if not self.exceeded:
            self.exceeded = what
            self.scope.cancel()


class Phone:
    """The client's side of a run."""

    def __init__(self, case: Case, world: World, nat: Nat | None, outcome: Outcome) -> None:
        self._case = case
        self._world = world
        self._nat = nat
        self._outcome = outcome
        self._start = trio.current_time()
        self._cut = trio.Event()

    def _now(self) -> float:
        return trio.current_time() - self._start

    async def run(self) -> None:
        """Connect, do the jobs, move when it is time, close."""
        case = self._case
        outcome = self._outcome
        transport = trioquic.TransportConfig(
            handshake_timeout=case.handshake_timeout,
            idle_timeout=case.idle_timeout,
            path_event_buffer=EVENTS,
            congestion=case.congestion,
        )
        with ExitStack() as stack:
            if case.cut is not None:
                direction = getattr(self._world.wifi.link, case.cut.direction)
                stack.enter_context(direction.filtered(self._watch))
            async with trio.open_nursery() as listeners:
                try:
                    async with trioquic.open_connection(
                        case.server,
                        PORT,
                        alpn=[ALPN],
                        tls=trioquic.TLSConfig(fingerprint=fingerprint()),
                        transport=transport,
                        networks=self._world.phone,
                        # one handshake: what else is tried when it is slow would look like probes
                        migration=replace(case.policy, start_interfaces=1),
                    ) as conn:
                        outcome.handshake = self._now()
                        await listeners.start(self._listen, conn)
                        listeners.start_soon(self._await_confirmation, conn)
                        await self._work(conn)
                except (trioquic.QuicError, trioquic.InternalError) as error:
                    outcome.errors.append(error)
                    outcome.elapsed = self._now()

    async def _work(self, conn: trioquic.Connection) -> None:
        outcome = self._outcome
        case = self._case
        async with trio.open_nursery() as background:
            background.start_soon(self._escape, conn)
            background.start_soon(self._roam, conn)
            background.start_soon(changes.play, self._world, self._nat, case.changes)
            async with trio.open_nursery() as nursery:
                for job in case.jobs:
                    nursery.start_soon(self._do, conn, job)
            outcome.elapsed = self._now()
            outcome.confirmed = conn.handshake_confirmed
            if case.policy.automatic and not outcome.errors:
                outcome.ids_settled = await self._ids_settle(conn)
            outcome.statistics = conn.statistics()
            background.cancel_scope.cancel()

    async def _listen(
        self,
        conn: trioquic.Connection,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until the connection is gone: the supervisor goes on while it drains."""
        async with conn.path_events() as events:
            task_status.started()
            async for event in events:
                self._outcome.events.append((trio.current_time(), event))

    async def _await_confirmation(self, conn: trioquic.Connection) -> None:
        try:
            await conn.wait_handshake_confirmed()
        except (trioquic.ConnectionLostError, trio.ClosedResourceError):
            return
        self._outcome.confirmed_at = trio.current_time()

    async def _ids_settle(self, conn: trioquic.Connection) -> bool:
        """Whether the server replaces every connection ID that was used up."""
        with trio.move_on_after(SETTLED):
            while True:
                now = conn.statistics()
                if now.retiring_peer_ids == 0 and now.spare_peer_ids + len(now.paths) == SERVER_IDS:
                    return True
                await trio.sleep(0.1)
        return False

    # -- jobs --------------------------------------------------------------------------------------

    async def _do(self, conn: trioquic.Connection, job: Job) -> None:
        try:
            stream = await conn.open_stream()
            if job.kind == "download":
                command = f"WAIT {job.wait} {job.size}" if job.wait else f"GET {job.size}"
                await stream.send_all(f"{command}\r\n".encode())
                expected = pattern(job.size)
            else:
                body = pattern(job.size, seed=1)
                await stream.send_all(b"PUT\r\n" + body)
                expected = hashlib.sha256(body).hexdigest().encode()
            await stream.send_eof()
            await self._expect(stream, expected)
        except (trioquic.QuicError, trioquic.InternalError) as error:
            self._outcome.errors.append(error)

    async def _expect(self, stream: trioquic.Stream, expected: bytes) -> None:
        """What comes is right from the first byte on, also when it never comes to the end."""
        outcome = self._outcome
        at = 0
        async for chunk in stream:
            if outcome.cut_at is not None and not outcome.gap:
                outcome.gap = self._now() - outcome.cut_at
            if chunk != expected[at : at + len(chunk)]:
                outcome.wrong.append(f"{stream}: bytes from {at} on")
            at += len(chunk)
        if at != len(expected):
            outcome.wrong.append(f"{stream}: {at} bytes instead of {len(expected)}")

    # -- moving ------------------------------------------------------------------------------------

    def _watch(self, datagram: Datagram) -> bytes:
        cut = self._case.cut
        assert cut is not None
        if datagram.index == cut.at:
            wifi = self._world.wifi
            if cut.ending == "blackhole":
                wifi.link.blackhole()
            elif cut.ending == "one way":
                getattr(wifi.link, cut.direction).blackhole()
            else:
                wifi.down()
            self._outcome.cut_at = self._now()
            self._cut.set()
        return datagram.payload

    async def _escape(self, conn: trioquic.Connection) -> None:
        await self._cut.wait()
        assert self._case.cut is not None and self._outcome.cut_at is not None
        await trio.sleep(self._case.cut.reaction)
        if await self._move(conn, "wwan0"):
            self._outcome.moved = self._now() - self._outcome.cut_at

    async def _roam(self, conn: trioquic.Connection) -> None:
        for number, seconds in enumerate(self._case.roam):
            await trio.sleep(seconds)
            if not await self._move(conn, ("wwan0", "wlan0")[number % 2]):
                return

    async def _move(self, conn: trioquic.Connection, interface: str) -> bool:
        """Migrate, trying again for a while; whether it came off."""
        for _ in range(TRIES):
            try:
                await conn.migrate(interface=interface)
            except trioquic.PathError as error:
                self._outcome.moves.append(type(error).__name__)
                await trio.sleep(PAUSE)
            except trioquic.ConnectionLostError:
                return False
            else:
                self._outcome.moves.append("moved")
                return True
        return False


def run(case: Case, seed: str) -> Outcome:
    """Play a case; the same seed gives the same run."""
    outcome = Outcome()
    bounds = Bounds(case)
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    keys = io.StringIO()

    async def main() -> None:
        nat = Nat(NAT) if case.nat else None
        with bounds.scope, trio.move_on_after(case.seconds) as limit:
            async with simulated_world(
                number,
                options=server_options(case, keys),
                wifi=case.wifi,
                cellular=case.cellular,
                wifi_nat=nat,
                ipv6=":" in case.server,
            ) as world:
                bounds.world = world
                try:
                    with world.phone.as_current():
                        await Phone(case, world, nat, outcome).run()
                finally:
                    outcome.records = world.record.records
                    outcome.sockets_left = len(world.phone.open_sockets)
        if limit.cancelled_caught:
            bounds.exceeded = "virtual seconds"

    clock = trio.testing.MockClock(autojump_threshold=0)
    with seeded_randomness(seed):
        trio.run(main, clock=clock, instruments=[bounds])
    outcome.exceeded = bounds.exceeded
    outcome.turns = bounds.turns
    outcome.secrets = keys.getvalue()
    return outcome


def server_options(case: Case, keys: io.StringIO) -> ServerOptions:
    """What the server does and says."""

    def log_keys(configuration: QuicConfiguration) -> None:
        configuration.secrets_log_file = keys

    preferred = None if case.preferred is None else (case.preferred, PORT)
    return ServerOptions(
        credentials=credentials(case.chain),
        retry=case.retry,
        preferred_ipv4=None if ":" in case.server else preferred,
        preferred_ipv6=preferred if ":" in case.server else None,
        disable_active_migration=case.disable_active_migration,
        idle_timeout=case.idle_timeout,
        configure=log_keys,
    )
