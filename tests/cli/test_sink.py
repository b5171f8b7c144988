"""Where content goes: what is on disk before, during and after a download."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.programs import needs, needs_root
from trioquic.cli.outputs import Through
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


async def test_a_file_that_is_protected_against_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be replaced, as its folder is not protected. Root is refused nothing, so the system
    is played."""
    target = tmp_path / "file"
    target.write_bytes(b"old")
    target.chmod(0o400)
    let = os.open

    def refuse(path: str | Path, flags: int, *more: int) -> int:
        if Path(path) == target and flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return let(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    (tmp_path / "link").symlink_to(target)
    for name in ("file", "link"):
        sink = File(tmp_path / name)
        with pytest.raises(PermissionError):
            await sink.open()
        sink.discard()
    assert files(tmp_path) == {"file": b"old", "link": b"old"}


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


_ON_A_FULL_DISK = """
import os, pathlib, subprocess, sys, trio
from trioquic.cli.sink import File

folder = pathlib.Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
(folder / "file").write_bytes(b"old" * 30_000)
(folder / "name").hardlink_to(folder / "file")

async def main():
    sink = File(folder / "file")
    await sink.open()
    await sink.write(b"new" * 200_000)
    try:
        await sink.finish()
    except OSError as error:
        print(error)
    sink.discard()

trio.run(main)
assert (folder / "file").read_bytes() == b"old" * 30_000
(part,) = folder.glob(".file.*.part")
assert part.read_bytes() == b"new" * 200_000
print(part)
"""


@needs_root()
@needs("nsenter")  # unshare comes with it
def test_a_full_disk_takes_neither_the_old_file_nor_the_new_content(tmp_path: Path) -> None:
    """The file has two names, so it is written into; there is room for one copy of the new one."""
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    error, part = done.stdout.splitlines()
    assert "No space left on device; the new content is in" in error
    assert part in error


@pytest.mark.parametrize(("old", "new"), [(0, 10), (10, 10), (10, 3), (3, 10), (3, 3 * BLOCK)])
async def test_written_into_a_file_of_another_size(tmp_path: Path, old: int, new: int) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"o" * old)
    (tmp_path / "other").hardlink_to(target)
    content = os.urandom(new)
    sink = File(target)
    await sink.open()
    await sink.write(content)
    await sink.finish()
    assert files(tmp_path) == {"file": content, "other": content}


class Counted(Through):
    """Counts how often it tries to write."""

    def __init__(self, descriptor: int) -> None:
        super().__init__("pipe", descriptor)
        self.tries = 0
        self.full = trio.Event()

    def _write_some(self, block: memoryview) -> int | None:
        self.tries += 1
        written = super()._write_some(block)
        if not written:
            trio.from_thread.run_sync(self.full.set)
        return written


@pytest.mark.skipif(os.name == "nt", reason="no pipe there is non-blocking")
async def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    """Such as a standard output that somebody has made non-blocking; nobody turns idly."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    content = os.urandom(300_000)
    sink = Counted(writing)
    await sink.open()
    received = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.write, content)
        await sink.full.wait()
        tries = sink.tries
        # as long as nobody reads
        await trio.sleep(0.1)
        assert sink.tries == tries
        while len(received) < len(content):
            received += await trio.to_thread.run_sync(os.read, reading, 1 << 20)
    assert received == content
    await sink.finish()
    os.close(reading)
    os.close(writing)


async def test_a_link_stays_one(tmp_path: Path) -> None:
    """The file that it leads to is replaced, also over two links and before there is a file."""
    for number, old in enumerate((b"old", None)):
        target = tmp_path / f"target {number}"
        if old is not None:
            target.write_bytes(old)
        (tmp_path / f"middle {number}").symlink_to(target)
        link = tmp_path / f"link {number}"
        link.symlink_to(tmp_path / f"middle {number}")
        sink = File(link)
        await sink.open()
        await sink.write(b"new")
        await sink.finish()
        assert link.is_symlink()
        assert (tmp_path / f"middle {number}").is_symlink()
        assert not target.is_symlink()
        assert target.read_bytes() == b"new"
