"""`trioquic fetch` with three servers on real sockets: what arrives, where it goes, how it ends."""

import hashlib
import io
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.console import Console

from tests.certificates import Certificates
from tests.cli.run import invoke, trioquic, trioquic_json, without_silence
from tests.http3.world import Application
from tests.programs import needs
from tests.real.exchange import make_file
from tests.servers import caddy, gtlsserver
from tests.servers.process import free_port
from tests.sim_server import Credentials, ServerOptions, SimServer, pattern, serve
from trioquic.cli import failures
from trioquic.cli.progress import Bars, progress_on
from trioquic.cli.sink import File
from trioquic.cli.transfer import Job

SIZE = 3_000_001
REAL = (
    pytest.param("gtlsserver", marks=needs("gtlsserver")),
    pytest.param("caddy", marks=needs("caddy")),
)


@asynccontextmanager
async def site(kind: str, certs: Certificates, root: Path) -> AsyncIterator[str]:
    """A server of that name with these files; its URL."""
    make = gtlsserver if kind == "gtlsserver" else caddy
    async with make(certs.server, root=root) as server:
        yield f"https://localhost:{server.port}"


@asynccontextmanager
async def aioquic_site(certs: Certificates) -> AsyncIterator[str]:
    """aioquic's HTTP/3, which answers `/bytes/N`."""
    chain = certs.server.chain
    key = load_pem_private_key(certs.server.key_file.read_bytes(), None)
    credentials = Credentials(chain=tuple(chain), key=key, ca_pem=certs.ca_data)
    options = ServerOptions(alpn=("h3",), credentials=credentials, application=Application)
    async with trio.open_nursery() as nursery:
        server: SimServer = await nursery.start(serve, ["127.0.0.1"], 0, options)
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("kind", REAL)
async def test_files_arrive_as_they_are(kind: str, certs: Certificates, tmp_path: Path) -> None:
    content = make_file(tmp_path, SIZE)
    target = tmp_path / "copy"
    async with site(kind, certs, tmp_path) as url:
        what = (f"{url}/file-{SIZE}", "-o", target, "--cafile", certs.ca_file)
        result = await trioquic_json("fetch", *what)
    assert target.read_bytes() == content
    (done,) = result["transfers"]
    assert done["bytes"] == SIZE
    assert done["status"] == 200
    assert done["sha256"] == hashlib.sha256(content).hexdigest()
    assert done["seconds"] > 0
    assert done["error"] is None
    (connection,) = result["connections"]
    assert connection["origin"] == url
    assert connection["handovers"] == []
    assert connection["paths"][0]["bytes_received"] > SIZE


