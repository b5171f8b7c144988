"""A server on the link of one of two interfaces, asked by its link-local address.

    python -m tests.lab.zones

In a namespace of its own. Prints one line of JSON: for each way to ask what came of it.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import trio

import trioquic
from tests.certificates import Certificates
from tests.servers.launch import gtlsserver
from trioquic.http3 import Client
from trioquic.httpx import HTTP3Transport

from .relay import enter_new_namespace
from .vpn_world import ip

_SERVER = "fe80::9"
_ADDRESSES = [
    "-6 address add fe80::1/64 dev zone0 nodad",
    "-6 address add fe80::2/64 dev zone1 nodad",
    f"-6 address add {_SERVER}/64 dev peer0 nodad",
    f"-6 address add {_SERVER}/64 dev peer1 nodad",
]


def _make_links() -> None:
    enter_new_namespace()
    for which in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("0")
    ip(["link set lo up", *(f"link add zone{n} type veth peer name peer{n}" for n in (0, 1))])
    names = ("zone0", "peer0", "zone1", "peer1")
    ip([f"link set {name} addrgenmode none" for name in names])
    ip([f"link set {name} up" for name in names])
    ip(_ADDRESSES)


def _path(conn: trioquic.Connection) -> list[Any]:
    path = conn.active_path
    assert path is not None
    return [path.interface, path.local[0], path.remote[0]]


async def _core(host: str, port: int, tls: trioquic.TLSConfig) -> dict[str, Any]:
    """A connection whose interface goes away and comes back while another one leads to the same
    address, on another link."""
    opened: list[str | None] = []
    waiting = ""
    async with (
        trioquic.open_connection(host, port, alpn=["h3"], tls=tls) as conn,
        conn.path_events() as events,
    ):
        begun = _path(conn)
        await conn.wait_handshake_confirmed()
        ip(["link set zone0 down"])
        async for event in events:
            if isinstance(event, trioquic.PathOpened):
                opened.append(event.path.interface)
            if isinstance(event, trioquic.WaitingForPath):
                waiting = event.reason
                ip(["link set zone0 up", _ADDRESSES[0]])
            if isinstance(event, trioquic.Migrated):
                break
        return {"begun": begun, "waiting": waiting, "opened": opened, "after": _path(conn)}


async def _asked(folder: Path) -> dict[str, Any]:
    certificates = Certificates(folder)
    identity = certificates.named(_SERVER)
    tls = trioquic.TLSConfig(ca_file=certificates.ca_file)
    told: dict[str, Any] = {}
    async with gtlsserver(identity, host="::") as server:
        url = f"https://[{_SERVER}%25zone0]:{server.port}/1000"
        index = next(i.index for i in trioquic.system_networks().snapshot() if i.name == "zone0")
        told["core"] = await _core(f"{_SERVER}%zone0", server.port, tls)
        number = f"{_SERVER}%{index}"
        async with trioquic.open_connection(number, server.port, alpn=["h3"], tls=tls) as conn:
            told["number"] = _path(conn)
        try:
            async with trioquic.open_connection(
                f"{_SERVER}%zone0", server.port, alpn=["h3"], tls=tls, interface="zone1"
            ):
                pass
        except trioquic.LocalAddressError as error:
            told["other interface"] = str(error)
        async with Client(tls=tls) as client:
            response = await client.get(url)
            told["http3"] = [response.status, len(response.content)]
        transport = HTTP3Transport(mode="only", tls=tls)
        async with httpx.AsyncClient(transport=transport) as web:
            answer = await web.get(url)
            told["httpx"] = [answer.status_code, len(answer.content)]
        fetch = [sys.executable, "-m", "trioquic", "fetch", "--cafile", str(certificates.ca_file)]
        done = await trio.run_process(
            [*fetch, "-o", "-", url], capture_stdout=True, capture_stderr=True, check=False
        )
        told["fetch"] = [done.returncode, len(done.stdout)]
        assert not done.returncode, done.stderr.decode()
    return told


def main() -> None:
    _make_links()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(trio.run(_asked, Path(folder))))


if __name__ == "__main__":
    main()
