"""The system's resolver is asked in threads that are not the application's, and few of them."""

import math
import socket
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.cancellation.harness import Cut
from tests.uncollected import uncollected
from trioquic import _resolver
from trioquic._resolver import MOST_ADDRESSES, MOST_ALIKE, MOST_THREADS, Threads, resolve

LONG = 30.0
UNKNOWN = "unknown.example"
REAL = socket.getaddrinfo


class Silent:
    """A system whose answers come when they are let go, in whichever thread. To be made in trio."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._tell, self.begun = trio.open_memory_channel[str](math.inf)
        self.may_answer: dict[str, threading.Event] = {}
        self.all_may = threading.Event()
        self.news = trio.Event()

    def getaddrinfo(
        self,
        host: bytes,
        port: int,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        if flags & socket.AI_NUMERICHOST:
            return REAL(host, port, family, type, proto, flags)
        name = host.decode()
        gate = self.may_answer.setdefault(name, threading.Event())
        self._token.run_sync_soon(self._tell.send_nowait, name)
        while not (gate.wait(0.01) or self.all_may.is_set()):
            pass
        if name == UNKNOWN:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(socket.AF_INET, type, 17, "", ("192.0.2.1", port))]

    def answer(self, name: str) -> None:
        """The first one who asks this, and all who do later, get an answer."""
        self.may_answer.setdefault(name, threading.Event()).set()

    async def wait_begun(self, number: int) -> list[str]:
        """Which questions this many threads have begun to ask."""
        with trio.fail_after(LONG):
            return [await self.begun.receive() for _ in range(number)]

    async def wait_idle(self) -> None:
        """Wait until no thread asks any more."""
        with trio.fail_after(LONG):
            while _resolver._threads().running:
                self.news = trio.Event()
                await self.news.wait()


@asynccontextmanager
async def silent_system() -> AsyncIterator[Silent]:
    """In the place of the real one; no thread of it is left behind."""
    silent = Silent()
    settle = Threads._on_answer

    def on_answer(threads: Threads, *answer: Any) -> None:
        settle(threads, *answer)
        silent.news.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", silent.getaddrinfo)
        patch.setattr(Threads, "_on_answer", on_answer)
        try:
            yield silent
        finally:
            silent.all_may.set()
            await silent.wait_idle()


async def look_up(name: str, found: list[str] | None = None) -> None:
    entries = await resolve(name, 443, kind=socket.SOCK_DGRAM)
    if found is not None:
        found += [entry[4][0] for entry in entries]


async def abandon(system: Silent, name: str) -> None:
    """Ask, and wait no more once a thread asks."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_up, name)
        await system.wait_begun(1)
        nursery.cancel_scope.cancel()


async def test_what_nobody_waits_for_holds_no_thread_of_the_applications() -> None:
    async with silent_system() as system:
        limiter = trio.to_thread.current_default_thread_limiter()
        for number in range(MOST_THREADS):
            await abandon(system, f"{number}.example")
        assert limiter.borrowed_tokens == 0
        with trio.fail_after(LONG):
            assert await trio.to_thread.run_sync(lambda: 1) == 1


async def test_there_is_a_bounded_number_of_threads() -> None:
    async with silent_system() as system:
        for number in range(MOST_THREADS):
            await abandon(system, f"{number}.example")
        found: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look_up, "one.more.example", found)
            await trio.testing.wait_all_tasks_blocked()
            assert _resolver._threads().running == MOST_THREADS
            with pytest.raises(trio.WouldBlock):
                system.begun.receive_nowait()
            system.answer("one.more.example")
            system.answer("3.example")
            assert await system.wait_begun(1) == ["one.more.example"]
        assert found == ["192.0.2.1"]


async def test_one_question_has_few_threads() -> None:
    """A name whose name server is silent does not take them from the others."""
    async with silent_system() as system:
        for _ in range(MOST_ALIKE):
            await abandon(system, "broken.example")
        first: list[str] = []
        second: list[str] = []
        async with trio.open_nursery() as nursery:
            others = await nursery.start(_cancellable, "broken.example", first)
            nursery.start_soon(look_up, "broken.example", second)
            await trio.testing.wait_all_tasks_blocked()
            assert _resolver._threads().running == MOST_ALIKE
            # who does not wait any more harms nobody
            others.cancel()
            await trio.testing.wait_all_tasks_blocked()
            system.answer("broken.example")
        assert (first, second) == ([], ["192.0.2.1"])


