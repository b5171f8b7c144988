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
# Seconds for the connection to be there again
_PATIENCE = 10.0
_OWN = ("fe80::1", "fe80::2")


def _make_links() -> None:
    enter_new_namespace()
    for which in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("0")
    ip(["link set lo up"])
    for number, address in enumerate(_OWN):
        _make_link(number, address)


def _make_link(number: int, address: str) -> None:
    names = f"zone{number}", f"peer{number}"
    ip([f"link add {names[0]} type veth peer name {names[1]}"])
    ip([f"link set {name} addrgenmode none" for name in names])
    ip([f"link set {name} up" for name in names])
    ip([_addition(address, names[0]), _addition(_SERVER, names[1])])


def _addition(address: str, interface: str) -> str:
    return f"-6 address add {address}/64 dev {interface} nodad"


def _number_of(name: str) -> int | None:
    return next(i.index for i in trioquic.system_networks().snapshot() if i.name == name)


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
                ip(["link set zone0 up", _addition(_OWN[0], "zone0")])
            if isinstance(event, trioquic.Migrated):
                break
        return {"begun": begun, "waiting": waiting, "opened": opened, "after": _path(conn)}


async def _made_anew(host: str, port: int, tls: trioquic.TLSConfig) -> dict[str, Any]:
    """A connection whose interface is taken away and made again, with another number and another
    address, so that its socket is of no use there."""
    before = _number_of("zone0")
    async with (
        trioquic.open_connection(host, port, alpn=["h3"], tls=tls) as conn,
        conn.path_events() as events,
    ):
        await conn.wait_handshake_confirmed()
        ip(["link delete zone0"])
        with trio.move_on_after(_PATIENCE):
            async for event in events:
                if isinstance(event, trioquic.WaitingForPath):
                    _make_link(0, "fe80::3")
                if isinstance(event, trioquic.Migrated):
                    break
        told = {
            "path": None if conn.active_path is None else _path(conn),
            "numbers": [before, _number_of("zone0")],
        }
    ip(["link delete zone0"])
    _make_link(0, _OWN[0])
    return told


async def _asked(folder: Path) -> dict[str, Any]:
    certificates = Certificates(folder)
    identity = certificates.named(_SERVER)
    tls = trioquic.TLSConfig(ca_file=certificates.ca_file)
    told: dict[str, Any] = {}
    async with gtlsserver(identity, host="::") as server:
        url = f"https://[{_SERVER}%25zone0]:{server.port}/1000"
        told["core"] = await _core(f"{_SERVER}%zone0", server.port, tls)
        for written in ("name", "number"):
            zone = "zone0" if written == "name" else _number_of("zone0")
            again = await _made_anew(f"{_SERVER}%{zone}", server.port, tls)
            told[f"made anew, {written}"] = again
        number = f"{_SERVER}%{_number_of('zone0')}"
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
