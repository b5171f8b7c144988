"""Where content goes: what is on disk before, during and after a download."""

import hashlib
from pathlib import Path

import pytest
import trio

from trioquic.cli.sink import File

BLOCK = 1 << 18


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    sink = File(tmp_path / "file")
    await sink.open()
    for _ in range(5):
        await sink.write(b"x" * 100_000)
    (part,) = files(tmp_path)
    assert part.startswith(".file.") and part.endswith(".part")
    assert sink.size == 500_000
    await sink.finish()
    assert files(tmp_path) == {"file": b"x" * 500_000}
    assert sink.sha256 == hashlib.sha256(b"x" * 500_000).hexdigest()
    sink.discard()
    assert list(files(tmp_path)) == ["file"]


@pytest.mark.parametrize("size", [10, 2 * BLOCK])
async def test_beginning_again(tmp_path: Path, size: int) -> None:
    sink = File(tmp_path / "file")
    await sink.open()
    await sink.write(b"x" * size)
    assert await sink.restart()
    assert sink.size == 0
    await sink.write(b"new")
    await sink.finish()
    assert files(tmp_path) == {"file": b"new"}
    assert sink.sha256 == hashlib.sha256(b"new").hexdigest()


async def test_what_is_not_complete_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    sink = File(tmp_path / "file")
    await sink.open()
    await sink.write(b"x" * 2 * BLOCK)
    assert len(files(tmp_path)) == 2
    sink.discard()
    assert files(tmp_path) == {"file": b"old"}


async def test_a_cancelled_write_can_be_discarded(tmp_path: Path) -> None:
    sink = File(tmp_path / "file")
    await sink.open()
    with trio.CancelScope() as scope:
        scope.cancel()
        await sink.write(b"x")
    assert scope.cancelled_caught
    sink.discard()
    sink.discard()
    assert files(tmp_path) == {}


async def test_nothing_was_opened(tmp_path: Path) -> None:
    sink = File(tmp_path / "no folder" / "file")
    with pytest.raises(FileNotFoundError):
        await sink.open()
    sink.discard()
    assert files(tmp_path) == {}
