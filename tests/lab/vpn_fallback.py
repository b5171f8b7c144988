"""An httpx client whose server has no HTTP/3, through a VPN that knows IPv4 only.

    python -m tests.lab.vpn_fallback

The server's name has an address of each family, the IPv6 one first, as resolvers give them. So TCP
would go beside the tunnel at once; and over IPv4 as soon as the tunnel is gone. This process moves
into namespaces of its own (vpn_world.py); it prints what became of each request, and how many
packets to the server left beside the tunnel, as one line of JSON.
"""

import json
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import httpx
import trio

import trioquic
from tests.certificates import Certificates
from trioquic.httpx import HTTP3Transport

from .vpn import end_with
from .vpn_world import PORT, SERVERS, VpnWorld

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Names(trio.abc.HostnameResolver):
    """Every host is the server."""

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: Any,
        family: int = 0,
        type: int = 0,  # noqa: A002 - its name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        kind = type or socket.SOCK_STREAM
        return [
            (socket.AF_INET6, kind, 0, "", (SERVERS[6], int(port), 0, 0)),
            (socket.AF_INET, kind, 0, "", (SERVERS[4], int(port))),
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


async def _serve(listeners: list[socket.socket], certs: Certificates) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certs.server.cert_file, certs.server.key_file)

    async def answer(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            received = b""
            async with stream:
                while data := await stream.receive_some(4096):
                    received += data
                    while b"\r\n\r\n" in received:
                        received = received.partition(b"\r\n\r\n")[2]
                        await stream.send_all(_ANSWER)
        except trio.BrokenResourceError:
            return

    await trio.serve_listeners(
        answer,
        [
            trio.SSLListener(trio.SocketListener(trio.socket.from_stdlib_socket(one)), context)
            for one in listeners
        ],
    )


async def _ask(client: httpx.AsyncClient, longest: float = 10.0) -> str:
    try:
        response = await client.get(f"https://localhost:{PORT}/", timeout=longest)
    except httpx.TransportError as error:
        return f"{type(error).__name__}: {error}"
    return f"{response.status_code} {response.http_version}"


async def run() -> dict[str, Any]:
    """Before the tunnel goes, while it is gone, and when it is back: another device."""
    world = VpnWorld("default")
    world.connect_vpn(ipv6=False)
    listeners = world.listen()
    trio.socket.set_custom_hostname_resolver(Names())
    with tempfile.TemporaryDirectory() as directory:
        certs = Certificates(Path(directory))
        tls = trioquic.TLSConfig(ca_file=certs.ca_file)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.forward)
            nursery.start_soon(world.count_for_ever)
            nursery.start_soon(_serve, listeners, certs)
            async with httpx.AsyncClient(transport=HTTP3Transport(tls=tls)) as client:
                answers = [await _ask(client)]
                world.disconnect_vpn()
                answers += [await _ask(client, 0.5), await _ask(client, 0.5)]
                world.connect_vpn(ipv6=False)
            async with httpx.AsyncClient(transport=HTTP3Transport(tls=tls)) as client:
                answers.append(await _ask(client))
            world.count()
            nursery.cancel_scope.cancel()
    return {"answers": answers, "outside": world.sent.total(), "inside": world.through_tunnel}


def broken(found: dict[str, Any]) -> list[str]:
    """The bounds that do not hold of what `run` has found."""
    first, *gone, again = found["answers"]
    bounds = {
        "the fallback answers while there is a tunnel": first == again == "200 HTTP/1.1",
        "it says that the tunnel is gone": all(
            "ConnectError" in text and "tunnel" in text for text in gone
        ),
        "nothing leaves beside the tunnel": found["outside"] == 0 < found["inside"],
    }
    return [what for what, holds in bounds.items() if not holds]


def main() -> None:
    found = trio.run(run)
    print(json.dumps(found))
    end_with({"the fallback": broken(found)})


if __name__ == "__main__":
    main()
