"""A socket on a tunnel whose device is made anew, in a namespace of its own.

    python -m tests.lab.device_again ADDRESS SERVER

As for who is no superuser, who cannot tie a socket a second time. Prints one line of JSON: what
came out of the device and what the socket read, before the device went and after it was back, and
what the socket counted in between.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio
import trio.testing

from trioquic._protocol.sending.outgoing import Batch
from trioquic._runtime.sockets.binding import bind_socket, connect_socket
from trioquic._runtime.sockets.sockets import DatagramSocket, Remote
from trioquic.networks import ManualNetworks

from .relay import enter_new_namespace, make_device
from .vpn_world import ip

_PORT = 4433
_NOBODY = 65_534
_ECT0 = 2


@contextmanager
def _nobody() -> Iterator[None]:
    """Without privileges."""
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class _Tunnel:
    def __init__(self, local: str, server: str) -> None:
        self._lines = [
            "link set tun0 up",
            f"address add {local}/{64 if ':' in local else 24} dev tun0"
            + (" nodad" if ":" in local else ""),
            f"{'-6 ' if ':' in local else ''}route add {server} dev tun0",
        ]
        self._address = socket.inet_pton(socket.AF_INET6, local).hex() if ":" in local else None
        self._header = 40 if ":" in server else 20
        self._device = -1

    def come(self) -> None:
        self._device = make_device("tun0")
        ip(self._lines)
        # The kernel takes packets for a new IPv6 address a moment after it sends from it: a work
        # queue adds the route. Until then the answer would be dropped.
        while not self._receives():
            time.sleep(0.001)

    def _receives(self) -> bool:
        if self._address is None:
            return True
        with open("/proc/net/ipv6_route") as routes:
            return any(route.startswith(f"{self._address} 80") for route in routes)

    def go(self) -> None:
        os.close(self._device)

    def exchange(self, sock: DatagramSocket, what: bytes) -> dict[str, Any]:
        """Send through the socket, send back what comes out of the device, and read that."""
        with _nobody():
            assert sock.send_nowait(Batch(what, len(what), _ECT0))
        while True:
            packet = bytearray(os.read(self._device, 2000))
            if bytes(packet).endswith(what):
                break  # and not the kernel's own
        udp = self._header
        kind = packet[1] if udp == 20 else packet[1] >> 4
        port = int.from_bytes(packet[udp : udp + 2], "big")
        # both ways look the same to every checksum
        first, size = (12, 4) if udp == 20 else (8, 16)
        second = first + size
        packet[first:second], packet[second : second + size] = (
            packet[second : second + size],
            packet[first:second],
        )
        packet[udp : udp + 2], packet[udp + 2 : udp + 4] = (
            packet[udp + 2 : udp + 4],
            packet[udp : udp + 2],
        )
        os.write(self._device, packet)
        return {"port": port, "ecn": kind & 3}


def _enter() -> None:
    enter_new_namespace()
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as file:
        file.write("0")


async def _run(local: str, server: str) -> None:
    _enter()
    tunnel = _Tunnel(local, server)
    tunnel.come()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with _nobody():
        bound = await bind_socket(
            family, interface="tun0", local=None, local_port=0, networks=ManualNetworks([])
        )
        remote = Remote(family, (server, _PORT))
        sock = await connect_socket(bound, remote, "tun0", networks=ManualNetworks([]))
    came, read = trio.open_memory_channel[str](8)

    async def receive() -> None:
        while True:
            await came.send((await sock.receive()).data.decode())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        before = tunnel.exchange(sock, b"before")
        with trio.fail_after(20):
            texts = [await read.receive()]
        await trio.testing.wait_all_tasks_blocked()
        tunnel.go()
        with _nobody():
            assert sock.send_nowait(Batch(b"lost", 4, 0))
        errors = sock.errors
        tunnel.come()
        after = tunnel.exchange(sock, b"after")
        with trio.move_on_after(5):
            texts.append(await read.receive())
        nursery.cancel_scope.cancel()
    sock.close()
    print(
        json.dumps(
            {
                "local": sock.local[1],
                "before": before,
                "after": after,
                "read": texts,
                "lost": errors,
                "errors": sock.errors,
                "dropped": sock.datagrams_dropped,
            }
        )
    )


if __name__ == "__main__":
    trio.run(_run, sys.argv[1], sys.argv[2])
