"""Names to addresses: the system's resolver, asked in threads of this library's own number.

A question to `getaddrinfo` cannot be taken back: whoever does not wait any more leaves a thread
that ends when the system gives up, which takes it half a minute where a name server is silent.
trio's own threads are the application's, for its files above all. So there are others here, a
bounded number in each run of trio, and some of them at most for one question: further ones wait for
the answer to the last of those. Not all equal questions are one, as the answer to an old one may be
on its way through a network that is gone.

A thread belongs to its question and not to a task, so that whoever asks may be cancelled without
harm to the others. A question that still waits for a thread is gone with the last who asks it.

A name may have thousands of addresses, each of which costs questions to the kernel: the first ones
of each family are enough. A resolver that the application has given to trio is asked as it is.

Any layer may import this module.
"""

import copy
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import trio

MOST_ADDRESSES: Final = 16
"""Of each family."""
MOST_THREADS: Final = 32
MOST_ALIKE: Final = 4
"""Threads for one question."""
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

Resolved: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
"""What `socket.getaddrinfo` says of one address."""
T = TypeVar("T")


class Question(NamedTuple):
    """What the resolver is asked."""

    host: bytes
    port: int
    family: int
    kind: int


async def resolve(
    host: str, port: int, *, kind: int, family: int = socket.AF_UNSPEC
) -> list[Resolved]:
    """The host's addresses, in the order of the resolver, at most `MOST_ADDRESSES` of each family.
    Raises socket.gaierror, or whatever a resolver of the application's raises. Cancelled, it leaves
    a thread at most, and nobody else's answer is lost."""
    found: Iterable[Any]
    question = Question(host.encode(), port, family, kind)
    if _has_resolver():
        found = await trio.socket.getaddrinfo(*question)
    else:
        try:
            # an address, in whatever form: nobody need be asked
            found = socket.getaddrinfo(*question, flags=_NUMERIC)
        except socket.gaierror:
            found = await _threads().ask(question)
        else:
            await trio.lowlevel.checkpoint()
    # one that ignores `kind` tells each address several times
    once = {entry[4]: entry for entry in found}
    return some_of_each_family(once.values(), lambda entry: int(entry[0]))


def some_of_each_family(addresses: Iterable[T], family_of: Callable[[T], int]) -> list[T]:
    """The first ones of each family, in their order."""
    counts: dict[int, int] = {}
    kept: list[T] = []
    for address in addresses:
        family = family_of(address)
        counts[family] = counts.get(family, 0) + 1
        if counts[family] <= MOST_ADDRESSES:
            kept.append(address)
    return kept


def _has_resolver() -> bool:
    """Whether the application, or a test, answers in the system's place. trio tells that only to
    who sets another one."""
    resolver = trio.socket.set_custom_hostname_resolver(None)
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver is not None


class _Asking:
    """A question that waits for a thread, or has one."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.has_thread = False
        self.askers = 0
        self.answered = trio.Event()
        self.answer: list[Resolved] = []
        self.error: BaseException | None = None


class Threads:
    """Those of one run of trio, and what waits for one."""

    def __init__(self) -> None:
        self.running = 0
        # the oldest first; also those of which nobody waits for the answer any more
        self._waiting: list[_Asking] = []
        self._alike: dict[Question, list[_Asking]] = {}

    async def ask(self, question: Question) -> list[Resolved]:
        """The answer. Raises what the resolver raises."""
        asking = self._asking(question)
        asking.askers += 1
        try:
            await asking.answered.wait()
        finally:
            asking.askers -= 1
            if not asking.askers and asking in self._waiting:
                self._waiting.remove(asking)
                self._forget(asking)
        if asking.error is not None:
            # others are told the same, each with a traceback of its own
            raise copy.copy(asking.error)
        return list(asking.answer)

    def _asking(self, question: Question) -> _Asking:
        alike = self._alike.setdefault(question, [])
        if alike and (len(alike) >= MOST_ALIKE or not alike[-1].has_thread):
            return alike[-1]
        asking = _Asking(question)
        alike.append(asking)
        self._waiting.append(asking)
        self._start()
        return asking

    def _start(self) -> None:
        token = trio.lowlevel.current_trio_token()
        while self._waiting and self.running < MOST_THREADS:
            asking = self._waiting.pop(0)
            try:
                trio.lowlevel.start_thread_soon(partial(self._answer, token, asking), _nobody)
            except RuntimeError as error:
                # the system gives no more threads now
                text = f"nobody could be asked: {error}"
                self._settle(asking, [], socket.gaierror(socket.EAI_AGAIN, text))
            else:
                asking.has_thread = True
                self.running += 1

    def _answer(self, token: trio.lowlevel.TrioToken, asking: _Asking) -> None:
        """What a thread does."""
        found: list[Any] = []
        error: BaseException | None = None
        try:
            found = socket.getaddrinfo(*asking.question)
        except BaseException as failure:
            error = failure.with_traceback(None)
        try:
            token.run_sync_soon(self._on_answer, asking, found, error)
        except trio.RunFinishedError:
            pass  # nobody is left who could be told

    def _on_answer(
        self, asking: _Asking, found: list[Resolved], error: BaseException | None
    ) -> None:
        self.running -= 1
        self._settle(asking, found, error)
        self._start()

    def _settle(self, asking: _Asking, found: list[Resolved], error: BaseException | None) -> None:
        self._forget(asking)
        asking.answer = found
        asking.error = error
        asking.answered.set()

    def _forget(self, asking: _Asking) -> None:
        alike = self._alike[asking.question]
        alike.remove(asking)
        if not alike:
            del self._alike[asking.question]


def _nobody(_: object) -> None:
    """Whoever waits is told by the thread itself."""


_RUN: Final = trio.lowlevel.RunVar["Threads"]("trioquic's threads for questions to the resolver")


def _threads() -> Threads:
    try:
        return _RUN.get()
    except LookupError:
        threads = Threads()
        _RUN.set(threads)
        return threads
