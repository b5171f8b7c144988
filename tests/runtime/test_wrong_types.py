"""What a slip in a call says: one sentence, before anything is sent.

One table of calls for the whole public API. Each is made with a value of a wrong type or form; the
error is the documented one, its message begins with the argument's name, and nothing has left.
"""

import asyncio
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio
import trio.testing

import trioquic
import trioquic.addresses
import trioquic.anyio
import trioquic.httpx
import trioquic.plot
from tests.http3.world import URL, Application
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import SERVER, World, simulated_world
from trioquic import TLSConfig, http3
from trioquic._construction import create
from trioquic.http3.exchange import Exchange

pytestmark = pytest.mark.plain

Call = Callable[[], object]
Case = tuple[Call, type[Exception], str]
UNVERIFIED = TLSConfig(verify=False)


async def said(call: Call) -> Exception:
    """What a call raises, in whatever way it is to be made."""
    try:
        result: Any = call()
        if inspect.isawaitable(result):
            await result
        else:
            async with result:
                pass
    except (TypeError, ValueError) as error:
        return error
    raise AssertionError("nothing was raised")


async def check(cases: list[Case], world: World) -> None:
    sent = len(world.record)
    for number, (call, kind, message) in enumerate(cases):
        error = await said(call)
        assert type(error) is kind, (number, error)
        assert re.match(message, str(error)), (number, str(error))
        assert "\n" not in str(error) and len(str(error)) < 250
    assert len(world.record) == sent


def opening(**more: Any) -> object:
    arguments = {"host": SERVER, "port": PORT, "alpn": ["h3"], "tls": UNVERIFIED, **more}
    return trioquic.open_connection(**arguments)


async def test_open_connection(autojump_clock: trio.testing.MockClock) -> None:
    alone = "host must be a name or an IP address alone, not "
    cases: list[Case] = [
        (
            lambda: opening(host="https://example.org/"),
            ValueError,
            alone + "'https://example.org/'",
        ),
        (lambda: opening(host="example.org:443"), ValueError, alone),
        (lambda: opening(host="[::1]"), ValueError, alone),
        (
            lambda: opening(host="https://me:secret@example.org"),
            ValueError,
            alone + r"'https://me:\*\*\*@",
        ),
        (lambda: opening(host=b"example.org"), TypeError, "host must be a str, not bytes"),
        (lambda: opening(port="443"), TypeError, "port must be an integer, not str"),
        (
            lambda: opening(alpn="h3"),
            TypeError,
            r"alpn must be a sequence of names, .*\(write",
        ),
        (lambda: opening(alpn=[b"h3"]), TypeError, "each name in alpn must be a str, not bytes"),
        (lambda: opening(alpn=["x" * 256]), ValueError, "each name in alpn must have 1 to 255"),
        (lambda: opening(tls="ca.pem"), TypeError, "tls must be a TLSConfig, not str"),
        (lambda: opening(transport={}), TypeError, "transport must be a TransportConfig, not dict"),
        (lambda: opening(migration=True), TypeError, "migration must be a MigrationPolicy, not b"),
        (lambda: opening(networks="eth0"), TypeError, "networks must have the methods of Netw"),
        (lambda: opening(sessions="s.json"), TypeError, "sessions must have the methods of Ses"),
        (
            lambda: opening(networks=trioquic.ManualNetworks),
            TypeError,
            r"networks must be an object, not the class ManualNetworks: write ManualNetworks\(\)",
        ),
        (
            lambda: opening(sessions=trioquic.MemorySessions),
            TypeError,
            r"sessions must be an object, not the class MemorySessions: write MemorySessions\(\)",
        ),
        (lambda: opening(early_data="yes"), TypeError, "early_data must be a bool, not str"),
        (lambda: opening(interface=["wlan0"]), TypeError, "interface must be a str, not list"),
        (lambda: opening(local=5), TypeError, "local must be a str, not int"),
        (
            lambda: opening(addresses=b"x"),
            TypeError,
            "addresses must be a sequence of IP",
        ),
        (
            lambda: opening(addresses="192.0.2.1"),
            TypeError,
            "addresses must be a sequence of IP",
        ),
        (lambda: opening(server_name="https://x"), ValueError, "server_name must be a name or an"),
        (
            lambda: trioquic.connect(None, SERVER, PORT, alpn=["h3"]),  # type: ignore[arg-type]
            TypeError,
            "nursery must be a Nursery, not NoneType",
        ),
    ]
    async with simulated_world(ipv6=False) as world:
        with world.phone.as_current():
            await check(cases, world)