async def _cancellable(
    name: str, found: list[str], *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await look_up(name, found)


async def test_a_question_that_still_waits_is_asked_for_the_others() -> None:
    async with silent_system() as system:
        for number in range(MOST_THREADS):
            await abandon(system, f"{number}.example")
        left: list[str] = []
        found: list[str] = []
        async with trio.open_nursery() as nursery:
            alone = await nursery.start(_cancellable, "nobodys.example", left)
            first = await nursery.start(_cancellable, "late.example", left)
            nursery.start_soon(look_up, "late.example", found)
            await trio.testing.wait_all_tasks_blocked()
            alone.cancel()
            first.cancel()
            await trio.testing.wait_all_tasks_blocked()
            for name in ("late.example", "1.example", "2.example"):
                system.answer(name)
            assert await system.wait_begun(1) == ["late.example"]
        assert (left, found) == ([], ["192.0.2.1"])
        # the one that was given up has never been asked
        with pytest.raises(trio.WouldBlock):
            system.begun.receive_nowait()


async def test_each_is_told_the_error() -> None:
    async with silent_system() as system:
        for _ in range(MOST_ALIKE):
            await abandon(system, UNKNOWN)
        errors: list[socket.gaierror] = []

        async def ask() -> None:
            with pytest.raises(socket.gaierror) as caught:
                await look_up(UNKNOWN)
            errors.append(caught.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            system.answer(UNKNOWN)
        first, second = errors
        assert first is not second
        assert {error.errno for error in errors} == {socket.EAI_NONAME}


async def test_an_error_is_freed_at_once() -> None:
    async with silent_system() as system:
        system.answer(UNKNOWN)
        with uncollected(_resolver._Asking) as count:
            try:
                await look_up(UNKNOWN)
            except socket.gaierror as error:
                seen = weakref.ref(error)
            assert seen() is None
            assert count(_resolver._Asking) == 0


async def test_a_system_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    async with silent_system() as system:

        def refuse(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(trio.lowlevel, "start_thread_soon", refuse)
            with pytest.raises(socket.gaierror, match="can't start new thread") as caught:
                await look_up("a.example")
        assert caught.value.errno == socket.EAI_AGAIN
        system.answer("a.example")
        await look_up("a.example")


async def test_only_some_addresses_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def many(*question: Any, flags: int = 0) -> Any:
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        six = [(socket.AF_INET6, 2, 17, "", (f"2001:db8::{n:x}", 1, 0, 0)) for n in range(2000)]
        return [*six, (socket.AF_INET, 2, 17, "", ("192.0.2.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", many)
    found = [entry[4][0] for entry in await resolve("many.example", 1, kind=socket.SOCK_DGRAM)]
    assert found[:2] == ["2001:db8::0", "2001:db8::1"]
    assert found[MOST_ADDRESSES:] == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.1", "127.0.0.1")]
)
async def test_an_address_needs_no_thread(host: str, address: str) -> None:
    async with silent_system():
        found: list[str] = []
        await look_up(host, found)
        assert found == [address]
        assert _resolver._threads().running == 0


async def test_cancelled_at_each_step() -> None:
    """Nothing is left of who asks, and who asks the same has the answer."""
    async with silent_system() as system:
        system.answer("a.example")

        async def attempt(cut: Cut) -> None:
            found: list[str] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look_up, "a.example", found)
                with cut:
                    await look_up("a.example")
            assert found == ["192.0.2.1"]
            await system.wait_idle()
            assert not _resolver._threads()._alike
            assert not _resolver._threads()._waiting

        for at in range(12):
            await attempt(Cut(at))


def test_a_run_that_ends_leaves_the_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    ended = threading.Event()
    go_on = threading.Event()

    def late(*question: Any, flags: int = 0) -> Any:
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        go_on.wait(LONG)
        return []

    real = Threads._answer

    def answer(self: Threads, *rest: Any) -> None:
        try:
            real(self, *rest)
        finally:
            ended.set()

    monkeypatch.setattr(socket, "getaddrinfo", late)
    monkeypatch.setattr(Threads, "_answer", answer)

    async def main() -> None:
        with trio.move_on_after(0.01):
            await look_up("a.example")

    trio.run(main)
    go_on.set()
    assert ended.wait(LONG)
    assert failures == []


async def test_a_connection_that_nobody_wants_any_more_holds_no_thread() -> None:
    limiter = trio.to_thread.current_default_thread_limiter()
    async with silent_system() as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_connect, "broken.example")
            # one for each family
            await system.wait_begun(2)
            nursery.cancel_scope.cancel()
        assert limiter.borrowed_tokens == 0
        assert _resolver._threads().running == 2


async def _connect(name: str) -> None:
    async with trioquic.open_connection(name, 9, alpn=["x"]):
        raise AssertionError("nobody answers")
