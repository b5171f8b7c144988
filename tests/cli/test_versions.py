"""The question for versions, and which answers count."""

import pytest
import trio
import trio.testing

from tests.sim_server import PORT
from tests.sim_world import SERVER, simulated_world
from trioquic.cli.versions import is_reserved, offered_versions, read_answer, version_name
from trioquic.testing import SimulatedNetwork

from .run import invoke

OURS, THEIRS = bytes(range(8)), bytes(range(8, 16))


def answer(*versions: int, first: int = 0x80, swapped: bool = False) -> bytes:
    ids = (THEIRS, OURS) if swapped else (OURS, THEIRS)
    head = bytes([first]) + bytes(4) + b"".join(bytes([8]) + i for i in ids)
    return head + b"".join(version.to_bytes(4, "big") for version in versions)


def test_an_answer_that_repeats_our_ids() -> None:
    assert read_answer(answer(1, 0x6B3343CF), THEIRS, OURS) == (1, 0x6B3343CF)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        answer(),
        answer(1)[:-1],
        answer(1, first=0x40),
        answer(1, swapped=True),
        answer(1).replace(bytes(4), b"\0\0\0\1", 1),
    ],
)
def test_anything_else_is_no_answer(data: bytes) -> None:
    assert read_answer(data, THEIRS, OURS) is None


def test_names() -> None:
    assert version_name(1) == "1 (RFC 9000)"
    assert version_name(0xFF00001D) == "draft 29"
    assert version_name(0x12345678) == "0x12345678"
    assert is_reserved(0x1A2A3A4A)
    assert not is_reserved(1)


async def test_the_question_is_repeated(autojump_clock: trio.testing.MockClock) -> None:
    async with simulated_world() as world:
        world.wifi.link.blackhole()
        with world.phone.as_current():
            async with trio.open_nursery() as nursery:

                async def light_up() -> None:
                    await trio.sleep(0.6)
                    world.wifi.link.restore()

                nursery.start_soon(light_up)
                versions = await offered_versions((SERVER, PORT), 3.0)
        assert versions is not None
        assert 1 in versions
        asked = world.record.select(host="phone", destination=SERVER)
        assert len(asked) == 3
        assert {len(record.payload or b"") for record in asked} == {1200}


async def test_nobody_answers(autojump_clock: trio.testing.MockClock) -> None:
    async with simulated_world() as world:
        world.wifi.link.blackhole()
        with world.phone.as_current():
            begin = trio.current_time()
            assert await offered_versions((SERVER, PORT), 3.0) is None
            assert trio.current_time() - begin == pytest.approx(3.0)


async def test_where_nobody_listens(autojump_clock: trio.testing.MockClock) -> None:
    """The host says so each time: there is no point in waiting for an answer."""
    async with SimulatedNetwork() as net:
        net.host("server").add_interface("eth0", "192.0.2.1")
        client = net.host("client")
        client.add_interface("eth0", "192.0.2.2")
        begin = trio.current_time()
        with client.as_current():
            assert await offered_versions(("192.0.2.1", 443), 3.0) is None
        assert trio.current_time() - begin < 1


def test_no_word_of_versions_where_nobody_was_asked() -> None:
    result = invoke("check", "unknown.invalid")
    assert result.exit_code == 1
    assert "versions" not in result.output
