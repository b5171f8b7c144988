"""Old names, which go on for one release with a warning (docs/stability.md).

The warning names the line of the application's that has the old name, however deep in the library
it is noticed: in a property, in `__getattr__` of a module, in the `__post_init__` of a dataclass or
several coroutines down. A fixed `stacklevel` would be right for one of these only, so the stack is
walked to the first frame that is not of this package.

Any layer may import this module; it imports none.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final

_PACKAGE: Final = __name__.partition(".")[0]
# What stands between the application and this package when it imports a name or copies a dataclass
_BETWEEN: Final = frozenset({_PACKAGE, "importlib", "dataclasses", "copy"})


class QuicDeprecationWarning(FutureWarning):
    """A name, argument or value that the next release will not have any more; the text says what
    to use instead.

    A FutureWarning, and no DeprecationWarning, because Python does not show those to whoever runs
    the program.
    """


def deprecated(old: str, new: str) -> None:
    """Warn the application that it uses `old` where it should use `new`: two texts for people,
    names as one would write them."""
    frame = _of_the_application(sys._getframe(1))
    warnings.warn_explicit(
        f"{old} is deprecated and goes with the next release of {_PACKAGE}; use {new}",
        QuicDeprecationWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__") or "<string>",
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


def renamed_attributes(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a module in which these names, old to new, were renamed."""

    def find(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        deprecated(f"{module}.{name}", f"{module}.{names[name]}")
        return getattr(sys.modules[module], names[name])

    return find


def _of_the_application(frame: FrameType) -> FrameType:
    """This frame, or the next one outwards that is not this package's; the outermost if all are."""
    while frame.f_back is not None:
        name = frame.f_globals.get("__name__") or ""
        if name.partition(".")[0] not in _BETWEEN:
            return frame
        frame = frame.f_back
    return frame
