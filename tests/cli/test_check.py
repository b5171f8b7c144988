"""`trioquic check` against servers that differ in what they allow."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.certificates import Certificates
from tests.cli.run import invoke, trioquic, trioquic_json
from tests.programs import needs
from tests.runtime.world import dial, phone_world, server_side
from tests.servers import aioquic_server, caddy, gtlsserver
from tests.servers.chroots import needs_chroot
from tests.servers.kinds import KINDS
from tests.servers.place import Place, Wish
from tests.servers.process import free_port
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import CELLULAR6, PREFERRED6, SERVER, WIFI6, World
from trioquic import MigrationPolicy, TLSConfig
from trioquic.cli.probe import MOST_IN_A_ROW, Findings, _count_ids, _move_in_a_row, check_server


@needs("gtlsserver")
async def test_gtlsserver_migrates(certs: Certificates) -> None:
    async with gtlsserver(certs.server, retry=True) as server:
        where = (f"127.0.0.1:{server.port}", "--cafile", server.ca_file)
        found = await trioquic_json("check", *where)
        table = await trioquic("check", *where)
    assert found["versions"] == ["0x1"]
    assert found["connected"]
    assert found["error"] is None
    assert found["alpn"] == "h3"
    assert found["cipher_suite"].startswith("TLS_")
    assert found["group"] == "x25519"
    assert "localhost" in found["certificate"]["names"]
    assert found["certificate"]["verified"]
    assert found["certificate"]["sha256"] == certs.server.fingerprint.hex()
    assert found["peer"]["retry"]
    assert found["session_tickets"] >= 1
    assert found["migration_allowed"]
    assert found["preferred"] is None
    assert found["new_port"]["worked"]
    assert found["interfaces"]["lo"]["worked"]
    assert found["new_port"]["local"] != found["interfaces"]["lo"]["local"]
    assert found["connection_ids"] == 8
    assert (found["moves_in_a_row"], found["stopped_by"]) == (MOST_IN_A_ROW, None)
    assert 0 < found["new_port"]["rtt"] < 1
    assert table.exit_code == 0
    assert "move to a new port  works, 127.0.0.1:" in table.stdout
    held = found["peer"]["active_connection_id_limit"]
    limits = f"8 of the server's, 7 for other paths; it holds {held} of ours"
    assert f"connection IDs      {limits}" in table.stdout
    assert "moves in a row      8 work" in table.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's /dev/full")
@needs("gtlsserver")
async def test_a_full_disk_for_secrets_is_one_line(
    certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/dev/full")
    async with gtlsserver(certs.server) as server:
        result = await trioquic("check", f"127.0.0.1:{server.port}", "--cafile", server.ca_file)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("trioquic: secrets are missing in /dev/full: ")


@needs("gtlsserver")
async def test_gtlsservers_preferred_address(certs: Certificates) -> None:
    preferred = ("127.0.0.2", free_port("127.0.0.2"))
    async with gtlsserver(certs.server, preferred_ipv4=preferred) as server:
        where = (f"127.0.0.1:{server.port}", "--cafile", server.ca_file)
        found = await trioquic_json("check", *where)
    address = f"127.0.0.2:{preferred[1]}"
    assert found["preferred"] == {"address": address, "used": True, "reason": "it answered"}
    assert found["new_port"]["worked"]
    assert found["new_port"]["remote"] == address


@needs("caddy")
async def test_caddy_forbids_migration(certs: Certificates) -> None:
    async with caddy(certs.server) as server:
        where = (f"localhost:{server.port}", "--cafile", server.ca_file)
        found = await trioquic_json("check", *where, exit_code=3)
        table = await trioquic("check", *where)
    assert "0x1" in found["versions"]
    assert found["connected"]
    assert found["address"] == "127.0.0.1"
    assert not found["migration_allowed"]
    assert found["peer"]["disable_active_migration"]
    assert not found["new_port"]["worked"]
    assert "disable_active_migration" in found["new_port"]["reason"]
    assert found["connection_ids"] > 1
    assert found["moves_in_a_row"] is None
    assert table.exit_code == 3
    assert "forbidden: the server sent disable_active_migration" in table.stdout


@needs_chroot()
async def test_nginx_holds_two_ids(certs: Certificates, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    port = free_port("127.0.0.1")
    where = (f"127.0.0.1:{port}", "--cafile", certs.ca_file)
    place = Place(identity=certs.server, files=tmp_path, host="127.0.0.1", port=port)
    with KINDS["nginx1"].launch(place, Wish()) as launch:
        process = await trio.lowlevel.open_process(launch.command)
        try:
            with trio.fail_after(10):
                table = await trioquic("check", *where)
                while table.exit_code == 1:
                    table = await trioquic("check", *where)
        finally:
            process.terminate()
            await process.wait()
    limits = "8 of the server's, 7 for other paths; it holds 2 of ours"
    assert f"connection IDs      {limits}" in table.stdout


@pytest.mark.parametrize("how", ["deaf", "closes"])
async def test_a_server_that_follows_a_few_times(
    autojump_clock: trio.testing.MockClock, how: str
) -> None:
    most = 5
    policy = MigrationPolicy(standby=0, move_back_after=math.inf, new_port=False)
    async with phone_world(ipv6=False) as world, dial(world, migration=policy) as conn:
        await conn.wait_handshake_confirmed()
        assert await _count_ids(conn) == 8
        connection = server_side(world)
        receive, ports = connection.quic.receive_datagram, list[object]()

        def receive_few(data: bytes, addr: Any, now: float) -> None:
            if addr not in ports:
                ports.append(addr)
            if ports.index(addr) <= most:
                receive(data, addr, now)
            elif how == "closes":
                connection.quic.close(reason_phrase="too many moves")

        connection.quic.receive_datagram = receive_few  # type: ignore[method-assign]
        conn.ping()
        await trio.sleep(1)
        findings = Findings()
        await _move_in_a_row(conn, "wlan0", findings)
    assert findings.moves_in_a_row == most
    expected = {"deaf": "no answer to PATH_CHALLENGE", "closes": "too many moves"}[how]
    assert expected in (findings.stopped_by or "")


def no_ipv6_on_wifi(world: World) -> None:
    world.wifi.remove_address(WIFI6)


def no_ipv6(world: World) -> None:
    no_ipv6_on_wifi(world)
    world.cellular.remove_address(CELLULAR6)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (no_ipv6, "no network here leads to it"),
        (no_ipv6_on_wifi, "wlan0 does not lead to it, wwan0 would"),
    ],
)
async def test_a_preferred_address_that_cannot_be_reached_from_here(
    autojump_clock: trio.testing.MockClock, prepare: Callable[[World], None], reason: str
) -> None:
    """Nothing is waited for."""
    options = ServerOptions(preferred_ipv6=(PREFERRED6, PORT))
    async with phone_world(options) as world:
        prepare(world)
        trust = TLSConfig(verify=False)
        found = await check_server(SERVER, PORT, alpn=["hq-interop"], tls=trust, patience=30.0)
        assert trio.current_time() < 10
    assert found.preferred is not None
    assert (found.preferred.used, found.preferred.reason) == (False, reason)
    assert found.new_port is not None
    assert found.new_port.worked
    assert found.connection_ids == 8


async def test_a_preferred_address_of_the_other_family(
    autojump_clock: trio.testing.MockClock,
) -> None:
    options = ServerOptions(preferred_ipv6=(PREFERRED6, PORT))
    async with phone_world(options):
        trust = TLSConfig(verify=False)
        found = await check_server(SERVER, PORT, alpn=["hq-interop"], tls=trust, patience=30.0)
    assert found.preferred is not None
    assert (found.preferred.used, found.preferred.reason) == (True, "it answered")


async def test_aioquic_and_other_protocols(certs: Certificates) -> None:
    async with aioquic_server(certs.server) as server:
        where = (f"127.0.0.1:{server.port}", "--timeout", 3)
        trusting = (*where, "--cafile", server.ca_file)
        found = await trioquic_json(
            "check", *where, "--insecure", "--alpn", "h3", "--alpn", "hq-interop"
        )
        assert found["versions"] == ["0x1", "0x6b3343cf"]
        assert found["alpn"] == "hq-interop"
        assert not found["certificate"]["verified"]
        assert not found["peer"]["retry"]
        # an interface that was asked for must work; the connection starts from there
        found = await trioquic_json(
            "check", *trusting, "--alpn", "hq-interop", "--interface", "lo", "--interface", "nope0",
            exit_code=3,
        )  # fmt: skip
        assert found["interfaces"]["lo"]["worked"]
        assert "nope0" in found["interfaces"]["nope0"]["reason"]
        found = await trioquic_json("check", *trusting, exit_code=1)
        assert "none of the offered application protocols" in found["error"]
        assert found["versions"] == ["0x1", "0x6b3343cf"], "asked for all the same"
        found = await trioquic_json(
            "check", *trusting, "--alpn", "hq-interop", "--server-name", "other.example",
            exit_code=1,
        )  # fmt: skip
        assert "other.example" in found["error"]
        refused = await trioquic("check", *where, "--alpn", "hq-interop")
    assert refused.exit_code == 1
    assert "no connection" in refused.stdout
    assert "not trusted" in refused.stdout


async def test_nobody_there() -> None:
    result = await trioquic("check", f"127.0.0.1:{free_port('127.0.0.1')}", "--timeout", 0.2)
    assert result.exit_code == 1
    assert "no answer to an unknown version" in result.stdout
    assert "no connection" in result.stdout


async def test_an_interface_that_is_not_there() -> None:
    result = await trioquic("check", "127.0.0.1:9", "--interface", "eth99")
    assert result.exit_code == 1
    assert "no interface 'eth99'" in " ".join(result.stdout.split())
    assert "versions" not in result.stdout


def test_usage(certs: Certificates) -> None:
    assert invoke("check", "localhost:0").exit_code == 2
    timeout = invoke("check", "localhost", "--timeout", "nan")
    assert (timeout.exit_code, "'--timeout': 'nan' is no time" in timeout.stderr) == (2, True)
    no_file = invoke("check", "localhost", "--cafile", f"{__file__}/no")
    assert (no_file.exit_code, no_file.stderr.count("\n")) == (2, 1)
    both = invoke("check", "localhost", "--cafile", certs.ca_file, "--insecure")
    assert both.exit_code == 2
    assert "exclude each other" in both.stderr
    no_certificate = invoke("check", "localhost", "--cafile", certs.server.key_file)
    assert no_certificate.exit_code == 2
    assert no_certificate.stderr.startswith("trioquic: ")
    assert invoke("check", "localhost", "--alpn", "").exit_code == 2
