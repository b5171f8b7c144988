"""The file of a trace: when there is one, how large it gets, and that it is always closed."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, get, open_sockets, phone_world
from tests.sim_server import pattern
from tests.sim_world import SERVER
from trioquic._runtime.tracing import trace_file

from .reading import only, open_files, read, traces

KIB = 1024
DEAD = "198.51.100.99"
# the networks are not raced, so each address is one attempt
ALONE = trioquic.MigrationPolicy(start_interfaces=1)


class ApplicationError(Exception):
    """What an application might raise."""


async def test_no_trace_unless_asked_for(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QLOGDIR", raising=False)
    monkeypatch.chdir(tmp_path)
    async with phone_world() as world, dial(world, SERVER):
        pass
    assert not traces(tmp_path)


async def test_the_customary_variable(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts unless the configuration says something else."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("QLOGDIR", f"{tmp_path}/one/")
    async with phone_world() as world:
        async with dial(world, SERVER):
            pass
        chosen = trioquic.TransportConfig(qlog_dir=tmp_path / "two")
        async with dial(world, SERVER, transport=chosen):
            pass
    assert read(only(tmp_path / "one")).events
    assert read(only(tmp_path / "two")).events


async def test_a_file_that_cannot_be_made(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """It is the caller's error, before anything is sent; nothing is left behind."""
    transport = trioquic.TransportConfig(qlog_dir=tmp_path / "missing")
    async with phone_world() as world:
        with pytest.raises(FileNotFoundError, match="missing"):
            async with dial(world, SERVER, transport=transport):
                raise AssertionError("connected")
        async with trio.open_nursery() as nursery:
            with pytest.raises(FileNotFoundError, match="missing"):
                await trioquic.connect(nursery, SERVER, 4433, alpn=["h3"], transport=transport)
        assert open_sockets(world) == 0
        assert not world.record.select()


@pytest.mark.parametrize(
    ("options", "error"),
    [({"qlog_dir": 3}, TypeError), ({"qlog_limit": 1000}, ValueError)],
)
def test_misuse(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error, match="qlog"):
        trioquic.TransportConfig(**options)  # type: ignore[arg-type]


async def test_the_limit(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Packets stop, the story of the paths goes on, and the last record knows what is missing."""
    limit = 96 * KIB
    transport = trioquic.TransportConfig(qlog_dir=tmp_path, qlog_limit=limit)
    async with phone_world() as world:
        async with dial(world, SERVER, transport=transport) as conn:
            assert await get(conn, 400_000) == pattern(400_000)
            for interface in ("wwan0", "wlan0"):
                await conn.migrate(interface=interface)
                await trio.sleep(1)
    trace = read(only(tmp_path))
    assert limit // 2 < trace.size <= limit
    (full,) = [i for i, e in enumerate(trace.events) if e["name"] == "trioquic:limit_reached"]
    packets = trace.names["quic:packet_sent"] + trace.names["quic:packet_received"]
    omitted = trace.last["packets_omitted"]
    assert omitted > 100
    assert packets + omitted == trace.last["packets_sent"] + trace.last["packets_received"]
    later = trace.events[full:]
    assert [e["data"]["new"] for e in later if e["name"] == "trioquic:migrated"] == ["1", "2"]
    kinds = {f["frame_type"] for e in later for f in e["data"].get("frames", ())}
    assert {"path_challenge", "path_response"} <= kinds


async def test_the_limit_holds_for_everything(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Paths that come and go until not even they have room."""
    limit = 64 * KIB
    transport = trioquic.TransportConfig(qlog_dir=tmp_path, qlog_limit=limit)
    async with phone_world() as world:
        async with dial(world, SERVER, transport=transport) as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(1)
            for _ in range(80):
                path = await conn.add_path(interface="wwan0")
                await path.validate()
                await path.aclose()
    trace = read(only(tmp_path))
    assert trace.size <= limit
    assert trace.last["events_omitted"] > 0
    assert trace.last["packets_omitted"] > 0


async def test_a_handshake_that_fails(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Each address is an attempt and each attempt a trace, which tells how it ended."""
    transport = trioquic.TransportConfig(qlog_dir=tmp_path, handshake_timeout=2.0)
    async with phone_world() as world:
        world.net.name("two.example", DEAD, SERVER)
        async with dial(
            world, "two.example", server_name="server.example", transport=transport, migration=ALONE
        ) as conn:
            assert len(open_files(tmp_path)) == 1
            assert await get(conn, 1000) == pattern(1000)
        with pytest.raises(trioquic.AlpnError):
            async with dial(world, SERVER, transport=transport, migration=ALONE, alpn=["unknown"]):
                raise AssertionError("connected")
        with pytest.raises(trioquic.HandshakeError):
            async with dial(world, DEAD, transport=transport, migration=ALONE):
                raise AssertionError("connected")
    assert not open_files(tmp_path)
    # the first was overtaken by the second, which is no failure
    assert len(traces(tmp_path)) == 4
    reasons = []
    for file in traces(tmp_path):
        trace = read(file)
        assert trace.data("quic:connection_state_updated")[-1] == {"new": "closed"}
        assert trace.last["packets_sent"] == trace.names["quic:packet_sent"]
        reasons += [failure["reason"] for failure in trace.data("trioquic:handshake_failed")]
    assert len(reasons) == 2
    assert any("no handshake" in reason for reason in reasons)


async def leave_by_exception() -> None:
    raise ApplicationError


async def leave_by_cancellation() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await trio.sleep_forever()
    raise ApplicationError


@pytest.mark.parametrize("leave", [leave_by_exception, leave_by_cancellation])
async def test_however_the_block_is_left(
    autojump_clock: trio.testing.MockClock,
    tmp_path: Path,
    leave: Callable[[], object],
) -> None:
    transport = trioquic.TransportConfig(qlog_dir=tmp_path)
    async with phone_world() as world:
        with pytest.raises(ApplicationError):
            async with dial(world, SERVER, transport=transport):
                await leave()  # type: ignore[misc]
    assert not open_files(tmp_path)
    trace = read(only(tmp_path))
    assert trace.data("quic:connection_closed")[-1]["trigger"] == "application"
    assert trace.last["packets_sent"] == trace.names["quic:packet_sent"]


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.06, 0.11, 0.3])
async def test_cancelled_at_any_time(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, seconds: float
) -> None:
    transport = trioquic.TransportConfig(qlog_dir=tmp_path)
    async with phone_world() as world:
        with trio.move_on_after(seconds) as scope:
            async with dial(world, SERVER, transport=transport) as conn:
                await get(conn, 10_000_000)
        assert scope.cancelled_caught
    assert not open_files(tmp_path)
    for file in traces(tmp_path):
        assert read(file).last["packets_omitted"] == 0


@pytest.mark.parametrize("strict", [False, True])
async def test_a_full_disk_ends_the_trace_and_nothing_else(
    autojump_clock: trio.testing.MockClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    strict: bool,
) -> None:
    """Told once; and where warnings are errors, the connection goes on all the same."""
    monkeypatch.setattr(trace_file, "_create", lambda path: os.open("/dev/full", os.O_WRONLY))
    transport = trioquic.TransportConfig(qlog_dir=tmp_path)
    async with phone_world() as world:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("error" if strict else "always")
            async with dial(world, SERVER, transport=transport) as conn:
                assert await get(conn, 400_000) == pattern(400_000)
                assert not open_files(Path("/dev/full"))
    assert ["ends early" in str(warning.message) for warning in caught] == (
        [] if strict else [True]
    )