async def test_files_of_aioquic(certs: Certificates, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    async with aioquic_site(certs) as url:
        result = await trioquic(
            "fetch", f"{url}/bytes/500001", "-o", target, "--cafile", certs.ca_file
        )
    assert result.exit_code == 0
    assert (result.stdout, without_silence(result.stderr)) == ("", "")
    assert target.read_bytes() == pattern(500_001)


async def test_control_c_in_the_middle_says_nothing_of_the_connection(
    certs: Certificates, tmp_path: Path
) -> None:
    """Whatever the process does at that moment: here, the connection's own task."""
    code = (
        "import signal, sys; from trioquic.cli import command;"
        "from trioquic._runtime.paths.path_link import PathLink as link;"
        "take = link._take; left = [30];"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def interrupted(self, received):\n"
        "    take(self, received); left[0] -= 1\n"
        "    if not left[0]: signal.raise_signal(signal.SIGINT)\n"
        "link._take = interrupted; command(sys.argv[1:])"
    )
    async with aioquic_site(certs) as url:
        words = ["fetch", f"{url}/bytes/2000000", "-o", str(tmp_path / "x"), "--no-sessions"]
        done = await trio.run_process(
            [sys.executable, "-c", code, *words, "--cafile", str(certs.ca_file)],
            capture_stderr=True,
            check=False,
        )
    assert (done.returncode, without_silence(done.stderr.decode())) == (130, "")
    assert os.listdir(tmp_path) == []


@needs("gtlsserver")
async def test_a_hundred_at_once(certs: Certificates, tmp_path: Path) -> None:
    content = make_file(tmp_path, 20_000)
    async with site("gtlsserver", certs, tmp_path) as url:
        arguments: list[object] = []
        for number in range(100):
            arguments += [f"{url}/file-20000", "-o", tmp_path / f"copy-{number}"]
        result = await trioquic_json("fetch", *arguments, "--cafile", certs.ca_file)
    assert len(result["connections"]) == 1
    assert all((tmp_path / f"copy-{number}").read_bytes() == content for number in range(100))


@needs("caddy")
async def test_where_content_goes(
    certs: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, here = tmp_path / "root", tmp_path / "here"
    root.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    (root / "a").write_bytes(b"first\n")
    (root / "b").write_bytes(b"\xff\x00")
    trust = ("--cafile", certs.ca_file)
    async with site("caddy", certs, root) as url:
        printed = await trioquic("fetch", f"{url}/a", f"{url}/b", *trust)
        assert printed.stdout_bytes == b"first\n\xff\x00"

        # -o for the first, -O for the rest; what is there is replaced and keeps its mode
        (here / "mine").write_bytes(b"old")
        (here / "mine").chmod(0o640)
        named = await trioquic("fetch", f"{url}/a", f"{url}/b", "-o", "mine", "-O", *trust)
        assert named.exit_code == 0
        assert {path.name: path.read_bytes() for path in here.iterdir()} == {
            "mine": b"first\n",
            "b": b"\xff\x00",
        }
        assert stat.S_IMODE((here / "mine").stat().st_mode) == 0o640

        # what fails leaves nothing behind, and what was there as it was
        missing = await trioquic("fetch", f"{url}/c", f"{url}/a", "-o", "mine", "-o", "a", *trust)
        assert missing.exit_code == failures.HTTP_STATUS
        assert without_silence(missing.stderr) == f"trioquic: {url}/c: status 404\n"
        assert sorted(path.name for path in here.iterdir()) == ["a", "b", "mine"]
        assert (here / "mine").read_bytes() == b"first\n"

        # what is no file is written to, and by any number
        device = here / "device"
        device.symlink_to(os.devnull)
        twice = await trioquic("fetch", f"{url}/a", f"{url}/b", "-o", device, "-o", device, *trust)
        assert twice.exit_code == 0
        assert device.is_symlink()

        unwritable = await trioquic("fetch", f"{url}/a", "-o", here / "no" / "folder", *trust)
        assert unwritable.exit_code == failures.WRITING


@needs("caddy")
async def test_traces_and_secrets(certs: Certificates, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    traces = tmp_path / "traces"
    traces.mkdir()
    secrets = tmp_path / "secrets"
    async with site("caddy", certs, tmp_path) as url:
        options = ("--qlog", traces, "--keylog", secrets, "--interface", "lo", "--insecure")
        result = await trioquic("fetch", f"{url}/a", *options)
    assert result.stdout_bytes == b"content"
    assert len(list(traces.iterdir())) == 1
    assert "CLIENT_TRAFFIC_SECRET_0 " in secrets.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's /dev/full")
@pytest.mark.parametrize("how", ["--keylog", "SSLKEYLOGFILE"])
async def test_a_full_disk_for_secrets_is_one_line(
    certs: Certificates, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """All of them are missing."""
    options: list[object] = ["--cafile", certs.ca_file, "--no-sessions"]
    if how == "--keylog":
        options += [how, "/dev/full"]
    else:
        monkeypatch.setenv(how, "/dev/full")
    async with aioquic_site(certs) as url:
        result = await trioquic("fetch", f"{url}/bytes/5", *options)
    assert result.exit_code == 0
    (line,) = without_silence(result.stderr).splitlines()
    assert line.startswith("secrets are missing in /dev/full: ")


def test_names_that_no_interface_has() -> None:
    """One of them may come later: whoever slipped sees a line, and the downloads go on."""
    url = f"https://127.0.0.1:{free_port('127.0.0.1')}/"
    wanted = ("--prefer-interface", "no0", "--not-tunnel", "no1", "--interface", "no2")
    everything = (*wanted, "--interface", "lo", "--only-interface", "no2", "--only-interface", "lo")
    result = invoke("fetch", url, "--no-sessions", "--connect-timeout", 0.2, *everything)
    assert result.exit_code == failures.NO_CONNECTION
    assert result.stderr.splitlines()[:3] == [f"there is no interface 'no{n}'" for n in range(3)]
    assert "no interface" not in "".join(result.stderr.splitlines()[3:])
    # it must not go another way then, and says so once
    alone = invoke("fetch", url, "--no-sessions", "--only-interface", "no0")
    assert alone.exit_code == failures.INTERFACE
    assert alone.stderr.count("no interface 'no0'") == 1


@needs("gtlsserver")
async def test_exit_codes(certs: Certificates, tmp_path: Path) -> None:
    async with gtlsserver(certs.server, root=tmp_path) as server:
        url = f"https://localhost:{server.port}/1"
        nowhere = f"https://127.0.0.1:{free_port('127.0.0.1')}/"
        trust = ("--cafile", certs.ca_file)
        for expected, arguments in (
            (0, (url, *trust)),
            (failures.WRITING, (f"{url}000", *trust, "-o", "/dev/full")),
            (failures.BAD_URL, ("https://\N{ZERO WIDTH JOINER}.example/",)),
            (failures.UNKNOWN_HOST, ("https://unknown.invalid/",)),
            (failures.UNKNOWN_HOST, ("https://\N{LATIN SMALL LETTER U WITH DIAERESIS}.invalid/",)),
            (failures.NO_CONNECTION, (nowhere, "--connect-timeout", 0.2)),
            (failures.TOO_LONG, (nowhere, "--max-time", 0.2)),
            (failures.CERTIFICATE, (url,)),
            (failures.INTERFACE, (url, *trust, "--interface", "nope0")),
            (failures.BAD_FILE, (url, "--cafile", certs.server.key_file)),
            (failures.BAD_FILE, (url, "--cafile", tmp_path / "none.pem")),
            (failures.BAD_FILE, (url, "--cafile", tmp_path)),
            (failures.BAD_FILE, (url, *trust, "--keylog", tmp_path / "no" / "folder")),
            # of the first that failed
            (
                failures.HTTP_STATUS,
                (url, f"{url}/nothing", nowhere, "--connect-timeout", 0.2, *trust),
            ),
        ):
            result = await trioquic("fetch", *arguments)
            assert result.exit_code == expected, (arguments, result.output)
            assert bool(result.stderr) == bool(expected)
        silent = await trioquic("fetch", url, "-s")
    assert (silent.exit_code, silent.output) == (failures.CERTIFICATE, "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Missing argument"),
        (["http://example.org/"], "is not an https URL"),
        (["https://example.org/", "--interface", ""], "'--interface': '' is no name"),
        (["https://example.org/", "--prefer-interface", ""], "'--prefer-interface': '' is no name"),
        (["https://example.org/", "--cafile", ""], "'--cafile': '' is no name"),
        (["https://example.org/", "-o", ""], "'-o' / '--output': '' is no name"),
        (["https://example.org/", "--sessions", ""], "'--sessions': '' is no name"),
        (
            ["https://example.org/", "--connect-timeout", "nan"],
            "'--connect-timeout': 'nan' is no time",
        ),
        (["https://example.org/", "--connect-timeout", "inf"], "'--connect-timeout': inf is not"),
        (["https://example.org/", "--max-time", "0"], "'-m' / '--max-time': 0.0 is not"),
        (["https://[/", "-O"], "no file name"),
        (["https://a.example/", "-o", "x", "-o", "y"], "more -o than URLs"),
        (["https://a.example/x", "https://b.example/x", "-O"], "two URLs go into one file: x"),
        (["https://a.example/", "-O"], "no file name"),
        (["https://a.example/%2e%2e", "-O"], "no file name"),
        (["https://a.example/a%2fb", "-O"], "no file name"),
        (["https://a.example/", "--json"], "--json is for standard output"),
        (
            ["https://a.example/", "--interface", "a", "--only-interface", "b"],
            "--interface a is not among --only-interface",
        ),
        (["https://a.example/", "--qlog", f"{__file__}/no"], "does not exist"),
        (["https://a.example/", "--keylog", ""], "'--keylog': '' is no name"),
    ],
)
def test_usage(arguments: list[str], reason: str) -> None:
    result = invoke("fetch", *arguments)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "https://localhost:99999/a",
            "'https://localhost:99999/a' makes no sense: ports are numbers",
        ),
        ("https://localhost:0/", "has port 0"),
        ("https:///a", "'https:///a' has no host"),
        ("https:a", "'https:a' has no host"),
        ("https://127.1:8443/", "'127.1' is no IPv4 address"),
        ("https://a\u2603-.example/", "is no host name"),
        ("https://[/", "makes no sense"),
    ],
)
def test_a_url_that_makes_no_sense(url: str, reason: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    result = invoke("fetch", url, "-o", target)
    assert result.exit_code == failures.BAD_URL
    assert reason in result.stderr
    assert not list(tmp_path.glob("*target*"))


async def test_bars_on_a_terminal(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, color_system=None, width=100)
    async with trio.open_nursery() as nursery:
        jobs = [
            Job(url=f"https://a.example/[b{number}]:100:", sink=File(tmp_path / "x"))
            for number in range(2)
        ]
        with progress_on(console) as progress:
            bars = Bars(progress)
            with trio.move_on_after(1):
                nursery.start_soon(_grow, jobs)
                await bars.follow(jobs)
            bars.tell("moved from [a] to [b]\x1b[2J")
            shown = [(task.description, task.completed, task.total) for task in progress.tasks]
    assert shown == [("[b0]:100:", 50, 100), ("[b1]:100:", 50, 100)]
    assert "[b0]:100:" in terminal.getvalue()
    assert "moved from [a] to [b]\\x1b[2J" in terminal.getvalue()
    assert "50/100 bytes" in terminal.getvalue()


async def _grow(jobs: list[Job]) -> None:
    for job in jobs:
        job.total, job.received = 100, 50
    await trio.lowlevel.checkpoint()
