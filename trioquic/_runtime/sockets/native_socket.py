"""A socket of the operating system, driven with as few calls a datagram as it allows.

On Linux one `recvmsg_into` brings what the kernel has joined (UDP_GRO) with its ECN mark, and one
`sendmsg` takes up to 64 datagrams of one size (UDP_SEGMENT). Elsewhere, and when the kernel
refuses, datagrams go one by one. Joining begins when many datagrams wait at once: where no other
socket does it, switching it on and off patches the kernel's code, for 50 us alone and milliseconds
on a busy machine, which most connections would pay for nothing.

A tunnel that is connected again is often a new device under the old name, and a socket that was
tied to the old one reaches nothing any more: sends fail, though the interface is there with its
address. Without privileges it cannot be tied again, so another socket with the same addresses and
port takes its place when a send fails.

Nothing is ever fragmented (RFC 9000 section 14): the don't-fragment bit is set, and what ICMP
claims about the path's MTU is not believed (14.2.1). What other systems call their options was
taken from their headers; only Linux's were tried.
"""

import errno
import socket
import struct
import sys
import threading
from typing import Final

import trio

from ..._protocol.sending.outgoing import Batch
from ...paths import Address
from ..system.interface_binding import SO_BINDTODEVICE, bind_by_name, send_through
from .sockets import MOST_ERRORS_IN_A_ROW, PAUSE, DatagramSocket, Received, is_refusal

# Linux's numbers, which the socket module does not name on all versions
_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_IP_RECVTOS: Final = 13
_IPV6_RECVTCLASS: Final = 66
# Linux's number where Python has none; every system has its own
_IPV6_TCLASS: Final[int] = getattr(socket, "IPV6_TCLASS", 67)
# The don't-fragment bit: the option of IPv4, that of IPv6, and its value. Linux's is
# IP_PMTUDISC_PROBE, which unlike IP_PMTUDISC_DO does not believe ICMP "too big": a forged one could
# otherwise keep us from sending even 1200 bytes.
_DONT_FRAGMENT: Final = {
    "linux": (10, 23, 3),
    "darwin": (28, 62, 1),
    "ios": (28, 62, 1),
    "win32": (14, 14, 1),
}

_LONGEST_NAME: Final = 16  # IFNAMSIZ
_RECEIVE_SIZE: Final = 65_536
_ANCILLARY_SIZE: Final = 128
# What the kernel keeps for us while other tasks run; it silently gives less if it must.
_KERNEL_BUFFER: Final = 4 << 20
# So many datagrams that waited for us, one behind the other, and the kernel is to join them.
_MANY_WAITING: Final = 8
# No hardware or no kernel support for UDP_SEGMENT
_NO_SEGMENTATION: Final = (errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP)
# What the next call on a socket reports after an ICMP message, on one system or another (Linux:
# icmp_err_convert and icmpv6_err_convert). Whoever knows both addresses and ports can send one.
_REPORTED: Final = {
    getattr(errno, name, errno.ECONNREFUSED)
    for name in """EACCES ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH EMSGSIZE ENETDOWN
    ENETUNREACH ENONET ENOPROTOOPT EOPNOTSUPP EPROTO""".split()
}
_UINT16: Final = struct.Struct("=H")
_INT: Final = struct.Struct("=i")


class _ThreadsOwn(threading.local):
    """A buffer that all sockets of a thread share: what comes is copied out of it at once, so none
    of them needs it for longer than one call."""

    def __init__(self) -> None:
        buffer = bytearray(_RECEIVE_SIZE)
        self.buffers = [buffer]
        self.view = memoryview(buffer)


_own: Final = _ThreadsOwn()


