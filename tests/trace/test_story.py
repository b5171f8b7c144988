"""What a trace tells of a connection: everything in order, and nothing that is a secret."""

from pathlib import Path

import pytest
import trio
import trio.testing

import trioquic
from tests.certificates import Certificates
from tests.programs import needs
from tests.real.exchange import Download, connect, make_file, serve
from tests.runtime.world import dial, get, phone_world, server_side
from tests.sim_server import ServerOptions, pattern
from tests.sim_world import CELLULAR, SERVER, WIFI

from .reading import Reading, only, read


def positions(trace: Reading, *steps: tuple[str, dict[str, object]]) -> list[int]:
    """Where the events of these names are that say this (each the first such one)."""
    return [
        next(
            index
            for index, event in enumerate(trace.events)
            if event["name"] == name and said.items() <= event["data"].items()
        )
        for name, said in steps
    ]


def total(trace: Reading, way: str) -> int:
    """How much of stream 0 the packets have, each byte once."""
    pieces = {
        (frame.get("offset", 0), frame["length"])
        for frame in trace.frames(way, "stream")
        if frame["stream_id"] == 0
    }
    end = 0
    for offset, length in sorted(pieces):
        assert offset <= end
        end = max(end, offset + length)
    return end


async def test_the_whole_story(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    transport = trioquic.TransportConfig(qlog_dir=tmp_path)
    async with phone_world() as world:
        async with dial(world, SERVER, transport=transport, networks=world.phone) as conn:
            assert await get(conn, 100_000) == pattern(100_000)
            path = await conn.add_path(interface="wwan0")
            await path.validate()
            conn.migrate_to(path)
            assert await get(conn, 50_000) == pattern(50_000)
            first = next(other for other in conn.paths if other is not path)
            await first.aclose()
            counted = conn.statistics()
    trace = read(only(tmp_path))

    assert trace.header["file_schema"] == "urn:ietf:params:qlog:file:sequential"
    assert trace.header["serialization_format"] == "application/qlog+json-seq"
    # what qvis looks for, where it looks
    assert (trace.header["qlog_version"], trace.header["qlog_format"]) == ("0.3", "JSON-SEQ")
    assert b'"qlog_format"' in only(tmp_path).read_bytes()[:1000]
    assert only(tmp_path).name == trace.header["trace"]["common_fields"]["group_id"] + (
        "_client.sqlog"
    )
    namespaces = {name.partition(":")[0] for name in trace.names}
    assert namespaces == {"quic", "trioquic"}
    assert len(trace.header["trace"]["event_schemas"]) == 2

    # every packet, with its numbers, and what it carried
    assert trace.last["packets_omitted"] == trace.last["events_omitted"] == 0
    assert trace.names["quic:packet_sent"] == trace.last["packets_sent"] > counted.packets_sent
    assert trace.names["quic:packet_received"] == trace.last["packets_received"]
    for way in ("sent", "received"):
        numbers = [
            (packet["header"]["packet_type"], packet["header"]["packet_number"])
            for packet in trace.data(f"quic:packet_{way}")
        ]
        assert len(set(numbers)) == len(numbers)
        assert {"initial", "handshake", "1RTT"} == {kind for kind, _ in numbers}
    assert total(trace, "received") == 100_000
    sizes = [packet["raw"]["length"] for packet in trace.data("quic:packet_sent", "1")]
    assert (
        sum(sizes)
        == next(p for p in counted.paths if p.local[0] == CELLULAR).bytes_sent + sizes[-1]
    )

    # the second path, from its connection ID to its use
    tuples = trace.data("quic:tuple_assigned")
    assert [t["tuple_local"]["ip_v4"] for t in tuples[:2]] == [WIFI, CELLULAR]
    assert tuples[2] == {"tuple_id": "0"}
    assert [o["interface"] for o in trace.data("trioquic:path_opened")] == ["wlan0", "wwan0"]
    (challenge,) = trace.frames("sent", "path_challenge", "1")
    assert challenge["data"] in [r["data"] for r in trace.frames("received", "path_response")]
    steps = positions(
        trace,
        ("quic:connection_started", {}),
        ("quic:connection_state_updated", {"new": "attempted"}),
        ("quic:tuple_assigned", {"tuple_id": "0"}),
        ("quic:packet_sent", {}),
        ("quic:packet_received", {}),
        ("quic:parameters_set", {"initiator": "remote"}),
        ("quic:connection_state_updated", {"new": "handshake_complete"}),
        ("quic:connection_state_updated", {"new": "handshake_confirmed"}),
        ("quic:tuple_assigned", {"tuple_id": "1"}),
        ("quic:migration_state_updated", {"new": "probing_started"}),
        ("quic:migration_state_updated", {"new": "probing_successful"}),
        ("trioquic:path_validated", {}),
        ("trioquic:path_state_updated", {"old": "validated", "new": "active"}),
        ("trioquic:migrated", {"old": "0", "new": "1", "cause": "application"}),
        ("quic:migration_state_updated", {"new": "migration_complete"}),
        ("trioquic:path_state_updated", {"new": "abandoned"}),
        ("quic:connection_closed", {"initiator": "local", "trigger": "application"}),
        ("quic:connection_state_updated", {"new": "closed"}),
        ("trioquic:trace_ended", {}),
    )
    assert steps == sorted(steps)
    assert trace.data("quic:recovery_metrics_updated", "1")[-1]["smoothed_rtt"] == pytest.approx(
        80, abs=25
    )


async def test_losses_silence_and_the_reason_to_move(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    transport = trioquic.TransportConfig(qlog_dir=tmp_path, send_buffer=100_000)
    async with phone_world(wifi={"loss": 0.02}) as world:
        async with dial(
            world,
            SERVER,
            transport=transport,
            migration=trioquic.MigrationPolicy(),
            networks=world.phone,
        ) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"PUT\r\n" + bytes(1_000_000))
            world.wifi.link.blackhole()
            await stream.send_eof()
            assert len(await stream.receive_some()) == 64
    trace = read(only(tmp_path))
    lost = trace.data("quic:packet_lost", "0")
    assert {"reordering_threshold"} <= {packet["trigger"] for packet in lost}
    assert trace.data("trioquic:path_silence_updated", "0")[-1] == {"silent": True}
    assert max(m["pto_count"] for m in trace.data("quic:recovery_metrics_updated", "0")) >= 1
    (migrated,) = trace.data("trioquic:migrated")
    assert (migrated["old"], migrated["cause"]) == ("0", "silence")
    assert migrated["reason"].startswith("no answer for")
    windows = [m["congestion_window"] for m in trace.data("quic:recovery_metrics_updated")]
    assert len(set(windows)) > 5


async def test_why_a_path_failed_and_was_closed(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """For programs and for people; what the end closes is not told."""
    transport = trioquic.TransportConfig(qlog_dir=tmp_path)
    async with phone_world() as world:
        async with dial(world, SERVER, transport=transport) as conn:
            await conn.wait_handshake_confirmed()
            world.cellular.link.blackhole()
            with pytest.raises(trioquic.PathValidationError):
                await conn.migrate(interface="wwan0")
            world.cellular.link.restore()
            await (await conn.add_path(interface="wwan0")).aclose()
            await conn.add_path(interface="wwan0")
    trace = read(only(tmp_path))
    assert [failure["reason"] for failure in trace.data("trioquic:validation_failed", "1")] == [
        "no answer to PATH_CHALLENGE"
    ]
    assert trace.data("trioquic:path_closed") == [
        {"cause": "no_answer", "reason": "it did not answer"},
        {"cause": "application", "reason": "closed by the application"},
    ]


async def test_retry_and_its_ids(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    transport = trioquic.TransportConfig(qlog_dir=tmp_path)
    async with phone_world(ServerOptions(retry=True)) as world:
        async with dial(world, SERVER, transport=transport):
            pass
    trace = read(only(tmp_path))
    assert trace.data("quic:packet_received")[0]["header"] == {"packet_type": "retry"}
    remote = trace.data("quic:parameters_set")[1]
    assert remote["original_destination_connection_id"] in only(tmp_path).name
    assert remote["retry_source_connection_id"]


@pytest.mark.usefixtures("calendar")
async def test_early_data(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    sessions = trioquic.MemorySessions()
    async with phone_world(ServerOptions(session_tickets=True)) as world:
        async with dial(world, SERVER, sessions=sessions) as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(1)
        transport = trioquic.TransportConfig(qlog_dir=tmp_path)
        async with dial(
            world, SERVER, sessions=sessions, early_data=True, transport=transport
        ) as conn:
            early = await conn.open_send_stream(early_data=True)
            await early.send_all(b"at once")
            await conn.wait_handshake_confirmed()
    sent = read(only(tmp_path)).data("quic:packet_sent")
    [packet] = [p for p in sent if p["header"]["packet_type"] == "0RTT"]
    assert packet["frames"][0]["frame_type"] == "stream"


async def test_nothing_secret_is_written(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    directory = tmp_path / "traces"
    directory.mkdir()
    keys = tmp_path / "keys"
    transport = trioquic.TransportConfig(qlog_dir=directory)
    async with phone_world() as world:
        ca = world.server.options.credentials.ca_pem
        tls = trioquic.TLSConfig(ca_data=ca, keylog_file=keys)
        async with dial(world, SERVER, transport=transport, tls=tls) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"PUT\r\n" + b"confidential" * 100)
            await stream.send_eof()
            answer = await stream.receive_some()
            await conn.wait_handshake_confirmed()
            await trio.sleep(1)
            tokens = [cid.stateless_reset_token for cid in server_side(world).quic._host_cids]
    file = only(directory)
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text()
    secrets = [line.split()[2] for line in keys.read_text().splitlines()]
    assert len(secrets) >= 4 and len(tokens) >= 2
    for secret in (*secrets, *(token.hex() for token in tokens), answer.decode(), "confidential"):
        assert secret not in text
        assert secret.encode().hex() not in text
    assert read(file).frames("received", "new_connection_id")


@needs("gtlsserver")
async def test_with_a_real_server(certs: Certificates, tmp_path: Path) -> None:
    directory = tmp_path / "traces"
    directory.mkdir()
    content = make_file(tmp_path, 1_000_000)
    transport = trioquic.TransportConfig(qlog_dir=directory)
    async with (
        serve("gtlsserver", certs.server, root=tmp_path) as server,
        connect(server, "h3", local="127.0.0.1", transport=transport) as conn,
    ):
        await conn.wait_handshake_confirmed()
        await conn.migrate(local="127.0.0.2")
        assert await Download(conn, f"file-{len(content)}").run() == content
    trace = read(only(directory))
    assert trace.last["packets_omitted"] == 0
    assert trace.names["quic:packet_received"] == trace.last["packets_received"]
    assert trace.data("quic:migration_state_updated", "1")[-1]["new"] == "migration_complete"
    assert total(trace, "received") > len(content)
