"""Every block of Python in the documentation runs as it stands."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives import serialization

import trioquic
from tests.certificates import Certificates
from tests.programs import needs
from tests.servers import gtlsserver
from tests.sim_server import ServerOptions, credentials, serve

from .blocks import PAGES, Block, needed_names, python_blocks
from .world import SERVER, Reader, reader

pytestmark = pytest.mark.plain

# These run trio themselves, on a network that they make, or are tests of this suite.
APART = {"docs/failover_tests.md", "docs/testing.md"}
# Threads read and write these files, and no clock may jump meanwhile.
WITH_FILES = ["docs/http3.md", "docs/sessions.md"]
WITH_CODE = [page for page in PAGES if page not in APART and python_blocks(page)]
# These go on as long as the connection is open, works, or has something to say.
ENDLESS = (
    "async for event in events:\n        match event:",
    "await conn.wait_unhealthy()",
    "await send.send(answer_to(line))",
)
PATIENCE = 10.0


def test_the_pages_with_code_are_found() -> None:
    assert len(WITH_CODE) >= 16
    for page in PAGES:
        text = (Path(__file__).parent.parent.parent / page).read_text(encoding="utf-8")
        assert len(re.findall(r"^ *```python", text, re.MULTILINE)) == len(python_blocks(page))


def test_what_a_block_needs() -> None:
    code = "async with a.b() as c:\n    d = [e for e in c]\n    print(d, f)\ndef g(h): return i(h)"
    assert needed_names(code) == {"a", "f", "i"}


async def run(block: Block, here: Reader) -> None:
    """One block, in a namespace that has what it needs."""
    # as if it began in its line of the page
    source = "\n" * (block.line - 1) + block.code
    code = compile(
        source, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    waiting = eval(code, here.namespace)
    if inspect.iscoroutine(waiting):
        await waiting
    while here.mains:
        await here.mains.pop(0)()


def loops_for_ever(block: Block) -> bool:
    return any(start in block.code for start in ENDLESS)


@pytest.mark.parametrize("page", [page for page in WITH_CODE if page not in WITH_FILES])
async def test_the_code_of_a_page(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    page: str,
) -> None:
    await run_page(monkeypatch, tmp_path, page)


@pytest.mark.parametrize("page", WITH_FILES)
async def test_the_code_of_a_page_in_real_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str
) -> None:
    await run_page(monkeypatch, tmp_path, page)


async def run_page(monkeypatch: pytest.MonkeyPatch, folder: Path, page: str) -> None:
    """All blocks of a page, one after the other, in one namespace, as a reader would."""
    monkeypatch.chdir(folder)
    prepare_files(folder)
    async with reader(monkeypatch) as here:
        for block in python_blocks(page):
            for name in sorted(needed_names(block.code)):
                # NameError for one that nobody knows
                await here.named(name)
            with trio.move_on_after(PATIENCE) as scope:
                await run(adapted(block, folder), here)
            keep_trace(folder)
            here.forget()
            # Who subscribes to events stops listening when they like.
            assert scope.cancelled_caught is loops_for_ever(block), f"{page}:{block.line}"


def adapted(block: Block, folder: Path) -> Block:
    """The one place outside of a folder of its own that the documentation writes to."""
    code = block.code.replace('"/tmp/traces"', repr(str(folder / "traces")))
    return Block(page=block.page, line=block.line, language="python", code=code)


def prepare_files(folder: Path) -> None:
    """The files that are read: an authority, a client's certificate and key, a video."""
    (folder / "traces").mkdir()
    chosen = credentials("example.org", "cloudflare-quic.com", "api.example.org")
    (folder / "internal-ca.pem").write_bytes(chosen.ca_pem)
    chain = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chosen.chain]
    (folder / "me.pem").write_bytes(b"".join(chain))
    key: Any = chosen.key
    (folder / "me.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "video.mp4").write_bytes(bytes(100_000))


def keep_trace(folder: Path) -> None:
    """The trace that the documentation's code wrote, under the name that it reads."""
    for trace in (folder / "traces").glob("*.sqlog"):
        trace.rename(folder / "6f3a…_client.sqlog")


def test_the_test_of_failover_tests() -> None:
    """As it stands, with a server and a download of the reader's: the simulated phone's interfaces
    are the connection's without a word."""
    (block,) = python_blocks("docs/failover_tests.md")
    moved: list[str | None] = []
    chosen = credentials(SERVER)

    async def my_server(task_status: trio.TaskStatus[Any]) -> None:
        options = ServerOptions(credentials=chosen)
        await serve([SERVER], 4433, options, task_status=task_status)

    async def my_download() -> None:
        tls = trioquic.TLSConfig(ca_data=chosen.ca_pem)
        async with trioquic.open_connection(SERVER, 4433, alpn=["hq-interop"], tls=tls) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"WAIT 3 100000\r\n")
            await stream.send_eof()
            assert sum([len(chunk) async for chunk in stream]) == 100_000
            moved.append(None if conn.active_path is None else conn.active_path.interface)

    namespace = {"my_server": my_server, "my_download": my_download}
    exec(compile(block.code, block.page, "exec"), namespace)
    assert moved == ["wwan0"]


@needs("gtlsserver")
async def test_the_test_of_testing(certs: Certificates, tmp_path: Path) -> None:
    (block,) = python_blocks("docs/testing.md")
    namespace: dict[str, Any] = {"gtlsserver": gtlsserver}
    exec(compile(block.code, block.page, "exec"), namespace)
    await namespace["test_something"](certs, tmp_path)