class NativeSocket(DatagramSocket):
    """Takes over a bound and connected stdlib socket. `platform` is a seam."""

    def __init__(
        self,
        sock: socket.socket,
        remote: Address,
        interface: str | None,
        mtu: int,
        platform: str = sys.platform,
    ) -> None:
        host, port = sock.getsockname()[:2]
        super().__init__((host, port), remote, interface, mtu)
        sock.setblocking(False)
        self._sock = sock
        self._ipv6 = sock.family == socket.AF_INET6
        self._buffers = _own.buffers
        self._view = _own.view
        self._errors_in_a_row = 0
        # what was received without a wait between, until the kernel joins datagrams
        self._in_a_row = 0
        self._ecn = 0
        # a batch that was sent in part, as datagrams go one by one, and how many bytes of it
        self._partial: Batch | None = None
        self._progress = 0
        self._segmentation = False
        self._can_segment = False
        self._messages = platform == "linux"
        # the interface that it sends by without being bound to it, and that one's number
        self._way_out = ""
        self._way_index = 0
        self._set_options(platform)

    def stay_with(self, name: str) -> None:
        """Send by this interface only, also where the socket cannot be bound to it (Linux)."""
        if self._messages and not _is_bound(self._sock):
            self._send_through(name)

    def _send_through(self, name: str) -> bool:
        """Whether that is news: a device that was made anew has another number."""
        try:
            index = socket.if_nametoindex(name)
            if index == self._way_index:
                return False
            send_through(self._sock, self._sock.family, index)
        except OSError:
            return False
        self._way_out, self._way_index = name, index
        return True

    def _set_options(self, platform: str) -> None:
        for name in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._try_option(socket.SOL_SOCKET, name, _KERNEL_BUFFER)
        if platform in _DONT_FRAGMENT:
            self._try_ip_option(*_DONT_FRAGMENT[platform])
        if not self._messages:
            return
        self._try_ip_option(_IP_RECVTOS, _IPV6_RECVTCLASS, 1)
        # 0 means "not by default": each send says itself whether it has segments
        self._can_segment = self._try_option(_SOL_UDP, _UDP_SEGMENT, 0)
        self._segmentation = self._can_segment

    def _try_ip_option(self, for_ipv4: int, for_ipv6: int, value: int) -> None:
        if self._ipv6:
            self._try_option(socket.IPPROTO_IPV6, for_ipv6, value)
        else:
            self._try_option(socket.IPPROTO_IP, for_ipv4, value)

    def _try_option(self, level: int, name: int, value: int) -> bool:
        try:
            self._sock.setsockopt(level, name, value)
        except OSError:
            return False
        return True

    # -- receiving -------------------------------------------------------------------------------

    def receive_nowait(self) -> Received | None:
        try:
            if sys.platform == "win32" or not self._messages:
                data = self._sock.recv(_RECEIVE_SIZE)
                self._errors_in_a_row = 0
                return Received(data, len(data), 0)
            size, ancillary, _, _ = self._sock.recvmsg_into(self._buffers, _ANCILLARY_SIZE)
        except BlockingIOError:
            self._in_a_row = 0
            return None
        except OSError as error:
            self._errors_in_a_row += 1
            self.note_error(error)
            return None
        self._errors_in_a_row = 0
        if self._in_a_row < _MANY_WAITING:
            self._in_a_row += 1
            if self._in_a_row == _MANY_WAITING:
                self._try_option(_SOL_UDP, _UDP_GRO, 1)
        segment_size = size
        ecn = 0
        for level, kind, value in ancillary:
            if level == _SOL_UDP and kind == _UDP_GRO:
                segment_size = _INT.unpack_from(value)[0]
            else:
                # IP_TOS is one byte, IPV6_TCLASS an int; ECN is in the low bits (RFC 3168)
                ecn = int.from_bytes(value, sys.byteorder) & 3
        return Received(bytes(self._view[:size]), segment_size, ecn)

    async def receive(self) -> Received:
        while True:
            await self.check_open()
            try:
                await trio.lowlevel.wait_readable(self._sock)
            except trio.ClosedResourceError:
                await self.check_open()
                continue  # another has taken its place
            received = self.receive_nowait()
            if received is not None:
                return received
            if self._errors_in_a_row >= MOST_ERRORS_IN_A_ROW:
                await trio.sleep(PAUSE)

    # -- sending ---------------------------------------------------------------------------------

    def send_nowait(self, batch: Batch) -> bool:
        if batch.ecn != self._ecn:
            self._set_ecn(batch.ecn)
        if self._progress and batch is not self._partial:
            # The rest of that one is not wanted any more.
            self._progress = 0
        if self._segmentation and not self._progress and len(batch.data) > batch.segment_size:
            return self._send_segments(batch)
        return self._send_one_by_one(batch)

    def _send_segments(self, batch: Batch) -> bool:
        size = _UINT16.pack(batch.segment_size)
        try:
            self._send_message(batch.data, [(_SOL_UDP, _UDP_SEGMENT, size)])
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _NO_SEGMENTATION:
                self._segmentation = False
                return self._send_one_by_one(batch)
            size_of_one = batch.segment_size
            self.note_unsent(error, size_of_one, -(-len(batch.data) // size_of_one))
        return True

    def _send_one_by_one(self, batch: Batch) -> bool:
        data, size = batch.data, batch.segment_size
        while self._progress < len(data):
            try:
                self._send_message(data[self._progress : self._progress + size], [])
            except BlockingIOError:
                self._partial = batch
                return False
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    # Older kernels say EINVAL to segments of such a size: there is support.
                    self._segmentation = self._can_segment
                self.note_unsent(error, min(size, len(data) - self._progress))
            self._progress += size
        self._progress = 0
        return True

    def _send_message(self, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        """Send; an error that an earlier datagram brought is reported once: it is not ours, and
        nothing was sent. If this one fails as well, it is."""
        reported: OSError | None = None
        for attempt in (1, 2):
            try:
                if sys.platform != "win32" and ancillary:
                    self._sock.sendmsg([data], ancillary)
                else:
                    self._sock.send(data)
            except BlockingIOError:
                raise
            except OSError as error:
                if attempt == 2:
                    raise
                if is_refusal(error):
                    self.note_error(error)
                elif not self._follow_interface():
                    if error.errno not in _REPORTED:
                        raise
                    reported = error
            else:
                if reported is not None:
                    self.note_error(reported)
                return

    def _follow_interface(self) -> bool:
        """Whether the device that the socket was tied to is gone, another has its name, and a
        socket with the same addresses and port has taken this one's place there."""
        old = self._sock
        if self._way_out:
            return self._send_through(self._way_out)
        if self.interface is None or not self._messages or not _has_lost_its_device(old):
            return False
        new = socket.socket(old.family, socket.SOCK_DGRAM)
        try:
            new.setblocking(False)
            bind_by_name(new, old.family, self.interface, None)
            # Sockets that are tied to different devices do not get in each other's way.
            new.bind(old.getsockname())
            new.connect(old.getpeername())
        except OSError:
            # It is not back yet, or not with its address: the next send tries again.
            new.close()
            return False
        self._sock = new
        trio.lowlevel.notify_closing(old)
        old.close()
        ecn, self._ecn = self._ecn, 0
        self._in_a_row = 0
        self._set_options("linux")
        self._set_ecn(ecn)
        return True

    def _set_ecn(self, ecn: int) -> None:
        self._ecn = ecn
        self._try_ip_option(socket.IP_TOS, _IPV6_TCLASS, ecn)

    async def send(self, batch: Batch) -> None:
        while not self.send_nowait(batch):
            await self.check_open()
            try:
                await trio.lowlevel.wait_writable(self._sock)
            except trio.ClosedResourceError:
                await self.check_open()

    def _close(self) -> None:
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()


def _is_bound(sock: socket.socket) -> bool:
    """Whether the socket is bound to a device, also to one that is gone."""
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, _LONGEST_NAME).strip(b"\0"))
    except OSError:
        return True


def _has_lost_its_device(sock: socket.socket) -> bool:
    """Linux remembers the number of the device, and cannot tell its name any more."""
    try:
        sock.getsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, _LONGEST_NAME)
    except OSError as error:
        return error.errno == errno.ENODEV
    return False
