"""A file of sessions: what is in it, and that no trouble with it is anybody's trouble."""

import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from trioquic.sessions import (
    AddressToken,
    FileSessions,
    Resumption,
    SessionFileWarning,
    TakenSession,
)
from trioquic.sessions import _file as file_module
from trioquic.sessions import _format as format_module
from trioquic.sessions._format import DamagedError, decode, encode
from trioquic.sessions._shelf import Entry

from .records import key, ticket, token

NOTHING = TakenSession(None, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


async def one_warning(store: FileSessions, text: str) -> None:
    """It is told once, and a store that is empty takes and keeps as if nothing was."""
    with warnings.catch_warnings(record=True, category=SessionFileWarning) as told:
        warnings.simplefilter("always")
        assert await store.take(key()) == NOTHING
        assert await store.take(key()) == NOTHING
    [message] = [str(warning.message) for warning in told]
    assert message.startswith(f"{store._path} ")
    assert re.search(text, message)


async def test_every_field_comes_back(path: Path) -> None:
    kept = ticket(issued_at=1234.1 / 3, expires_at=4e9 + 0.1), token("\0\x7f")
    await FileSessions(path).keep(key(), kept)
    taken = await FileSessions(path).take(key())
    assert taken == kept
    entry = json.loads(encode([Entry(key(), kept[0])]))["entries"][0]
    names = {field.name for field in dataclasses.fields(Resumption)}
    assert names == set(entry) - {field.name for field in dataclasses.fields(key())}


async def test_it_is_one_line_of_json_for_its_owner(path: Path) -> None:
    await FileSessions(path).keep(key(), [token()])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.endswith("}\n")
    assert json.loads(text)["version"] == 1
    await FileSessions(path).keep(key(), [ticket()])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # nothing is left of the writing but the lock
    assert {p.name for p in path.parent.iterdir()} == {path.name, path.name + ".lock"}
    assert stat.S_IMODE((path.parent / (path.name + ".lock")).stat().st_mode) == 0o600


async def test_a_link_stays_a_link(path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to(path)
    await FileSessions(link).keep(key(), [token()])
    assert link.is_symlink()
    assert (await FileSessions(path).take(key())).token


async def test_taking_nothing_writes_nothing(path: Path) -> None:
    assert await FileSessions(path).take(key()) == NOTHING
    assert not path.exists()
    await FileSessions(path).keep(key(), [token()])
    before = path.stat().st_ino
    assert await FileSessions(path).take(key(port=1)) == NOTHING
    assert path.stat().st_ino == before


def break_bit(content: bytes) -> bytes:
    """In the middle, where the secret is; JSON is still JSON."""
    place = content.index(b'"secret": "') + 20
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def reseal(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """What a program with a bug might have written: wrong entries under the right digest."""

    def damage(content: bytes) -> bytes:
        entries = json.loads(content)["entries"]
        change(entries[0])
        body = json.dumps(entries)
        digest = hashlib.sha256(body.encode()).hexdigest()
        head = b'{"format": "trioquic sessions", "version": 1, "sha256": "'
        return head + digest.encode() + b'", "entries": ' + body.encode() + b"}\n"

    return damage


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "truncated": lambda content: content[: len(content) // 2],
    "one byte less": lambda content: content[:-1],
    "after the head": lambda content: content[:44],
    "a bit": break_bit,
    "more": lambda content: content + content,
    "no text": lambda content: content[:60] + b"\xff\xfe" + content[62:],
    "no entry": reseal(lambda entry: entry.clear()),
    "no number": reseal(lambda entry: entry.update(issued_at="now")),
    "no float": reseal(lambda entry: entry.update(issued_at=10**400)),
    "infinity": reseal(lambda entry: entry.update(expires_at=float("inf"))),
    "no integer": reseal(lambda entry: entry.update(age_add=1.5)),
    "no flag": reseal(lambda entry: entry.update(early_data=1)),
    "no text at all": reseal(lambda entry: entry.update(alpn=None)),
    "no base64": reseal(lambda entry: entry.update(secret="??")),
    "no list": reseal(lambda entry: entry.update(peer_certificates="MAA=")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_file_is_reported_and_replaced(
    path: Path, damage: Callable[[bytes], bytes]
) -> None:
    await FileSessions(path).keep(key(), [ticket(), token()])
    path.write_bytes(damage(path.read_bytes()))
    store = FileSessions(path)
    await one_warning(store, "is damaged|is empty")
    kept = ticket("new"), token("new")
    await store.keep(key(), kept)
    assert await FileSessions(path).take(key()) == kept


async def test_a_whole_number_of_seconds_is_a_time(path: Path) -> None:
    """JSON does not tell integers from floats, and other programs write either."""
    kept = ticket(issued_at=1e9, expires_at=4e9)
    sealed = encode([Entry(key(), kept), Entry(key(), token())])
    change = reseal(lambda entry: entry.update(issued_at=10**9, expires_at=4 * 10**9))
    [(_, read), _] = decode(change(sealed))
    assert read == kept
    assert isinstance(read, Resumption)
    assert type(read.issued_at) is type(read.expires_at) is float
    change = reseal(lambda entry: entry.update(received_at=10**9))
    [(_, read)] = decode(change(encode([Entry(key(), token())])))
    assert isinstance(read, AddressToken)
    assert type(read.received_at) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 1 << 62}, f"port must be from -(2**62 - 1) to 2**62 - 1, not {1 << 62}"),
        ({"age_add": "7"}, "age_add must be an integer, not str"),
        ({"issued_at": None}, "issued_at must be a number of seconds, not NoneType"),
        ({"secret": 7}, "secret must be a str, not int"),
        ({"peer_certificates": [7]}, "each of peer_certificates must be a str, not int"),
    ],
)
def test_damage_has_a_reason(change: dict[str, object], message: str) -> None:
    content = reseal(lambda entry: entry.update(change))(encode([Entry(key(), ticket())]))
    with pytest.raises(DamagedError) as told:
        decode(content)
    assert str(told.value) == f"is damaged: {message}"


def test_a_bug_of_ours_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file would be replaced for it, and nobody would hear of the bug."""
    content = encode([Entry(key(), ticket())])
    monkeypatch.setattr(format_module, "SessionKey", lambda: None)
    with pytest.raises(TypeError, match="unexpected keyword"):
        decode(content)


FOREIGN = {
    "notes": b"buy milk\n",
    "json": b'{"version": 1, "entries": []}\n',
    "deep": b"[" * 100_000,
    "binary": bytes(range(256)),
    "newer": b'{"format": "trioquic sessions", "version": 2, "entries": {}}\n',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
async def test_a_foreign_file_is_reported_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    store = FileSessions(path)
    await one_warning(store, "left alone")
    await store.keep(key(), [ticket(), token()])
    await store.clear()
    assert path.read_bytes() == content


async def test_a_huge_file_is_not_read_in_whole(path: Path) -> None:
    await FileSessions(path).keep(key(), [token()])
    with open(path, "r+b") as file:
        file.truncate(1 << 40)
    await one_warning(FileSessions(path), "is damaged")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
async def test_what_others_have_access_to_is_not_believed(path: Path, mode: int) -> None:
    """They may know the secrets, or have written them."""
    await FileSessions(path).keep(key(), [ticket(), token()])
    path.chmod(mode)
    store = FileSessions(path)
    await one_warning(store, "open to other users")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await store.keep(key(), [token("new")])
    assert (await store.take(key())).token is not None


async def test_a_file_of_somebody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await FileSessions(path).keep(key(), [ticket(), token()])
    content = path.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    store = FileSessions(path)
    await one_warning(store, "another user")
    await store.keep(key(), [token("new")])
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["folder", "pipe"])
async def test_what_is_no_file_is_reported_and_left_alone(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    store = FileSessions(path)
    await one_warning(store, "it is no file")
    await store.keep(key(), [token()])
    assert not path.is_file()


async def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    await one_warning(FileSessions(tmp_path / "no" / "sessions"), "cannot be written")


async def test_an_unreadable_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may read everything."""
    await FileSessions(path).keep(key(), [token()])
    real = os.open

    def refuse(name: Any, *more: Any, **options: Any) -> int:
        if name == str(path):
            raise PermissionError(errno.EACCES, "Permission denied", name)
        return real(name, *more, **options)

    store = FileSessions(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        await one_warning(store, "cannot be read")
    assert (await store.take(key())).token


async def test_a_full_disk_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be taken away is not given out either: it would come back."""
    kept = ticket(), token()
    store = FileSessions(path)
    await store.keep(key(), kept)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        await one_warning(store, "cannot be written.*No space")
        await store.keep(key(port=1), kept)
    assert {p.name for p in path.parent.iterdir()} == {path.name, path.name + ".lock"}
    assert await store.take(key()) == kept
    assert await store.take(key(port=1)) == NOTHING


async def test_warnings_as_errors_end_nothing(path: Path) -> None:
    path.write_bytes(b"buy milk\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert await FileSessions(path).take(key()) == NOTHING


async def test_a_lock_that_is_never_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "_LONGEST_WAIT", 0.05)
    store = FileSessions(path)
    await store.keep(key(), [token()])
    with open(path.parent / (path.name + ".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        await one_warning(store, "is being written by others")
    assert (await store.take(key())).token


async def test_a_thread_that_hangs_holds_nobody_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk does not answer. Its first victim can be left to itself, and others get away."""
    monkeypatch.setattr(file_module, "_LONGEST_WAIT", 0.05)
    store = FileSessions(path)
    await store.keep(key(), [token()])
    answering = threading.Event()
    real = os.fsync

    def hang(descriptor: int) -> None:
        answering.wait()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", hang)
    try:
        with trio.move_on_after(0.05) as scope:
            await store.keep(key(port=1), [token()])
        assert scope.cancelled_caught
        await one_warning(store, "is being written by others")
    finally:
        answering.set()
    monkeypatch.undo()
    assert (await store.take(key(port=1))).token


async def test_a_file_system_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    store = FileSessions(path)
    await store.keep(key(), [token()])
    assert (await store.take(key())).token


async def test_cancelled_in_the_thread_nothing_is_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ticket(), token()
    store = FileSessions(path)
    await store.keep(key(), kept)
    real = tempfile.mkstemp
    scope = trio.CancelScope()

    def cancel_and_make(*args: Any, **options: Any) -> tuple[int, str]:
        trio.from_thread.run_sync(scope.cancel)
        return real(*args, **options)

    monkeypatch.setattr(tempfile, "mkstemp", cancel_and_make)
    with scope:
        await store.take(key())
    assert scope.cancelled_caught
    monkeypatch.undo()
    assert await store.take(key()) == kept


async def test_many_tasks_share_one_file(path: Path) -> None:
    """Two objects, as two connections of different parts of a program might have."""
    stores = [FileSessions(path, per_server=64), FileSessions(path, per_server=64)]
    taken: list[bytes] = []

    async def keep(number: int) -> None:
        await stores[number % 2].keep(key(), [token(f"{number}")])

    async def take(number: int) -> None:
        found = (await stores[number % 2].take(key())).token
        assert found is not None
        taken.append(found.token)

    for work in (keep, take):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(work, number)
    assert sorted(map(int, taken)) == list(range(20))


def test_a_path_is_a_path() -> None:
    with pytest.raises(TypeError):
        FileSessions(7)  # type: ignore[arg-type]
