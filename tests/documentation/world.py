"""What the documentation's code finds when it runs: a simulated machine and the servers it names.

The machine has Ethernet, Wi-Fi and cellular. Every name leads to one server, which speaks HTTP/3
and echoes whatever else is spoken; it has a certificate for these names from an authority that
stands for the public ones. What a block uses without having made it (an open connection, a client)
is made by `Reader.give`, in the order in which a reader would have got there.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
import trio
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic import events as quic_events
from cryptography import x509

import trioquic
import trioquic.anyio
import trioquic.httpx
import trioquic.policy
from examples.custom_policy import LowestRtt
from tests.sim_server import ServerConnection, ServerOptions, credentials, serve
from tests.supervisor import test_policy as sample
from trioquic import http3
from trioquic._protocol.tls.own_roots import OwnRoots
from trioquic._runtime.opening import credentials as runtime_credentials
from trioquic.testing import Host, SimulatedNetwork

SERVER = "198.51.100.1"
NAMES = ("example.org", "cloudflare-quic.com", "api.example.org")
OWN_ADDRESS = "192.0.2.7"


class Echo:
    """HTTP/3 where it was agreed on; else each stream and datagram comes back."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.quic = connection.quic
        self.http: H3Connection | None = None
        self.begun: set[int] = set()

    def __call__(self, event: quic_events.QuicEvent) -> None:
        if isinstance(event, quic_events.ProtocolNegotiated) and event.alpn_protocol == "h3":
            self.http = H3Connection(self.quic)
        if self.http is not None:
            for happened in self.http.handle_event(event):
                if isinstance(happened, DataReceived | HeadersReceived):
                    self._answer(happened)
        elif isinstance(event, quic_events.StreamDataReceived):
            if self.connection.takes(event.stream_id):
                self.quic.send_stream_data(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, quic_events.DatagramFrameReceived):
            self.quic.send_datagram_frame(event.data)
        self.connection.flush()

    def _answer(self, happened: DataReceived | HeadersReceived) -> None:
        assert self.http is not None
        stream_id = happened.stream_id
        if not self.connection.takes(stream_id):
            return
        data = happened.data if isinstance(happened, DataReceived) else b""
        if stream_id not in self.begun:
            self.begun.add(stream_id)
            self.http.send_headers(
                stream_id, [(b":status", b"200"), (b"content-type", b"text/plain")]
            )
            data = b"hello\n"
        if data or happened.stream_ended:
            self.http.send_data(stream_id, data, happened.stream_ended)


@dataclass(kw_only=True)
class Reader:
    """Runs blocks in one namespace, on a machine of its own."""

    host: Host
    network: SimulatedNetwork
    stack: AsyncExitStack
    namespace: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)
    mains: list[Callable[[], Any]] = field(default_factory=list)
    """What a block has handed to `trio.run` or `anyio.run`."""

    async def give(self, name: str) -> Any:
        """What a block takes for granted."""
        match name:
            case "conn":
                opened = trioquic.open_connection("example.org", 443, alpn=["h3"])
                conn = await self.stack.enter_async_context(opened)
                await conn.wait_handshake_confirmed()
                return conn
            case "http":
                conn = await self.named("conn")
                return await self.stack.enter_async_context(http3.open_http3(conn))
            case "transport":
                return trioquic.httpx.HTTP3Transport()
            case "client":
                transport = await self.named("transport")
                client = httpx.AsyncClient(transport=transport)
                return await self.stack.enter_async_context(client)
            case "sessions":
                return trioquic.MemorySessions()
        raise NameError(f"nothing stands for {name!r}: say what a reader has there", name=name)

    async def named(self, name: str) -> Any:
        if name not in self.namespace:
            self.namespace[name] = self.given[name] = await self.give(name)
        return self.namespace[name]

    def forget(self) -> None:
        """What a block has opened it has closed as well: the next one gets its own."""
        for name in ("conn", "http", "client", "transport"):
            if self.namespace.get(name) is not self.given.get(name):
                del self.namespace[name]
                self.given.pop(name, None)


def plain_names() -> dict[str, Any]:
    """What needs no connection."""
    link = SimpleNamespace(
        name="wlan0", is_mobile=False, costs_money=False, ip=OWN_ADDRESS, prefix=24
    )
    return {
        "trio": trio,
        "anyio": anyio,
        "httpx": httpx,
        "trioquic": trioquic,
        "http3": http3,
        "QuicByteStreamConnectable": trioquic.anyio.QuicByteStreamConnectable,
        "host": "example.org",
        "port": 443,
        "url": "https://example.org/",
        "request": b"GET /\r\n",
        "answer_to": lambda line: f"{line}!\n".encode(),
        "links": [link],
        "LowestRtt": LowestRtt,
        "PolicyEvent": trioquic.policy.PolicyEvent,
        "Migrate": trioquic.policy.Migrate,
        "Trigger": trioquic.policy.Trigger,
        "view": replace(sample.VIEW, paths=(sample.WIFI, replace(sample.CELLULAR, rtt=0.03))),
        "now": sample.NOW,
    }


@asynccontextmanager
async def reader(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    """A machine on which the code of one page runs."""
    chosen = credentials(*NAMES)
    root = x509.load_pem_x509_certificate(chosen.ca_pem)
    public = OwnRoots([root])
    monkeypatch.setattr(runtime_credentials, "_public_roots", lambda: public)
    async with SimulatedNetwork(seed=1) as network:
        server = network.host("server")
        server.add_interface("eth0", SERVER)
        for name in NAMES:
            network.name(name, SERVER)
        options = ServerOptions(
            alpn=("h3", "hq-interop", "my-protocol"),
            credentials=chosen,
            application=Echo,
            session_tickets=True,
            configure=lambda configuration: setattr(
                configuration, "max_datagram_frame_size", 65535
            ),
        )
        for port in (443, 4433):
            await server.start(serve, [SERVER], port, options)
        host = network.host("machine")
        host.add_interface("eth0", "192.0.2.1", metric=1, delay=0.01)
        host.add_interface("wlan0", OWN_ADDRESS, kind="wifi", metric=2, delay=0.025)
        host.add_interface("wwan0", "203.0.113.10", kind="cellular", metric=3, delay=0.04)
        with host.as_current():
            async with AsyncExitStack() as stack:
                here = Reader(
                    host=host, network=network, stack=stack, namespace=dict(plain_names())
                )
                later = here.mains.append
                monkeypatch.setattr(trio, "run", lambda main, *args, **more: later(main))
                monkeypatch.setattr(anyio, "run", lambda main, *args, **more: later(main))
                yield here
