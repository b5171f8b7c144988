"""Where content goes that does not simply become a new file: links, devices, pipes, descriptors."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.programs import needs_root
from trioquic.cli.outputs import StandardOutput, Through, sink_for
from trioquic.cli.sink import File, Sink

from .test_sink import files

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX's files")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")
pytestmark = [pytest.mark.plain, posix]
NEW = b"new content" * 100


async def fill(sink: Sink, content: bytes = NEW) -> None:
    await sink.open()
    await sink.write(content)
    await sink.finish()
    sink.discard()


async def test_a_link_leads_to_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "file"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("second")
    (tmp_path / "second").symlink_to(Path("there") / "file")
    await fill(sink_for(str(link)))
    assert link.is_symlink()
    assert files(target.parent) == {"file": NEW}


async def test_a_link_to_what_is_not_there_yet(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("file")
    await fill(sink_for(str(link)))
    assert link.is_symlink()
    assert (tmp_path / "file").read_bytes() == NEW


@pytest.mark.parametrize("what", ["circle", "folder", "folder that is none", "in no folder"])
async def test_where_nothing_can_be_written(tmp_path: Path, what: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "folder").mkdir()
    names = {"folder that is none": "none/", "in no folder": "none/file"}
    sink = sink_for(f"{tmp_path}/{names.get(what, what)}")
    with pytest.raises(OSError):
        await sink.open()
    sink.discard()
    assert sorted(os.listdir(tmp_path)) == ["circle", "folder"]


async def test_other_names_of_a_file_have_the_new_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old" * 1000)
    os.link(tmp_path / "file", tmp_path / "name")
    sink = sink_for(str(tmp_path / "file"))
    await sink.open()
    await sink.write(NEW)
    assert (tmp_path / "name").read_bytes() == b"old" * 1000
    await sink.finish()
    assert files(tmp_path) == {"file": NEW, "name": NEW}


@needs_root()
async def test_owner_and_mode_stay(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    os.chown(target, 1234, 4321)
    target.chmod(0o4751)
    await fill(sink_for(str(target)))
    now = target.stat()
    # written by somebody else, it is nobody's program to run as its owner
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (1234, 4321, 0o751)
    assert files(tmp_path) == {"file": NEW}


@pytest.fixture
def shared(mode: int) -> Iterator[Path]:
    """A folder with this mode; pytest closes its own ones to others at each start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(mode)
        yield folder


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights."""
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@needs_root()
@pytest.mark.parametrize("mode", [0o777])
async def test_a_file_that_is_protected_is_not_replaced(shared: Path) -> None:
    target = shared / "file"
    target.write_bytes(b"old")
    sink = File(target)
    with as_nobody(), pytest.raises(PermissionError):
        sink._open()
    assert files(shared) == {"file": b"old"}


@needs_root()
@pytest.mark.parametrize("mode", [0o755])
async def test_a_file_in_a_folder_of_others_is_written(shared: Path) -> None:
    target = shared / "file"
    target.write_bytes(b"old" * 1000)
    target.chmod(0o666)
    sink = File(target)
    with as_nobody():
        sink._open()
    await sink.write(NEW)
    await sink.finish()
    assert files(shared) == {"file": NEW}
    assert target.stat().st_uid == 0


async def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    name = "\N{EURO SIGN}" * 85
    await fill(sink_for(str(tmp_path / name)))
    assert files(tmp_path) == {name: NEW}


async def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []

    async def read() -> None:
        received.append(await trio.to_thread.run_sync(pipe.read_bytes))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await fill(sink_for(str(pipe)), NEW * 1000)
    assert received == [NEW * 1000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


async def test_a_named_pipe_without_a_reader_ends_with_its_user(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sink = sink_for(str(pipe))
    with trio.move_on_after(0.05) as scope:
        await sink.open()
    assert scope.cancelled_caught
    sink.discard()
    # to its end: the thread that was left alone closes what it opens now
    with trio.fail_after(10):
        assert await trio.to_thread.run_sync(pipe.read_bytes, abandon_on_cancel=True) == b""


@linux
@pytest.mark.parametrize("name", ["/proc/self/fd/{}", "/dev/fd/{}", "/proc/{pid}/fd/{}", "link"])
async def test_a_descriptor_goes_on_where_it_is(tmp_path: Path, name: str) -> None:
    """As `>> file` has opened it, and with what others write to it."""
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(b"before ")
        name = name.format(file.fileno(), pid=os.getpid())
        if name == "link":
            (tmp_path / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")
            name = str(tmp_path / "link")
        await fill(sink_for(name))
        file.write(b" after")
    assert (tmp_path / "file").read_bytes() == b"before " + NEW + b" after"


@linux
@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"])
def test_standard_output_has_other_names(name: str) -> None:
    sink = sink_for(name)
    assert isinstance(sink, StandardOutput)
    assert sink.turn == StandardOutput(binary=True).turn
    assert sink.name == name


@linux
async def test_the_descriptor_of_another_process(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        cat = await trio.lowlevel.open_process(["cat"], stdin=subprocess.PIPE, stdout=file)
        await fill(sink_for(f"/proc/{cat.pid}/fd/1"))
        assert cat.stdin is not None
        await cat.stdin.aclose()
        await cat.wait()
    assert (tmp_path / "file").read_bytes() == NEW


def test_whose_turn_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    one, other = sink_for(str(tmp_path / "pipe")), sink_for(str(tmp_path / "link"))
    assert one.turn == other.turn is not None
    assert isinstance(sink_for(os.devnull), Through)
    assert sink_for(os.devnull).turn is None
    assert sink_for(str(tmp_path / "file")).turn is None
