"""Runs `async def test_*` under trio, keeps the certificates, and counts what could not run.

A test that asks for `autojump_clock` runs in virtual time: whenever every task waits, the clock
jumps to the next deadline. All others run in real time. Either way a hang becomes a failure.
"""

import functools
import inspect
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import trio
import trio.abc
import trio.testing

from tests import series
from tests.certificates import Certificates
from tests.programs import MISSING_PREFIX, PROGRAMS, find_program
from trioquic._runtime.opening import arguments, session_keeper

# Folders and files, relative to this one, that `make test` runs in one variant only
# (docs/testing.md). What is said of a file holds before what is said of its folder; `None` is both.
VARIANT: dict[str, str | None] = {
    "address": "plain",
    "attacks": "compiled",
    "attacks/test_joined.py": None,
    "audit": "compiled",
    "cancellation": "compiled",
    "cancellation/test_http3.py": "plain",
    "chains": "compiled",
    "checklist": "compiled",
    "cli": "plain",
    "http3": "plain",
    "httpx": "plain",
    "networks": "plain",
    "path/test_datagram_size.py": "compiled",
    "path/test_orders.py": "compiled",
    "plot": "plain",
    "preferred": "compiled",
    "real": "compiled",
    "real/test_http3.py": "plain",
    "recovery/test_link.py": "compiled",
    "runtime/test_first_byte.py": "plain",
    "runtime/test_race.py": "plain",
    "runtime/test_session_keeper.py": "plain",
    "runtime/test_stream_contract.py": "compiled",
    "runtime/test_streams.py": "compiled",
    "sessions": "plain",
    "simulation/test_performance.py": "compiled",
    "streams/test_send_buffer.py": "compiled",
    "supervisor": "compiled",
    # these replace methods of the core
    "supervisor/test_causes.py": "plain",
    "supervisor/test_reasons.py": "plain",
    "test_addresses.py": "plain",
    "test_anyio.py": "plain",
    "test_examples.py": "compiled",
    "test_network_examples.py": "compiled",
    "test_documents.py": "plain",
    "testing": "plain",
    "tls/test_mutations.py": "compiled",
}
TESTS = Path(__file__).parent
DEADLINE = 120.0
VIRTUAL_DEADLINE = 7 * 24 * 3600.0

# How long an example takes is the machine's affair: hypothesis would call a busy one flaky.
hypothesis.settings.register_profile("trioquic", deadline=None)
hypothesis.settings.load_profile("trioquic")


def _clock_of(arguments: dict[str, Any]) -> trio.abc.Clock | None:
    clocks = [value for value in arguments.values() if isinstance(value, trio.abc.Clock)]
    return clocks[0] if clocks else None


class Watchdog(trio.abc.Instrument):
    """Cancels a test after DEADLINE seconds of real time, whatever clock the test runs under.

    The clock of a hanging test in virtual time may jump to the end at once, but it may also creep
    on forever, when two peers do not stop talking to each other.
    """

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.end = time.monotonic() + DEADLINE

    def before_io_wait(self, timeout: float) -> None:
        if time.monotonic() > self.end:
            self.scope.cancel()


def run_in_trio(function: Callable[..., Awaitable[object]], **arguments: object) -> None:
    """Run one asynchronous test function to its end, or fail it at its deadline."""
    clock = _clock_of(arguments)
    deadline = DEADLINE if clock is None else VIRTUAL_DEADLINE
    watchdog = Watchdog()

    async def main() -> None:
        with trio.fail_after(deadline), watchdog.scope:
            await function(**arguments)
        if watchdog.scope.cancelled_caught:
            raise trio.TooSlowError(f"the test was still busy after {DEADLINE} s")

    trio.run(main, clock=clock, instruments=[watchdog])


def _synchronous(test: Callable[..., Awaitable[object]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**arguments: object) -> None:
        run_in_trio(test, **arguments)

    return run


def variant_of(file: Path) -> str | None:
    """The one variant that this file's tests run in; None if they run in both."""
    path = file.relative_to(TESTS)
    return next((VARIANT[str(at)] for at in (path, *path.parents) if str(at) in VARIANT), None)


def pytest_itemcollected(item: pytest.Item) -> None:
    variant = variant_of(item.path)
    if variant is not None:
        item.add_marker(variant)
    if {"plain", "compiled"} <= {mark.name for mark in item.iter_markers()}:
        raise pytest.UsageError(f"{item.nodeid} would run in no variant")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--series", action="store_true", help="run the long series as well")


def pytest_configure(config: pytest.Config) -> None:
    series.all_of_them = config.getoption("--series")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long series have make targets of their own."""
    if not config.getoption("--series"):
        long = [item for item in items if item.get_closest_marker("series") is not None]
        items[:] = [item for item in items if item.get_closest_marker("series") is None]
        config.hook.pytest_deselected(items=long)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    # Hypothesis replaces the function and keeps the original for runners like this one.
    hypothesis_handle = getattr(test, "hypothesis", None)
    if hypothesis_handle is not None:
        inner = hypothesis_handle.inner_test
        if inspect.iscoroutinefunction(inner):
            hypothesis_handle.inner_test = _synchronous(inner)
        return None
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    run_in_trio(test, **{name: pyfuncitem.funcargs[name] for name in names})
    return True


@pytest.fixture
def autojump_clock() -> trio.testing.MockClock:
    """Virtual time: a second of waiting costs nothing."""
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall time goes by with the clock of the trio run, an hour ago: no ticket is used, neither by
    the store nor by the next connection, that is from the future."""
    began = time.time() - 3600

    class Calendar:
        @staticmethod
        def time() -> float:
            return began + trio.current_time()

    for module in (arguments, session_keeper):
        monkeypatch.setattr(module, "time", Calendar)


@pytest.fixture(scope="session", autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that a test runs keeps sessions in the home of whoever runs the tests."""
    state = str(tmp_path_factory.mktemp("state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", state)
        patch.setenv("LOCALAPPDATA", state)
        yield


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificate chains of all sorts; each is made on first use and kept for the session."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which optional programs were there, and how many tests their absence cost."""
    cost: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for name in PROGRAMS:
            if f"{MISSING_PREFIX}{name}" in reason:
                cost[name] += 1
    terminalreporter.section("optional programs", sep="-")
    for name in PROGRAMS:
        if find_program(name) is not None:
            terminalreporter.line(f"{name}: found")
        else:
            terminalreporter.line(f"{name}: missing, {cost[name]} tests skipped")
