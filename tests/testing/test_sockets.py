"""Simulated sockets behave like trio's own."""

import errno
import socket

import pytest
import trio
import trio.testing

from tests.testing.udp import CLIENT, PORT, SERVER, connected, make_socket, pair
from trioquic.testing import Fate, SimulatedNetwork, SimulatedSocket

Clock = trio.testing.MockClock


async def test_closing_wakes_the_reader(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await p.here.recv(10)

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            p.here.close()
        p.here.close()


async def test_a_closed_socket_says_so(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        p.here.close()
        for operation in (p.here.recv(10), p.here.send(b"x"), p.here.bind((CLIENT, 0))):
            with pytest.raises(OSError) as caught:
                await operation
            assert caught.value.errno == errno.EBADF
        with pytest.raises(OSError):
            p.here.getsockname()
        assert p.client.open_sockets == ()


async def test_a_second_reader_is_refused(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(p.here.recv, 10)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await p.here.recv(10)
            nursery.cancel_scope.cancel()


async def test_a_cancelled_receive_takes_nothing(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.01}) as p:
        with trio.move_on_after(1) as scope:
            await p.there.recv(10)
        assert scope.cancelled_caught
        await p.here.send(b"x")
        await trio.sleep(1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await p.there.recv(10)
        assert scope.cancelled_caught
        assert await p.there.recv(10) == b"x"


async def test_a_cancelled_send_sends_nothing(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        for operation in (p.here.send(b"x"), p.here.sendto(b"x", (SERVER, PORT))):
            with trio.CancelScope() as scope:
                scope.cancel()
                await operation
            assert scope.cancelled_caught
        assert not p.there.is_readable()


async def test_every_call_is_a_checkpoint(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        with trio.testing.assert_checkpoints():
            await p.here.send(b"x")
        with trio.testing.assert_checkpoints():
            await p.here.sendto(b"x", (SERVER, PORT))
        with trio.testing.assert_checkpoints():
            await p.there.recv(10)
        with trio.testing.assert_checkpoints():
            await p.there.recvfrom(10)
        with make_socket(p.client) as sock, trio.testing.assert_checkpoints():
            await sock.bind((CLIENT, 0))


async def test_receiving_into_buffers_and_cutting_off(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        for _ in range(4):
            await p.here.send(b"0123456789")
        buffer = bytearray(20)
        assert await p.there.recv_into(buffer) == 10 and buffer[:11] == b"0123456789\0"
        assert await p.there.recv_into(buffer, 3) == 3
        size, source = await p.there.recvfrom_into(memoryview(buffer)[10:14])
        assert size == 4 and buffer[10:15] == b"0123\0" and source == p.here.getsockname()
        assert await p.there.recv(4) == b"0123"
        assert not p.there.is_readable()


async def test_a_connected_socket_hears_its_peer_only(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        p.server.interface("eth0").add_address("198.51.100.2")
        other = make_socket(p.server)
        with other:
            await other.bind(("198.51.100.2", PORT))
            await other.sendto(b"x", p.here.getsockname())
            assert not p.here.is_readable()
            await p.here.connect(("198.51.100.2", PORT))
            await other.sendto(b"y", p.here.getsockname())
            assert await p.here.recv(10) == b"y"


async def test_names_and_unbound_sockets(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        with make_socket(p.client) as sock:
            assert sock.getsockname() == ("0.0.0.0", 0)
            with pytest.raises(OSError) as caught:
                sock.getpeername()
            assert caught.value.errno == errno.ENOTCONN
            with pytest.raises(OSError) as caught:
                await sock.send(b"x")
            assert caught.value.errno == errno.EDESTADDRREQ
            await sock.bind(("", 0))
            assert sock.getsockname()[1] >= 49_152
            with pytest.raises(OSError) as caught:
                await sock.bind(("", 0))
            assert caught.value.errno == errno.EINVAL
            await sock.connect((SERVER, PORT))
            assert sock.getsockname()[0] == CLIENT and sock.getpeername() == (SERVER, PORT)
            assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_DGRAM)
            with pytest.raises(NotImplementedError):
                sock.detach()


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (("server.example", 1), socket.gaierror),
        (("2001:db8::1", 1), socket.gaierror),
        ((SERVER, 65_536), OverflowError),
        ((SERVER, "1"), TypeError),
        (SERVER, TypeError),
    ],
)
async def test_bad_addresses(
    autojump_clock: Clock, address: object, error: type[Exception]
) -> None:
    async with pair(link={}) as p:
        with make_socket(p.client) as sock, pytest.raises(error):
            await sock.connect(address)


async def test_a_full_receive_buffer_drops_and_counts(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        record = p.net.record()
        p.there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 5_000)
        for _ in range(10):
            await p.here.send(bytes(1000))
        assert record.fates() == {Fate.DELIVERED: 4, Fate.BUFFER_FULL: 6}
        assert isinstance(p.there, SimulatedSocket) and p.there.drops == 6
        for _ in range(4):
            await p.there.recv(2000)
        await p.here.send(b"room again")
        assert await p.there.recv(2000) == b"room again"


async def test_options_are_remembered(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        assert p.here.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0
        p.here.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)
        assert p.here.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 2
        p.here.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, b"\x40\0\0\0")
        assert p.here.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 64
        assert p.here.getsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1) == b"\x40"


async def test_only_udp_on_a_known_host(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        with pytest.raises(RuntimeError, match="current host"):
            trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with p.client.as_current():
            with pytest.raises(OSError):
                trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            with pytest.raises(OSError):
                trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


async def test_tasks_inherit_the_host(autojump_clock: Clock) -> None:
    hosts = []

    async def open_one() -> None:
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            assert isinstance(sock, SimulatedSocket)
            hosts.append(sock.host.name)
            await trio.lowlevel.checkpoint()

    async with pair(link={}) as p:
        async with trio.open_nursery() as nursery:
            with p.client.as_current():
                nursery.start_soon(open_one)
                with p.server.as_current():
                    nursery.start_soon(open_one)
        p.client.start_soon(open_one)
        await trio.testing.wait_all_tasks_blocked()
    assert sorted(hosts) == ["client", "client", "server"]


async def test_names_resolve(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        net.name("Server.Example", SERVER, "2001:db8::1")
        net.name("empty.example")
        net.set_resolver_delay(0.5)
        start = trio.current_time()
        found = await trio.socket.getaddrinfo("server.example.", PORT, type=trio.socket.SOCK_DGRAM)
        assert [entry[4] for entry in found] == [(SERVER, PORT), ("2001:db8::1", PORT, 0, 0)]
        assert trio.current_time() - start == pytest.approx(0.5)
        found = await trio.socket.getaddrinfo("server.example", "53", family=socket.AF_INET6)
        assert {entry[1] for entry in found} == {socket.SOCK_STREAM, socket.SOCK_DGRAM}
        assert {entry[4] for entry in found} == {("2001:db8::1", 53, 0, 0)}
        found = await trio.socket.getaddrinfo("192.0.2.1", 1, type=socket.SOCK_DGRAM)
        assert [entry[4] for entry in found] == [("192.0.2.1", 1)]
        for name in ("unknown.example", "empty.example"):
            with pytest.raises(socket.gaierror):
                await trio.socket.getaddrinfo(name, PORT)
        with pytest.raises(socket.gaierror):
            await trio.socket.getaddrinfo("server.example", "no such service")
        assert await trio.socket.getnameinfo((SERVER, 53), 0) == ("server.example", "53")
        assert await trio.socket.getnameinfo(("192.0.2.9", 53), 0) == ("192.0.2.9", "53")


async def test_the_wildcard_as_a_destination_is_the_host_itself(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        with await connected(p.server, "0.0.0.0") as here:
            assert here.getpeername() == ("127.0.0.1", PORT)
