"""Where content goes: what is on disk before, during and after a download."""

import hashlib
from pathlib import Path

import pytest
import trio

from trioquic.cli.sink import File

BLOCK = 1 << 18


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


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


@pytest.mark.parametrize("names", [1, 2])
async def test_nobody_reads_early_what_they_may_not_read_later(tmp_path: Path, names: int) -> None:
    """Also where it is written into the file in the end, which has another name."""
    target = tmp_path / "file"
    target.write_bytes(b"old")
    target.chmod(0o600)
    if names == 2:
        (tmp_path / "other").hardlink_to(target)
    sink = File(target)
    await sink.open()
    await sink.write(b"x" * 2 * BLOCK)
    assert modes(tmp_path) == {0o600}
    await sink.finish()
    assert set(files(tmp_path).values()) == {b"x" * 2 * BLOCK}


@pytest.mark.parametrize("complete", [True, False])
async def test_a_file_in_a_folder_where_nothing_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete: bool
) -> None:
    """It is written when the content is complete, too."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(File, "_open_part", refuse)
    (tmp_path / "file").write_bytes(b"old, and longer than the new one")
    sink = File(tmp_path / "file")
    await sink.open()
    await sink.write(b"x" * 2 * BLOCK)
    assert await sink.restart()
    await sink.write(b"new")
    if complete:
        await sink.finish()
    sink.discard()
    expected = b"new" if complete else b"old, and longer than the new one"
    assert files(tmp_path) == {"file": expected}
