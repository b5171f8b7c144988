"""A real socket driven as on systems that are not this one: the options, and what is done without.

The options' numbers are those of the systems' headers (netinet/in.h, netinet6/in6.h, ws2ipdef.h).
"""

import socket
from collections.abc import Iterator

import pytest
import trio

from trioquic._protocol.path.mtu import ETHERNET
from trioquic._protocol.sending.outgoing import Batch
from trioquic._runtime.sockets.native_socket import NativeSocket
from trioquic._runtime.sockets.sockets import is_refusal

IP, IPV6 = 0, 41
SYSTEMS = ("darwin", "ios", "win32", "freebsd14")


class PlainSocket(socket.socket):
    """Has nothing but what every system has, and notes the options it is given."""

    options: list[tuple[int, int, int]]

    def setsockopt(self, level: int, name: int, value: int) -> None:  # type: ignore[override]
        self.options.append((level, name, value))
        if level == socket.SOL_SOCKET:
            super().setsockopt(level, name, value)

    def recvmsg_into(self, *_: object) -> None:  # type: ignore[override]
        raise AssertionError("not on every system")

    def sendmsg(self, *_: object) -> int:
        raise AssertionError("not on every system")


def make(platform: str, family: int, remote: tuple[str, int]) -> tuple[NativeSocket, PlainSocket]:
    plain = PlainSocket(family, socket.SOCK_DGRAM)
    plain.options = []
    plain.connect(remote)
    return NativeSocket(plain, remote, None, ETHERNET, platform), plain


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


@pytest.mark.parametrize(
    ("platform", "family", "option"),
    [
        ("darwin", socket.AF_INET, (IP, 28, 1)),
        ("darwin", socket.AF_INET6, (IPV6, 62, 1)),
        ("ios", socket.AF_INET, (IP, 28, 1)),
        ("win32", socket.AF_INET, (IP, 14, 1)),
        ("win32", socket.AF_INET6, (IPV6, 14, 1)),
        ("freebsd14", socket.AF_INET, None),
    ],
)
async def test_dont_fragment(
    platform: str, family: int, option: tuple[int, int, int] | None
) -> None:
    """RFC 9000 section 14: datagrams must not be fragmented."""
    sock, plain = make(platform, family, ("::1" if family == socket.AF_INET6 else "127.0.0.1", 9))
    sock.close()
    of_ip = [given for given in plain.options if given[0] != socket.SOL_SOCKET]
    assert of_ip == ([] if option is None else [option])


@pytest.mark.parametrize("platform", SYSTEMS)
async def test_datagrams_go_and_come_one_by_one(platform: str, peer: socket.socket) -> None:
    sock, _ = make(platform, socket.AF_INET, peer.getsockname())
    try:
        assert sock.send_nowait(Batch(b"aabbc", 2, 0))
        assert [peer.recv(10) for _ in range(3)] == [b"aa", b"bb", b"c"]
        assert sock.receive_nowait() is None
        for data in (b"one", b"two"):
            peer.sendto(data, sock.local)
            with trio.fail_after(5):
                assert await sock.receive() == (data, 3, 0)
    finally:
        sock.close()


async def test_windows_says_reset_for_refused(peer: socket.socket) -> None:
    """WSAECONNRESET is what ICMP's "port unreachable" becomes there: a hint, and no end."""
    sock, plain = make("win32", socket.AF_INET, peer.getsockname())

    class Resetting:
        """Reports one reset, as Windows does in the next call of either direction."""

        resets = 1

        def recv(self, size: int) -> bytes:
            raise ConnectionResetError(10054, "closed by the remote host")

        def send(self, data: bytes) -> int:
            if self.resets:
                self.resets -= 1
                raise ConnectionResetError(10054, "closed by the remote host")
            return plain.send(data)

    sock._sock = Resetting()  # type: ignore[assignment]
    try:
        errors: list[OSError] = []
        sock.tell(errors.append)
        assert sock.receive_nowait() is None
        assert is_refusal(errors[0])
        # the error belongs to an earlier datagram: this one still goes
        assert sock.send_nowait(Batch(b"x", 1, 0))
        assert peer.recv(10) == b"x"
        assert (sock.errors, sock.datagrams_dropped) == (2, 0)
    finally:
        sock._sock = plain
        sock.close()
