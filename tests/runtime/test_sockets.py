"""The seam to the network: batches both ways, ECN, errors that are hints, factories."""

import errno
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import SERVER, WIFI
from trioquic._protocol.sending.outgoing import Batch
from trioquic._runtime.sockets import native_socket
from trioquic._runtime.sockets.binding import bind_socket, connect_socket
from trioquic._runtime.sockets.factory_socket import FactorySocket
from trioquic._runtime.sockets.native_socket import NativeSocket
from trioquic._runtime.sockets.sockets import (
    DatagramSocket,
    Received,
    Remote,
    TooNarrowError,
    is_refusal,
)
from trioquic._runtime.system.route import route_mtu
from trioquic.networks import Interface, InterfaceAddress, ManualNetworks

from .world import open_sockets, phone_world

IPV6_FLOWINFO = 11  # ipv6(7) has it, Python's socket module has not

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux's socket options")


@pytest.fixture(params=["127.0.0.1", "::1"])
def peer(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A plain UDP socket on loopback."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((request.param, 0))
        sock.settimeout(5)
        yield sock


async def open_to(
    peer: socket.socket, *, interface: str | None = None, local: str | None = None
) -> NativeSocket:
    remote = Remote(peer.family, peer.getsockname())
    bound = await bind_socket(
        peer.family,
        interface=interface,
        local=local,
        local_port=0,
        networks=trioquic.system_networks(),
    )
    opened = await connect_socket(bound, remote, interface, networks=trioquic.system_networks())
    assert isinstance(opened, NativeSocket)
    return opened


def split(received: Received) -> list[bytes]:
    size = max(received.segment_size, 1)
    return [received.data[i : i + size] for i in range(0, len(received.data), size)]


async def receive_all(sock: DatagramSocket, count: int) -> list[bytes]:
    datagrams: list[bytes] = []
    with trio.fail_after(5):
        while len(datagrams) < count:
            datagrams += split(await sock.receive())
    return datagrams


async def test_the_sockets_of_a_thread_receive_into_one_buffer(peer: socket.socket) -> None:
    """What was received stays as it was, whatever another socket receives."""
    one, other = await open_to(peer), await open_to(peer)
    try:
        assert one._view is other._view
        peer.sendto(b"for one", one.local)
        peer.sendto(b"for the other", other.local)
        with trio.fail_after(5):
            received = [await one.receive(), await other.receive()]
        assert [got.data for got in received] == [b"for one", b"for the other"]
    finally:
        one.close()
        other.close()
    elsewhere = await trio.to_thread.run_sync(lambda: native_socket._own.view)
    assert elsewhere is not one._view


async def test_addresses(peer: socket.socket) -> None:
    sock = await open_to(peer)
    try:
        assert sock.remote == peer.getsockname()[:2]
        assert sock.local[0] == peer.getsockname()[0]
        assert sock.local[1] > 0
        assert sock.interface is None
    finally:
        sock.close()
        sock.close()


@pytest.mark.parametrize("segmentation", [True, False])
async def test_a_batch_goes_out_as_datagrams(peer: socket.socket, segmentation: bool) -> None:
    sock = await open_to(peer)
    try:
        if not segmentation:
            sock._segmentation = False
        datagrams = [bytes([n]) * 1200 for n in range(40)] + [b"the last is shorter"]
        assert sock.send_nowait(Batch(b"".join(datagrams), 1200, 0))
        assert [peer.recv(65536) for _ in datagrams] == datagrams
        assert sock.errors == 0
    finally:
        sock.close()


@linux_only
async def test_segmentation_is_used_and_given_up_where_it_does_not_work(
    peer: socket.socket,
) -> None:
    sock = await open_to(peer)
    try:
        assert sock._segmentation
        calls: list[int] = []

        class Refusing:
            """A socket whose driver cannot split."""

            def sendmsg(self, buffers: list[bytes], _: object) -> int:
                calls.append(len(buffers[0]))
                raise OSError(errno.EIO, "no checksum offload")

            def send(self, data: bytes) -> int:
                return plain.send(data)

        plain = sock._sock
        sock._sock = Refusing()  # type: ignore[assignment]
        try:
            for _ in range(2):
                assert sock.send_nowait(Batch(b"a" * 1200 + b"b" * 10, 1200, 0))
        finally:
            sock._sock = plain
        assert calls == [1210]
        assert [len(peer.recv(65536)) for _ in range(4)] == [1200, 10, 1200, 10]
    finally:
        sock.close()


@linux_only
@pytest.mark.parametrize("segmentation", [True, False])
@pytest.mark.parametrize(("size", "narrow"), [(1200, True), (1201, False)])
async def test_a_refused_datagram_of_the_least_size_says_something_of_the_network(
    peer: socket.socket, segmentation: bool, size: int, narrow: bool
) -> None:
    """RFC 9000 section 14; what is larger may be a probe of what the path carries."""

    class Refusing:
        """A socket of an interface that takes small packets only."""

        def sendmsg(self, *_: object) -> int:
            raise OSError(errno.EMSGSIZE, "too long")

        send = sendmsg

    sock = await open_to(peer)
    plain = sock._sock
    sock._segmentation = segmentation
    sock._sock = Refusing()  # type: ignore[assignment]
    try:
        assert sock.send_nowait(Batch(bytes(2 * size), size, 0))
    finally:
        sock._sock = plain
        sock.close()
    assert sock.datagrams_dropped == 2
    assert isinstance(sock.last_error, TooNarrowError) is narrow


@linux_only
@pytest.mark.parametrize(
    "name", ["ENOPROTOOPT", "EOPNOTSUPP", "EHOSTUNREACH", "ENETUNREACH", "ENONET", "EMSGSIZE"]
)
@pytest.mark.parametrize("segmentation", [True, False])
async def test_what_an_icmp_message_reports_drops_nothing(
    peer: socket.socket, name: str, segmentation: bool
) -> None:
    """Linux reports it with the next call and does nothing else then. Who knows the addresses and
    ports can forge one for every batch: it must cost neither that nor segmentation."""
    sock = await open_to(peer)
    try:
        sock._segmentation = segmentation

        class Reporting:
            """A socket that an ICMP message has come for."""

            pending = True

            def sendmsg(self, buffers: list[bytes], ancillary: list[tuple[int, int, bytes]]) -> int:
                self._report()
                return plain.sendmsg(buffers, ancillary)

            def send(self, data: bytes) -> int:
                self._report()
                return plain.send(data)

            def getsockopt(self, *options: int) -> int | bytes:
                return plain.getsockopt(*options)

            def _report(self) -> None:
                if self.pending:
                    self.pending = False
                    raise OSError(getattr(errno, name), "reported")

        plain = sock._sock
        sock._sock = Reporting()  # type: ignore[assignment]
        try:
            assert sock.send_nowait(Batch(b"a" * 1200 + b"b" * 10, 1200, 0))
        finally:
            sock._sock = plain
        assert [len(peer.recv(65536)) for _ in range(2)] == [1200, 10]
        assert sock._segmentation is segmentation
        assert (sock.errors, sock.datagrams_dropped) == (1, 0)
    finally:
        sock.close()


@linux_only
async def test_segments_that_are_too_long_do_not_end_segmentation(peer: socket.socket) -> None:
    """Linux before 6.15 or so calls them invalid; then one by one they turn out to be too long."""
    sock = await open_to(peer)
    try:

        class Narrow:
            """A socket on an interface that has become narrower."""

            def sendmsg(self, buffers: list[bytes], _: object) -> int:
                raise OSError(errno.EINVAL, "invalid")

            def send(self, data: bytes) -> int:
                raise OSError(errno.EMSGSIZE, "too long")

        plain, sock._sock = sock._sock, Narrow()  # type: ignore[assignment]
        try:
            assert sock.send_nowait(Batch(b"a" * 1472 + b"b" * 1472, 1472, 0))
        finally:
            sock._sock = plain
        assert sock._segmentation
        assert (sock.errors, sock.datagrams_dropped) == (2, 2)
    finally:
        sock.close()


@linux_only
async def test_the_systems_mtu(peer: socket.socket) -> None:
    """Loopback has an unusual one. A datagram that does not fit is dropped and counted."""
    sock = await open_to(peer)
    try:
        assert sock.mtu == 65_535 + (peer.family == socket.AF_INET6)
        await sock.send(Batch(bytes(65_520), 65_520, 0))
        assert sock.datagrams_dropped == 1
        assert sock.last_error is not None and sock.last_error.errno == errno.EMSGSIZE
    finally:
        sock.close()


@pytest.mark.parametrize("interface", [1280, 9000])
async def test_a_simulated_systems_mtu(
    autojump_clock: trio.testing.MockClock, interface: int
) -> None:
    async with phone_world() as world:
        world.wifi.mtu = interface
        remote = Remote(socket.AF_INET, (SERVER, 4433))
        bound = await bind_socket(
            socket.AF_INET, interface="wlan0", local=None, local_port=0, networks=world.phone
        )
        sock = await connect_socket(bound, remote, "wlan0", networks=world.phone)
        assert sock.mtu == interface
        sock.close()


@pytest.mark.parametrize("error", [OSError(errno.ENOPROTOOPT, "?"), NotImplementedError()])
async def test_a_system_that_does_not_tell_its_mtu(
    peer: socket.socket, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(trio.socket.SocketType, "getsockopt", refuse)
    with trio.socket.socket(peer.family, socket.SOCK_DGRAM) as sock:
        monkeypatch.setattr(type(sock), "getsockopt", refuse)
        assert route_mtu(sock) == 1500


async def test_datagrams_come_in(peer: socket.socket) -> None:
    sock = await open_to(peer)
    try:
        assert sock.receive_nowait() is None
        sent = [bytes([n]) * (1000 + n) for n in range(30)]
        for datagram in sent:
            peer.sendto(datagram, sock.local)
        assert await receive_all(sock, len(sent)) == sent
        peer.sendto(b"", sock.local)
        assert await sock.receive() == Received(b"", 0, 0)
    finally:
        sock.close()


@linux_only
async def test_datagrams_are_joined_when_many_wait(peer: socket.socket) -> None:
    """Not before: most connections end without, and switching it on is dear for the kernel."""
    sock = await open_to(peer)
    try:
        sent = [bytes([n]) * 1200 for n in range(20)] + [b"short"]
        size = (1200).to_bytes(2, sys.byteorder)
        peer.connect(sock.local)
        batch = [b"".join(sent)], [(17, native_socket._UDP_SEGMENT, size)]
        for _ in range(3):
            peer.sendto(sent[0], sock.local)
            assert await receive_all(sock, 1) == sent[:1]
            assert sock.receive_nowait() is None
        assert not sock._sock.getsockopt(17, native_socket._UDP_GRO)
        peer.sendmsg(*batch)
        assert await receive_all(sock, len(sent)) == sent
        assert sock._sock.getsockopt(17, native_socket._UDP_GRO)
        peer.sendmsg(*batch)
        with trio.fail_after(5):
            received = await sock.receive()
        # the kernel hands a batch that it did not have to split on as it is
        assert received.segment_size == 1200
        assert split(received) == sent
    finally:
        sock.close()


@linux_only
async def test_ecn_both_ways(peer: socket.socket) -> None:
    sock = await open_to(peer)
    six = peer.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    try:
        peer.setsockopt(level, 66 if six else 13, 1)
        for ecn in (2, 1, 0):
            assert sock.send_nowait(Batch(b"out", 3, ecn))
            _, ancillary, _, _ = peer.recvmsg(100, 100)
            assert [value[0] & 3 for _, _, value in ancillary] == [ecn]
            peer.setsockopt(level, 67 if six else 1, ecn)
            peer.sendto(b"in", sock.local)
            with trio.fail_after(5):
                assert (await sock.receive()).ecn == ecn
    finally:
        sock.close()


def labels_are_made() -> bool:
    """Whether the administrator has Linux make flow labels, as it does by default."""
    file = Path("/proc/sys/net/ipv6/auto_flowlabels")
    return file.exists() and file.read_text().strip() != "0"


@pytest.mark.skipif(not labels_are_made(), reason="the system makes no flow labels")
@pytest.mark.parametrize("peer", ["::1"], indirect=True)
async def test_each_path_has_a_flow_label_of_its_own(peer: socket.socket) -> None:
    """RFC 9000 section 9.7: the kernel makes it of both addresses and ports and of a secret."""
    peer.setsockopt(socket.IPPROTO_IPV6, IPV6_FLOWINFO, 1)
    labels = []
    for _ in range(4):
        sock = await open_to(peer)
        try:
            found = set()
            for size in (1, 1200):
                assert sock.send_nowait(Batch(bytes(size), size, 0))
                _, ancillary, _, _ = peer.recvmsg(2000, 100)
                found |= {
                    int.from_bytes(value, "big") & 0xFFFFF
                    for level, kind, value in ancillary
                    if (level, kind) == (socket.IPPROTO_IPV6, IPV6_FLOWINFO)
                }
            # one for all packets of the path
            [label] = found
            labels.append(label)
        finally:
            sock.close()
    assert 0 not in labels
    assert len(set(labels)) == 4


@linux_only
async def test_nothing_is_fragmented(peer: socket.socket) -> None:
    sock = await open_to(peer)
    try:
        # more than loopback's MTU of 65536 with its headers, and less than UDP's own limit
        assert sock.send_nowait(Batch(bytes(65_507), 65_507, 0))
        peer.settimeout(0.2)
        if sock.errors:
            assert sock.datagrams_dropped == 1
            assert sock.last_error is not None
            assert sock.last_error.errno == errno.EMSGSIZE
        else:
            assert len(peer.recv(65536)) == 65_507
        six = peer.family == socket.AF_INET6
        level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
        assert sock._sock.getsockopt(level, 23 if six else 10) == 3
    finally:
        sock.close()


@linux_only
async def test_refused_is_counted_and_goes_on(peer: socket.socket) -> None:
    sock = await open_to(peer)
    address = peer.getsockname()
    peer.close()
    try:
        errors: list[OSError] = []
        sock.tell(errors.append)
        assert sock.send_nowait(Batch(b"a", 1, 0))
        await trio.testing.wait_all_tasks_blocked(0.05)
        # reported by whatever comes next; the datagram itself still goes out
        assert sock.send_nowait(Batch(b"b", 1, 0))
        assert sock.errors == 1
        assert sock.datagrams_dropped == 0
        assert is_refusal(errors[0])
        assert isinstance(sock.last_error, ConnectionRefusedError)
        with socket.socket(peer.family, socket.SOCK_DGRAM) as again:
            again.bind(address[:2])
            again.settimeout(5)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert sock.receive_nowait() is None
            assert sock.errors == 2
            assert sock.send_nowait(Batch(b"c", 1, 0))
            assert again.recv(10) == b"c"
            again.sendto(b"d", sock.local)
            assert await receive_all(sock, 1) == [b"d"]
    finally:
        sock.close()


async def test_a_reader_that_meets_only_errors_does_not_spin(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Readable for ever, and always an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        sock = await open_to(peer)
        try:
            tries = 0

            def receive_nowait(self: NativeSocket) -> None:
                nonlocal tries
                tries += 1
                self._errors_in_a_row += 1

            async def readable(_: object) -> None:
                await trio.lowlevel.checkpoint()

            monkeypatch.setattr(NativeSocket, "receive_nowait", receive_nowait)
            monkeypatch.setattr(trio.lowlevel, "wait_readable", readable)
            with trio.move_on_after(10):
                await sock.receive()
            assert tries < 200
        finally:
            sock.close()


async def test_a_full_socket_keeps_the_rest_of_a_batch(peer: socket.socket) -> None:
    sock = await open_to(peer)
    sent: list[bytes] = []

    class Small:
        """A socket that takes one datagram, and then no more for a while."""

        free = 1

        def send(self, data: bytes) -> int:
            if not self.free:
                raise BlockingIOError
            self.free -= 1
            sent.append(data)
            return len(data)

    plain = sock._sock
    small = Small()
    sock._segmentation = False
    sock._sock = small  # type: ignore[assignment]
    try:
        batch = Batch(b"aabbc", 2, 0)
        assert not sock.send_nowait(batch)
        assert sent == [b"aa"]
        small.free = 9
        assert sock.send_nowait(batch)
        assert sent == [b"aa", b"bb", b"c"]
    finally:
        sock._sock = plain
        sock.close()


async def test_closing_wakes_the_reader(peer: socket.socket) -> None:
    sock = await open_to(peer)

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await sock.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        sock.close()


async def test_closing_while_there_is_something_to_read(peer: socket.socket) -> None:
    """The reader and the one who closes are woken together, in either order."""
    for _ in range(20):
        sock = await open_to(peer)
        scope = trio.CancelScope()
        wake = trio.Event()

        async def read(sock: NativeSocket, scope: trio.CancelScope) -> None:
            with scope:
                while True:
                    await sock.receive()

        async def close(sock: NativeSocket, scope: trio.CancelScope, wake: trio.Event) -> None:
            await wake.wait()
            # as PathLink.shut does
            scope.cancel()
            sock.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, sock, scope)
            nursery.start_soon(close, sock, scope, wake)
            await trio.testing.wait_all_tasks_blocked()
            peer.sendto(b"x", sock.local)
            wake.set()
        assert scope.cancelled_caught


@linux_only
async def test_bound_to_an_interface(peer: socket.socket) -> None:
    sock = await open_to(peer, interface="lo")
    try:
        assert sock.interface == "lo"
        assert sock.send_nowait(Batch(b"x", 1, 0))
        assert peer.recv(10) == b"x"
    finally:
        sock.close()


def fake_networks() -> ManualNetworks:
    """A source with one interface, `lab0`."""
    addresses = (
        InterfaceAddress(address="fe80::1", prefix_length=64),
        InterfaceAddress(address="127.0.0.9", prefix_length=8),
    )
    return ManualNetworks([Interface(name="lab0", addresses=addresses)])


async def test_where_the_system_forbids_binding_to_an_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interface's address does instead, as the given networks tell it."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(trio.socket.SocketType, "setsockopt", refuse)
    monkeypatch.setattr(trio._socket._SocketType, "setsockopt", refuse)
    options = {"local": None, "local_port": 0, "networks": fake_networks()}
    sock = await bind_socket(socket.AF_INET, interface="lab0", **options)  # type: ignore[arg-type]
    try:
        assert sock.getsockname()[0] == "127.0.0.9"
    finally:
        sock.close()
    with pytest.raises(trioquic.LocalAddressError) as caught:
        await bind_socket(socket.AF_INET, interface="lab1", **options)  # type: ignore[arg-type]
    assert caught.value.errno == errno.ENODEV
    with pytest.raises(trioquic.LocalAddressError) as caught:
        await bind_socket(socket.AF_INET6, interface="lab0", **options)  # type: ignore[arg-type]
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_a_socket_of_a_factory(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        bound = await bind_socket(
            socket.AF_INET,
            interface="wlan0",
            local=None,
            local_port=0,
            networks=world.phone,
        )
        sock = await connect_socket(
            bound, Remote(socket.AF_INET, (SERVER, 9)), "wlan0", networks=world.phone
        )
        assert isinstance(sock, FactorySocket)
        try:
            assert sock.local[0] == WIFI
            batch = Batch(b"aabbc", 2, 0)
            assert not sock.send_nowait(batch)
            assert sock.receive_nowait() is None
            await sock.send(batch)
            sizes = [record.size for record in world.record.select(host="phone")]
            assert sizes == [2, 2, 1]
            # nobody listens on that port
            errors: list[OSError] = []
            sock.tell(errors.append)
            with trio.move_on_after(1) as scope:
                await sock.receive()
            assert scope.cancelled_caught
            assert is_refusal(errors[0])
            assert sock.errors >= 1
        finally:
            sock.close()
        assert open_sockets(world) == 0
        with pytest.raises(trio.ClosedResourceError):
            await sock.send(batch)
