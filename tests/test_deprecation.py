"""Old names warn, and the warning names the line that has the old name."""

import dataclasses
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import trio

import trioquic
from trioquic._deprecation import QuicDeprecationWarning

# A module of the package with every kind of old name. `exec` gives its frames the package's name.
SOURCE = """
from dataclasses import dataclass
from trioquic._deprecation import deprecated, renamed_attributes

NEW = "new"
__getattr__ = renamed_attributes(__name__, {"OLD": "NEW"})

def function(new=None, *, old=None):
    if old is not None:
        deprecated("function(old=...)", "new")
    return new or old

class Thing:
    @property
    def old(self):
        deprecated("Thing.old", "Thing.new")
        return "new"

    async def deep(self, old):
        return await self._deeper(old)

    async def _deeper(self, old):
        return function(old=old)

@dataclass(frozen=True)
class Config:
    value: str = "new"

    def __post_init__(self):
        if self.value == "old":
            deprecated("Config(value='old')", "'new'")
"""
NAME = "trioquic.old_names_of_a_test"


@pytest.fixture
def module() -> Iterator[Any]:
    made = ModuleType(NAME)
    # as of a package, of which importlib looks up what is imported from it
    made.__path__ = []
    sys.modules[NAME] = made
    exec(SOURCE, made.__dict__)
    yield made
    del sys.modules[NAME]


USES: dict[str, Callable[[Any], object]] = {
    "function(old=...)": lambda module: module.function(old="x"),
    "Thing.old": lambda module: module.Thing().old,
    f"{NAME}.OLD": lambda module: module.OLD,
    f"{NAME}.OLD is": lambda module: __import__(NAME, fromlist=["OLD"]),
    "Config(value='old')": lambda module: module.Config("old"),
    "Config(value='old') is": lambda module: dataclasses.replace(module.Config(), value="old"),
}


def check(caught: list[warnings.WarningMessage], line: int, text: str) -> None:
    """All of them say this, and show this line of this file."""
    assert caught
    for one in caught:
        assert one.category is QuicDeprecationWarning
        assert (one.filename, one.lineno) == (__file__, line)
        assert text in str(one.message)


@pytest.mark.parametrize("text", USES)
def test_a_warning_shows_where_the_old_name_is_used(module: Any, text: str) -> None:
    use = USES[text]
    with pytest.warns(QuicDeprecationWarning) as caught:
        use(module)
    check(list(caught), use.__code__.co_firstlineno, text)


async def test_a_warning_from_several_coroutines_down(module: Any) -> None:
    async def use() -> None:
        assert await module.Thing().deep("x") == "x"

    with pytest.warns(QuicDeprecationWarning) as caught:
        await use()
    check(list(caught), use.__code__.co_firstlineno + 1, "use new")
    await trio.lowlevel.checkpoint()


def test_unknown_names_are_unknown(module: Any) -> None:
    with pytest.raises(AttributeError, match=f"module '{NAME}' has no attribute 'OTHER'"):
        module.OTHER  # noqa: B018


def test_the_warning_is_public_and_shown_by_default() -> None:
    assert trioquic.QuicDeprecationWarning is QuicDeprecationWarning
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            # what Python's own filters hide (the documentation of `warnings`)
            warnings.simplefilter("ignore", category)
        exec("from trioquic._deprecation import deprecated; deprecated('a', 'b')", {})
    assert [one.category for one in caught] == [QuicDeprecationWarning]