async def test_connections_and_streams(autojump_clock: trio.testing.MockClock) -> None:
    async with simulated_world(options=ServerOptions(alpn=("h3",)), ipv6=False) as world:
        with world.phone.as_current():
            opened = trioquic.open_connection(SERVER, PORT, alpn=["h3"], tls=UNVERIFIED)
            async with opened as given:
                await given.wait_handshake_confirmed()
                conn: Any = given
                stream: Any = await conn.open_stream()
                await trio.sleep(1)
                data = "data must be bytes, bytearray or memoryview, not "
                cases: list[Case] = [
                    # once this sent five zeros
                    (lambda: stream.send_all(5), TypeError, data + "int"),
                    (lambda: stream.send_all([1, 2]), TypeError, data + "list"),
                    (lambda: stream.send_all("x"), TypeError, data + r"str \(encode it first\)"),
                    (lambda: stream.send_all(None), TypeError, data + "NoneType"),
                    (lambda: conn.send_datagram(5), TypeError, data + "int"),
                    (lambda: conn.send_datagram("x"), TypeError, data + "str"),
                    (lambda: conn.authenticates(3), TypeError, "name must be a str, not int"),
                    (lambda: stream.receive_some("9"), TypeError, "max_bytes must be an integer"),
                    (lambda: stream.receive_some(True), TypeError, "max_bytes must be an integer"),
                    (lambda: stream.receive_some(0), ValueError, "max_bytes must be from 1"),
                    (lambda: stream.reset(None), TypeError, "error_code must be an integer, not N"),
                    (
                        lambda: stream.reset(1 << 62),
                        ValueError,
                        "error_code must be from 0 to",
                    ),
                    (lambda: stream.stop("x"), TypeError, "error_code must be an integer, not s"),
                    (lambda: stream.set_priority(8), ValueError, "urgency must be from 0 to 7"),
                    (
                        lambda: stream.set_priority(3, incremental="no"),
                        TypeError,
                        "incremental must be a bool, not str",
                    ),
                    (lambda: conn.open_stream(early_data=1), TypeError, "early_data must be a b"),
                    (lambda: conn.aclose("x"), TypeError, "error_code must be an integer, not str"),
                    (lambda: conn.aclose(0, b"x"), TypeError, "reason must be a str, not bytes"),
                    (lambda: conn.add_path(["lo"]), TypeError, "interface must be a str, not list"),
                    (lambda: conn.migrate(local=5), TypeError, "local must be a str"),
                    (lambda: conn.migrate_to("wlan0"), TypeError, "path must be a Path, not str"),
                    (lambda: http3.open_http3(5), TypeError, "connection must be a Connection"),  # type: ignore[arg-type]
                    (
                        lambda: http3.open_http3(conn, {}),  # type: ignore[arg-type]
                        TypeError,
                        "config must be an? HTTP3Config, not dict",
                    ),
                ]
                await check(cases, world)


async def test_http3(autojump_clock: trio.testing.MockClock) -> None:
    options = ServerOptions(alpn=("h3",), application=Application)
    async with simulated_world(options=options, ipv6=False) as world:
        with world.phone.as_current():
            async with (
                trioquic.open_connection(
                    SERVER, PORT, alpn=["h3"], tls=UNVERIFIED, server_name="server.example"
                ) as conn,
                http3.open_http3(conn) as opened,
            ):
                http: Any = opened
                request: Any = await http.open_request("POST", "https", "server.example", "/wait")
                answer: Any = create(http3.Response, Exchange(request, conn), URL)
                await trio.sleep(1)
                pairs = r"headers must be a sequence of \(name, value\) pairs, not "
                one = "each name and value in headers must be bytes or str, not int"
                content = "content must be bytes or an asynchronous iterable of bytes, not "
                url = URL + "/echo"
                cases: list[Case] = [
                    (lambda: http.request("GET", b"x"), TypeError, "url must be a str, not bytes"),
                    (
                        lambda: http.request("GET", httpx.URL(url)),
                        TypeError,
                        "url must be a str, not URL",
                    ),
                    (
                        lambda: http.request("GET", "server.example"),
                        ValueError,
                        "HTTP/3 needs an ",
                    ),
                    (lambda: http.request(b"GET", url), TypeError, "method must be a str, not b"),
                    (
                        lambda: http.request("GET", url, headers={"a": "b"}),
                        TypeError,
                        pairs + r"dict \(write list\(headers.items\(\)\)\)",
                    ),
                    (lambda: http.request("GET", url, headers="a: b"), TypeError, pairs + "str"),
                    (lambda: http.request("GET", url, headers=None), TypeError, pairs + "NoneType"),
                    (
                        lambda: http.request("GET", url, headers=["ab"]),
                        TypeError,
                        r"each of headers must be a \(name, value\) pair, not 'ab'",
                    ),
                    (lambda: http.request("GET", url, headers=[("a", 5)]), TypeError, one),
                    (lambda: http.request("PUT", url, content="text"), TypeError, content + "str"),
                    (lambda: http.request("PUT", url, content=[b"x"]), TypeError, content + "list"),
                    (
                        lambda: http.request("GET", url, priority=3),
                        TypeError,
                        "priority must be a ",
                    ),
                    (
                        lambda: http.request("GET", url, early_data=1),
                        TypeError,
                        "early_data must ",
                    ),
                    (
                        lambda: http.open_request("GET", "https", "server.example", b"/"),
                        TypeError,
                        "path must be a str, not bytes",
                    ),
                    (
                        lambda: http.open_request("GET", "https", "server.example", "a"),
                        ValueError,
                        "path must begin with a slash, not 'a'",
                    ),
                    (lambda: request.send_data("x"), TypeError, "data must be bytes, bytearray or"),
                    (lambda: request.send_trailers({"a": "b"}), TypeError, pairs + "dict"),
                    (lambda: request.receive_data(1.5), TypeError, "max_bytes must be an integer"),
                    (lambda: answer.read(max_bytes="x"), TypeError, "max_bytes must be an integer"),
                    (lambda: answer.read(max_bytes=-1), ValueError, "max_bytes must be from 0"),
                    (lambda: answer.receive_some(1.5), TypeError, "max_bytes must be an integer"),
                    (lambda: answer.receive_some(0), ValueError, "max_bytes must be from 1"),
                ]
                await check(cases, world)


