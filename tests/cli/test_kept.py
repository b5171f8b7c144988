"""What `trioquic fetch` keeps for the next time, where, and what comes of it."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Certificates
from tests.cli.run import invoke, trioquic, trioquic_json
from tests.programs import needs
from tests.servers import Server, caddy, gtlsserver, process
from trioquic.cli.kept import make_default_file, state_folder

CONTENT = b"some content\n"
NOTHING = {"resumed": False, "early_data": "none"}
RESUMED = {"resumed": True, "early_data": "none"}
ACCEPTED = {"resumed": True, "early_data": "accepted"}
REJECTED = {"resumed": False, "early_data": "rejected"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A server's folder with a file."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    return folder


async def fetch(server: Server, target: Path, *options: object) -> dict[str, object]:
    """Get the file; how the one connection began."""
    url = f"https://localhost:{server.port}/file"
    what = (url, "-o", target, "--cafile", server.ca_file, *options)
    (connection,) = (await trioquic_json("fetch", *what))["connections"]
    assert take(target) == CONTENT
    return {name: connection[name] for name in NOTHING}


def take(target: Path) -> bytes:
    """What was downloaded, which is gone then."""
    content = target.read_bytes()
    target.unlink()
    return content


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(gtlsserver, marks=needs("gtlsserver")),
        pytest.param(caddy, marks=needs("caddy")),
    ],
)
async def test_early_data_to_a_server_that_was_visited_before(
    make: Callable[..., Any], certs: Certificates, tmp_path: Path, root: Path
) -> None:
    kept, target = tmp_path / "kept", tmp_path / "copy"
    async with make(certs.server, root=root) as server:
        # in the default place
        assert await fetch(server, target) == NOTHING
        assert await fetch(server, target) == ACCEPTED
        assert await fetch(server, target, "--no-early-data") == RESUMED
        assert await fetch(server, target, "--no-sessions") == NOTHING
        # somewhere else
        assert await fetch(server, target, "--sessions", kept) == NOTHING
        assert await fetch(server, target, "--sessions", kept) == ACCEPTED


@needs("gtlsserver")
async def test_a_server_that_has_forgotten_its_keys(
    certs: Certificates, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for _ in range(2):
        async with gtlsserver(certs.server, root=root) as server:
            url, trust = f"https://localhost:{server.port}/file", ("--cafile", server.ca_file)
            for _ in range(2):
                result = await trioquic("fetch", url, *trust, "-v")
                assert result.stdout_bytes == CONTENT
                told.append(result.stderr.partition("over QUIC v1: ")[2])
        # another one in its place
        monkeypatch.setattr(process, "free_port", lambda host, port=server.port: port)
    assert told == [
        "a full handshake\n",
        "the session resumed, early data accepted\n",
        "a full handshake, early data rejected and sent again\n",
        "the session resumed, early data accepted\n",
    ]


@needs("gtlsserver")
async def test_without_a_place_it_goes_on(
    certs: Certificates, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_text("{")
    monkeypatch.setenv("XDG_STATE_HOME", str(root / "file"))
    async with gtlsserver(certs.server, root=root) as server:
        url, trust = f"https://localhost:{server.port}/file", ("--cafile", server.ca_file)
        for options, complaint in (
            ((), "trioquic: no sessions are kept, as there is no place for them: "),
            (("--no-sessions",), ""),
            (("-s",), ""),
            (("--sessions", damaged), f"{damaged} "),
        ):
            result = await trioquic("fetch", url, *trust, *options)
            assert (result.exit_code, result.stdout_bytes) == (0, CONTENT)
            assert result.stderr.startswith(complaint)
            assert result.stderr.count("\n") == bool(complaint)


def test_one_place_or_none() -> None:
    result = invoke("fetch", "https://a.example/", "--sessions", "x", "--no-sessions")
    assert result.exit_code == 2
    assert "--sessions and --no-sessions exclude each other" in result.stderr


def test_the_default_place_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a" / "b"))
    for _ in range(2):
        assert make_default_file() == tmp_path / "a" / "b" / "trioquic" / "sessions.json"
    for made in ("a", "a/b", "a/b/trioquic"):
        assert stat.S_IMODE((tmp_path / made).stat().st_mode) == 0o700


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@needs("gtlsserver")
async def test_any_home_will_do(
    certs: Certificates, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not there, as services have, is not made."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    file, home = tmp_path / "a file", tmp_path / "home"
    file.touch()
    home.mkdir()
    async with gtlsserver(certs.server, root=root) as server:
        url, trust = f"https://localhost:{server.port}/file", ("--cafile", server.ca_file)
        for value in (str(tmp_path / "none"), str(file), "", str(home)):
            monkeypatch.setenv("HOME", value)
            before = listing(tmp_path)
            result = await trioquic("fetch", url, *trust)
            assert (result.exit_code, result.stdout_bytes) == (0, CONTENT), result.stderr
            assert listing(tmp_path) == before
            told = f"there is no place for them: the home folder {value} does not exist"
            assert (told in result.stderr) is (value != str(home))
            assert result.stderr.count("\n") == (value != str(home))
    assert (home / ".local/state/trioquic/sessions.json").exists()


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {}, "/home/me/.local/state"),
        ("linux", {"XDG_STATE_HOME": "/elsewhere"}, "/elsewhere"),
        # the specification: a relative one is to be ignored
        ("linux", {"XDG_STATE_HOME": "elsewhere"}, "/home/me/.local/state"),
        ("darwin", {}, "/home/me/Library/Application Support"),
        ("win32", {}, "/home/me/AppData/Local"),
        ("win32", {"LOCALAPPDATA": "/elsewhere", "XDG_STATE_HOME": "/no"}, "/elsewhere"),
    ],
)
def test_each_systems_place(
    platform: str,
    environ: Mapping[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert state_folder(platform, environ) == Path(expected)
