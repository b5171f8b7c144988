"""The public connection: it opens streams, keeps paths, and ends.

Everything is passed on to the driver, the halves and the path set; no rule is decided here.
"""

from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import trio

from .. import _checks
from .._construction import NoPublicConstructor, create
from .._deprecation import deprecated
from .._protocol.tls.state import EarlyData
from ..config import CIPHER_SUITES, GROUPS, VERSIONS, TransportConfig
from ..events import PathEvent
from ..health import ConnectionHealth
from ..paths import Address, Path
from ..peer import PeerParameters
from ..policy import PolicyEvent, Trigger
from ..statistics import ConnectionStatistics
from .authority import Authority
from .driver import Driver
from .endpoints import check_local, check_server
from .paths.by_hand import ByHand
from .paths.path_set import PathSet
from .peer import peer_parameters
from .streams.datagrams import DatagramChannel, DatagramReceipt
from .streams.halves import check_code
from .streams.opener import StreamOpener
from .streams.streams import ReceiveStream, SendStream, Stream, make_stream
from .supervisor.supervisor import Supervisor
from .vital_signs import health_of, statistics_of, wait_healthy, wait_unhealthy
from .waiting import Reason

_REASON: Final = _checks.instance(str)


class Connection(
    trio.abc.AsyncResource, metaclass=NoPublicConstructor, made_by="open_connection and connect"
):
    """A QUIC connection to one server, made by `open_connection` or `connect`.

    When it ends, whoever waits and every later call gets a `ConnectionLostError` of the fitting
    kind, or `trio.ClosedResourceError` after one's own close, whichever came first.
    """

    _driver: Driver
    _streams: StreamOpener
    _datagrams: DatagramChannel
    _paths: PathSet
    _by_hand: ByHand
    _supervisor: Supervisor
    _authority: Authority
    _transport: TransportConfig

    def __repr__(self) -> str:
        state = "over" if self._driver.life.over else "open"
        return f"<Connection {state}, {self.alpn}, {len(self.paths)} paths>"

    # -- facts -----------------------------------------------------------------------------------

    @property
    def handshake_complete(self) -> bool:
        """Whether the server is authenticated (RFC 9001 section 4.1.1): always, unless the
        connection sends early data."""
        return self._driver.core.handshake_complete

    async def wait_handshake_complete(self) -> None:
        """Wait until the handshake is complete; raises `HandshakeError` if it fails. Without early
        data it is, and this returns at once. Cancellation leaves nothing behind."""
        await self._driver.life.wait_complete()

    def wait_handshake(self) -> Awaitable[None]:
        """Old name of `wait_handshake_complete`."""
        deprecated("Connection.wait_handshake", "Connection.wait_handshake_complete")
        return self.wait_handshake_complete()

    @property
    def early_data(self) -> EarlyData:
        """What became of early data (RFC 9001 section 4.6); known when the handshake is complete.

        While it is `OFFERED`, the facts below are those of the connection that the ticket came
        from. What was rejected is sent again by itself, under the limits that the server has now.
        """
        return self._driver.life.facts.early_data

    @property
    def alpn(self) -> str:
        """The application protocol that the server chose."""
        return self._driver.life.facts.alpn

    @property
    def resumed(self) -> bool:
        """Whether the server recognised a ticket of an earlier connection (RFC 8446 section 2.2):
        it is authenticated by that, and sent no certificate. See `trioquic.sessions`."""
        return self._driver.life.facts.resumed

    @property
    def peer_certificates(self) -> tuple[bytes, ...]:
        """The server's certificates as it sent them, DER, its own first; when the session was
        `resumed`, those of the connection that the ticket goes back to."""
        return self._driver.life.facts.peer_certificates

    def authenticates(self, name: str) -> bool:
        """Whether the server may be asked as `name`, a host name in ASCII or an IP address: because
        the connection was opened for it, or because the certificate names it, too (RFC 9110
        section 4.3.4). Without verification and with a pinned fingerprint every name is right.
        Until the handshake is complete, only the names that the connection was opened for are."""
        _checks.check(_checks.text, "name", name)
        certificates = self.peer_certificates if self.handshake_complete else ()
        return self._authority.covers(name, certificates)

    @property
    def ocsp_response(self) -> bytes | None:
        """What the server stapled to its certificate to show that it was not revoked: an OCSP
        response, DER (RFC 6066 section 8), or None. It is not judged, not even whether it is about
        this certificate: trust in the certificate does not depend on it."""
        return self._driver.life.facts.ocsp_response

    @property
    def signed_certificate_timestamps(self) -> bytes | None:
        """The timestamps of certificate logs that the server sent with its certificate: a
        SignedCertificateTimestampList (RFC 6962 section 3.3), or None. They are not judged, and
        those inside the certificate are not among them."""
        return self._driver.life.facts.signed_certificate_timestamps

    @property
    def version(self) -> str:
        """The version of QUIC that is spoken, "v1" (RFC 9000) or "v2" (RFC 9369)."""
        return _name_in(VERSIONS, self._driver.core.version)

    @property
    def cipher_suite(self) -> str:
        """The name of the TLS cipher suite (RFC 8446 appendix B.4), "TLS_AES_128_GCM_SHA256" for
        instance; `trioquic.config.CIPHER_SUITES` has its number."""
        return _name_in(CIPHER_SUITES, self._driver.life.facts.cipher_suite)

    @property
    def group(self) -> str | None:
        """The name of the group of the key exchange (RFC 8446 section 4.2.7), "X25519MLKEM768" for
        instance; `trioquic.config.GROUPS` has its number. None while the handshake of a connection
        with early data is not complete: each has an exchange of its own."""
        group = self._driver.life.facts.group
        return _name_in(GROUPS, group) if group else None

    @property
    def transport(self) -> TransportConfig:
        """The limits and times that it was opened with."""
        return self._transport

    @property
    def peer(self) -> PeerParameters:
        """What the server told about itself in the handshake: its transport parameters (RFC 9000
        section 18.2), and whether it sent a Retry."""
        return peer_parameters(self._driver.core)

    @property
    def in_tunnel(self) -> bool:
        """Whether the connection is in a tunnel (a VPN) that it does not leave by itself, also
        while the tunnel is gone. Who opens another one instead of it should stay inside, too:
        `policy.inside(connection.beside_tunnel)`."""
        return self._paths.reach.in_tunnel

    @property
    def beside_tunnel(self) -> frozenset[str]:
        """Names of other tunnels that were up while the connection was in its own, and that the
        system did not choose for it. They count as outside, as its own may run over them, such as
        a VPN over a DSL line on `ppp0`."""
        return self._paths.reach.beside

    @property
    def handshake_confirmed(self) -> bool:
        """Whether the server has confirmed the handshake: from then on paths can be added."""
        return self._driver.life.is_confirmed

    async def wait_handshake_confirmed(self) -> None:
        """Wait until the handshake is confirmed (RFC 9001 section 4.1.2), about one round trip
        after it was complete. Cancellation leaves nothing behind."""
        await self._driver.life.wait_confirmed()

    def wait_confirmed(self) -> Awaitable[None]:
        """Old name of `wait_handshake_confirmed`."""
        deprecated("Connection.wait_confirmed", "Connection.wait_handshake_confirmed")
        return self.wait_handshake_confirmed()

    @property
    def health(self) -> ConnectionHealth:
        """Whether it is of use now: heard, silent, without a path, or over; and whether it may help
        itself. A pool asks this before it hands the connection out."""
        return health_of(self._driver, self._supervisor)

    async def wait_unhealthy(self) -> ConnectionHealth:
        """Wait until the health is not `HealthState.GOOD`, and return it; at once if it is not.
        Cancellation leaves nothing behind."""
        return await wait_unhealthy(self._driver, self._supervisor)

    async def wait_healthy(self) -> None:
        """Wait until the health is `HealthState.GOOD`; at once if it is. Raises what ended the
        connection. Cancellation leaves nothing behind."""
        await wait_healthy(self._driver, self._supervisor)

    @property
    def closed(self) -> bool:
        """Whether the connection is over: it was lost, or this side has closed it or begun to."""
        return self._driver.life.over

    async def wait_closed(self) -> Exception:
        """Wait until the connection is `closed`, and return what every other call raises from then
        on: a `ConnectionLostError` of the fitting kind, `HandshakeError`, or
        `trio.ClosedResourceError` after one's own close. Cancellation leaves nothing behind."""
        await trio.lowlevel.checkpoint()
        while (refusal := self._driver.life.refusal) is None:
            await self._driver.waiters.wait(Reason.HEALTH)
        return refusal

    def statistics(self) -> ConnectionStatistics:
        """A snapshot of all counters."""
        return statistics_of(self._driver, self._paths)

    # -- streams ---------------------------------------------------------------------------------

    @property
    def available_streams(self) -> int:
        """How many streams `open_stream` opens now without waiting for the server's credit (RFC
        9000 section 4.6); 0 when the connection is over."""
        return self._streams.available(True)

    @property
    def available_send_streams(self) -> int:
        """The same for `open_send_stream`."""
        return self._streams.available(False)

    async def open_stream(self, *, early_data: bool = False) -> Stream:
        """Open a stream that goes both ways, waiting until the server allows one more (RFC 9000
        section 4.6). The server hears of it with the first data. Cancelled, none was opened.

        With `early_data`, what is written before the handshake is complete is sent at once, if the
        connection can do that. Who records it can send it to the server again, any number of times
        (RFC 9001 section 9.2): only for what does no harm then. Otherwise this waits for the
        handshake.
        """
        return make_stream(Stream, self._driver, await self._open(True, early_data))

    async def open_send_stream(self, *, early_data: bool = False) -> SendStream:
        """Open a stream to send only; otherwise as `open_stream`."""
        return make_stream(SendStream, self._driver, await self._open(False, early_data))

    async def _open(self, bidirectional: bool, early_data: bool) -> int:
        _checks.check(_checks.flag, "early_data", early_data)
        return await self._streams.open(bidirectional, early_data)

    async def wait_open_stream_might_not_block(self) -> None:
        """Wait until `open_stream` need not wait, unless another task is faster; errors as there.
        Cancellation leaves nothing behind."""
        await self._streams.wait_might_not_block(True)

    async def wait_open_send_stream_might_not_block(self) -> None:
        """Wait until `open_send_stream` need not wait, as the other one for `open_stream`."""
        await self._streams.wait_might_not_block(False)

    async def accept_stream(self) -> Stream | ReceiveStream:
        """Wait for a stream that the server opens, oldest first; a `ReceiveStream` if it goes one
        way only. Any number of tasks may wait. Cancelled, no stream is lost."""
        return await self._streams.accept()

    # -- datagrams -------------------------------------------------------------------------------

    @property
    def max_datagram_size(self) -> int:
        """The largest datagram (RFC 9221) that `send_datagram` takes now, in bytes; 0 if the server
        takes none. It changes with the path's MTU, and when the connection moves to another path:
        1150 bytes fit any path."""
        return self._driver.core.largest_datagram

    def send_datagram(self, data: bytes | bytearray | memoryview) -> DatagramReceipt:
        """Send a datagram (RFC 9221): whole, at most once, in no order, and perhaps not at all.

        Never waits: when `TransportConfig.datagram_buffer` of them wait for the congestion
        window, the oldest is dropped. Datagrams leave before the data of streams. The receipt tells
        what became of this one.

        Raises `DatagramError` when the server takes no datagrams or `data` exceeds
        `max_datagram_size`, and what ended the connection.
        """
        _checks.check(_checks.octets, "data", data)
        return self._datagrams.send(bytes(data))

    async def receive_datagram(self) -> bytes:
        """The next datagram of the server's (RFC 9221), oldest first.

        Any number of tasks may wait. Raises `DatagramError` without `TransportConfig.datagrams`, as
        the server may send none then, and what ended the connection, after what had arrived was
        read. Cancelled, nothing is lost.
        """
        return await self._datagrams.receive()

    # -- paths -----------------------------------------------------------------------------------

    @property
    def paths(self) -> tuple[Path, ...]:
        """The open paths, oldest first."""
        return self._paths.handles

    @property
    def active_path(self) -> Path | None:
        """The path that carries the connection; None while there is none."""
        return self._paths.active

    async def add_path(
        self,
        interface: str | None = None,
        local: str | None = None,
        *,
        local_port: int = 0,
        server: Address | None = None,
    ) -> Path:
        """Open a path from another interface or local address to the same server (RFC 9000
        section 9): a socket of its own, bound and connected, and a connection ID of its own.

        `interface` is a name, `local` an IP address; without both the system chooses the network,
        which need not be that of the active path. `local_port` 0 lets it choose the port as well.
        `server`: which of the server's addresses, where it has preferred ones (section 9.6,
        `peer.preferred_ipv4`); else the one in use. Nothing is sent yet: see `Path.validate`. Waits
        until the handshake is confirmed.

        Raises `LocalAddressError` when the interface or address cannot be used,
        `MigrationNotAllowedError` when the server forbids migration, has no spare connection ID, or
        the policy is switched off, and ValueError for what is no address of the server's, or none
        that may be used any more. Cancelled, no path is left.
        """
        check_local(interface, local, local_port)
        check_server(server)
        return await self._by_hand.add(interface, local, local_port, server)

    def migrate_to(self, path: Path) -> None:
        """Move the connection to a validated path now (RFC 9000 section 9.2).

        The old path stays open as a standby; close it, or move back. Raises
        `PathNotValidatedError`, `PathAbandonedError` and `MigrationNotAllowedError`.
        """
        if not isinstance(path, Path):
            raise TypeError(f"path must be a Path, not {type(path).__name__}")
        self._paths.migrate_to(path)

    async def migrate(
        self, interface: str | None = None, local: str | None = None, *, local_port: int = 0
    ) -> Path:
        """Add a path, validate it, move to it, and close the old one soon: `add_path`, then
        `Path.validate`, then `migrate_to`, with their arguments and errors.

        Where a download moves to a longer way, the server has time to settle first, two round trips
        of the path in use and a second at most (docs/paths.md).

        A standby path that leads the same way is validated again and used, and one that is asked
        already is waited for. The connection stays where the application moved it until that path
        fails, also when a policy would prefer another. Without an interface or address no network
        is chosen: the policy goes on deciding, and enters a VPN. The old path is still listened to
        for `MigrationPolicy.linger`, so that nothing under way on it is lost. While a preferred
        address of the server is neither reached nor given up, both addresses of the server are
        asked from there, and the preferred one is moved to if it answers (section 9.6.3), unless
        `local_port` says that there can be one socket only. With one connection ID of the server's
        left the preferred one is asked first, and the original one if that does not answer, which
        takes three seconds at least (section 8.2.4). When this fails or is cancelled, the new path
        is closed and the connection stays where it was.
        """
        check_local(interface, local, local_port)
        return await self._by_hand.migrate(interface, local, local_port)

    def network_changed(self) -> None:
        """A hint from who knows more than the system tells: look at the networks again, and try
        again what failed a moment ago. Returns at once."""
        self._driver.life.check_open()
        self._supervisor.hear(PolicyEvent(trigger=Trigger.HINT))

    def path_events(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[PathEvent]]:
        """What happens to the paths from now on: `async with conn.path_events() as events`.

        The channel ends with the connection. It holds `TransportConfig.path_event_buffer` events;
        what is beyond is dropped and counted in `statistics().path_events_dropped`.
        """
        return self._paths.news.broadcast.subscribe()

    # -- the rest --------------------------------------------------------------------------------

    def update_keys(self) -> bool:
        """Start a key update (RFC 9001 section 6); False when it is too early for another one."""
        self._driver.life.check_open()
        started = self._driver.core.update_keys()
        self._driver.flush()
        return started

    def ping(self) -> None:
        """Ask the server for a sign of life (RFC 9000 section 19.2); it comes as an
        acknowledgement, which keeps the connection and NATs on the way alive."""
        self._driver.life.check_open()
        self._driver.core.ping()
        self._driver.flush()

    async def aclose(self, error_code: int = 0, reason: str = "") -> None:
        """Close the connection; the server is told `error_code` and `reason` (RFC 9000 section
        10.2). Idempotent.

        Every other call is refused and every waiting task woken at once. Streams that were ended
        with a FIN are given `TransportConfig.drain_timeout` for their data to be acknowledged. So
        is the ticket for the next connection after early data, whose answer is here a round trip
        before the ticket.
        Cancelled, it closes without that, with one datagram; it always closes.
        """
        code = check_code(error_code)
        _checks.check(_REASON, "reason", reason)
        driver = self._driver
        driver.begin_close()
        try:
            # When several tasks close, all of them wait: none cuts short what another waits for.
            await driver.drain()
            await trio.lowlevel.checkpoint()
        finally:
            driver.close(code, reason)
            driver.life.stopped.set()
            # What is left to do is one datagram, and bounded in time.
            with trio.CancelScope(shield=True):
                await driver.life.gone.wait()


def _name_in(numbers: Mapping[str, int], wanted: int) -> str:
    """What this side offered has a name, and the server has chosen among that."""
    return next(name for name, number in numbers.items() if number == wanted)


def make_connection(
    driver: Driver,
    paths: PathSet,
    by_hand: ByHand,
    supervisor: Supervisor,
    authority: Authority,
    transport: TransportConfig,
) -> Connection:
    """The public face of a connection."""
    conn = create(Connection)
    conn._driver = driver
    conn._streams = StreamOpener(driver)
    conn._datagrams = DatagramChannel(driver, accepts=transport.datagrams)
    conn._paths = paths
    conn._by_hand = by_hand
    conn._supervisor = supervisor
    conn._authority = authority
    conn._transport = transport
    return conn