OTHERS: list[Case] = [
    (
        lambda: http3.Client(sessions=trioquic.MemorySessions),  # type: ignore[arg-type]
        TypeError,
        r"sessions must be an object, not the class MemorySessions: write MemorySessions\(\)",
    ),
    (
        lambda: trioquic.httpx.HTTP3Transport(networks=trioquic.ManualNetworks),  # type: ignore[arg-type]
        TypeError,
        "networks must be an object, not the class ManualNetworks",
    ),
    (lambda: trioquic.FileSessions(5), TypeError, "path must be a path"),  # type: ignore[arg-type]
    (lambda: trioquic.ManualNetworks(5), TypeError, "interfaces must be a sequence of Interface"),  # type: ignore[arg-type]
    (lambda: trioquic.ManualNetworks(["lo"]), TypeError, "each of interfaces must be an Interface"),  # type: ignore[list-item]
    (
        lambda: trioquic.addresses.candidate_pairs([], "192.0.2.1"),
        TypeError,
        "remotes must be a sequence of IP addresses, not str",
    ),
    (
        lambda: trioquic.addresses.candidate_pairs([], [], prefer_kinds=["wi-fi"]),
        ValueError,
        "prefer_kinds: 'wi-fi' is none of ethernet",
    ),
    (lambda: trioquic.plot.draw("x.svg"), TypeError, "trace must be a Trace, not str"),  # type: ignore[arg-type]
    (lambda: trioquic.plot.read_trace(5), TypeError, "path must be a path"),  # type: ignore[arg-type]
    (lambda: trioquic.plot.render_png(b"x"), TypeError, "svg must be a str, not bytes"),  # type: ignore[arg-type]
    (
        lambda: trioquic.anyio.QuicByteStreamConnectable(5),  # type: ignore[arg-type]
        TypeError,
        "connection must be a Connection, not int",
    ),
    (
        lambda: trioquic.httpx.HTTP3Transport(tls="ca.pem"),  # type: ignore[arg-type]
        TypeError,
        "tls must be a TLSConfig, not str",
    ),
    (
        lambda: trioquic.httpx.HTTP3Transport(mode="fast"),  # type: ignore[arg-type]
        ValueError,
        "mode must be one of direct, alt-svc, only, not 'fast'",
    ),
    (
        lambda: trioquic.httpx.HTTP3Transport(sessions="x.json"),  # type: ignore[arg-type]
        TypeError,
        "sessions must be a SessionStore, not str",
    ),
    (
        lambda: trioquic.httpx.HTTP3Transport(head_start=float("nan")),
        ValueError,
        "head_start must be at least 0",
    ),
]


@pytest.mark.parametrize("number", range(len(OTHERS)))
async def test_what_needs_no_connection(number: int) -> None:
    call, kind, message = OTHERS[number]
    error = await said(call)
    assert type(error) is kind, error
    assert re.match(message, str(error)), str(error)


def test_under_asyncio_it_says_what_it_needs() -> None:
    async def main() -> None:
        async with trioquic.open_connection(SERVER, PORT, alpn=["h3"]):
            pass

    with pytest.raises(RuntimeError, match=r"^trioquic needs trio, and .* such as asyncio: start"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("module", "missing", "sentence"),
    [
        ("http3", "pylsqpack", "trioquic.http3 needs pylsqpack: pip install 'trioquic[http3]'"),
        ("httpx", "httpx", "trioquic.httpx needs httpx: pip install 'trioquic[httpx]'"),
        ("httpx", "pylsqpack", "trioquic.httpx needs pylsqpack: pip install 'trioquic[httpx]'"),
        ("cli", "click", "trioquic.cli needs click: pip install 'trioquic[cli]'"),
        ("cli", "rich", "trioquic.cli needs rich: pip install 'trioquic[cli]'"),
        ("__main__", "click", ""),
    ],
)
def test_a_missing_extra_is_named(module: str, missing: str, sentence: str) -> None:
    """In an interpreter of its own, in which the package is not to be found."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\nimport trioquic.{module} as m\n"
        "if hasattr(m, 'main'): m.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    if sentence:
        assert last == f"ModuleNotFoundError: {sentence}"
    else:
        assert last == "trioquic: the command line needs click: pip install 'trioquic[cli]'"
