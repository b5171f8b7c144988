"""Several paths that are asked at the same time, and what becomes of errors there."""

import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
import trio
import trio.testing

import trioquic
from tests.uncollected import uncollected
from trioquic._runtime.paths.asking import Answers
from trioquic._runtime.paths.path_link import PathLink


class FakeLink:
    """A path that answers after a time, or fails with an error."""

    def __init__(self, after: float, error: Exception | None = None) -> None:
        self._after = after
        self._error = error

    async def validate(self) -> float:
        await trio.sleep(self._after)
        if self._error is not None:
            raise type(self._error)(*self._error.args)
        return self._after


def answers_of(*links: FakeLink) -> Answers:
    return Answers([cast(PathLink, link) for link in links])


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Nothing is freed but by its last reference."""
    with uncollected():
        yield


SILENT = trioquic.PathValidationError("no answer")
GIVEN_UP = trioquic.PathAbandonedError("the path was closed")


@pytest.mark.parametrize("error", [SILENT, GIVEN_UP, trio.ClosedResourceError()])
async def test_the_one_that_answers_after_the_other_failed(
    autojump_clock: trio.testing.MockClock, no_collection: None, error: Exception
) -> None:
    """Nothing of it is kept by the error."""
    original, preferred = FakeLink(0.1, error), FakeLink(0.2)
    answers = answers_of(original, preferred)
    gone = weakref.ref(answers)
    assert await answers.first() is cast(PathLink, preferred)
    del answers
    assert gone() is None


@pytest.mark.parametrize("first", [SILENT, GIVEN_UP])
async def test_where_none_answers_the_error_holds_nothing(
    autojump_clock: trio.testing.MockClock, no_collection: None, first: Exception
) -> None:
    """That one did not answer says more than that one was given up."""
    second = GIVEN_UP if first is SILENT else SILENT
    answers = answers_of(FakeLink(0.1, first), FakeLink(0.2, second))
    gone = weakref.ref(answers)
    with suppress(trioquic.PathValidationError):
        await answers.first()
        pytest.fail("none has answered")
    del answers
    assert gone() is None


@pytest.mark.parametrize("others", [(0.06, None), (0.2, SILENT)])
async def test_a_bug_is_no_silence(
    autojump_clock: trio.testing.MockClock, others: tuple[float, Exception | None]
) -> None:
    """Nor is what the application's code has raised; it is told, whatever the other path does."""
    links = FakeLink(*others), FakeLink(0.1, KeyError("no such path"))
    with pytest.raises(trioquic.InternalError, match="no such path"):
        await answers_of(*links).first()
    error = trioquic.ApplicationCodeError("its source of networks failed")
    with pytest.raises(trioquic.ApplicationCodeError, match="its source"):
        await answers_of(FakeLink(*others), FakeLink(0.1, error)).first()
