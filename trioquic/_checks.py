"""What a value from the application must be: one row for each field, one check for all.

Every field of a class of configuration has its *row* beside its default: a function that gets the
name and the value, and gives back what is to be kept (a tuple for a list) or raises TypeError for
the wrong type and ValueError for the wrong value. `check_fields` asks the rows when the object is
made, so that a slip shows in the line that has it, and never later as a connection that quietly
does less. Functions use the same rows for their arguments.

Rows take no half measures: a bool is no number, a text is no sequence of texts, NaN is nothing at
all, and a name must be one that somebody knows. Every message is one sentence that begins with the
field's name and says what is wanted, and what came instead.

Any layer may import this module; it imports none.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")
Row: TypeAlias = Callable[[str, object], object]

LARGEST_VARINT: Final = (1 << 62) - 1
# In milliseconds it still fits into a transport parameter.
LONGEST: Final = 1e15
_ENDS: Final = {-LARGEST_VARINT: "-(2**62 - 1)", LARGEST_VARINT: "2**62 - 1"}
_METADATA: Final = "row"
_rows: Final[dict[type, Mapping[str, Row]]] = {}
_SCHEME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_HOST_AND_PORT: Final = re.compile(r"(?:\[.*\]|[^:]*)(?::[0-9]*)?")


def checked(default: T, row: Row) -> T:
    """The default of a field that has a row: `size: int = checked(4096, whole(0))`. A field whose
    default is None may always be None."""
    return field(default=default, metadata=by(optional(row) if default is None else row))


def by(row: Row) -> Mapping[str, Row]:
    """The same for a field without a default: `size: int = field(metadata=by(whole(0)))`."""
    return {_METADATA: row}


def rows_of(kind: type) -> Mapping[str, Row]:
    """Every field that has a row, also where a subclass of the application's has given it another
    default. Fields that it adds are its own."""
    if kind not in _rows:
        fields = [
            one
            for base in reversed(kind.__mro__)
            for one in base.__dict__.get("__dataclass_fields__", {}).values()
        ]
        _rows[kind] = {f.name: f.metadata[_METADATA] for f in fields if _METADATA in f.metadata}
    return _rows[kind]


def check_fields(instance: object) -> None:
    """Check every field that has a row, and keep what the row makes of it. For `__post_init__` of
    dataclasses, frozen ones as well."""
    for name, row in rows_of(type(instance)).items():
        value = getattr(instance, name)
        kept = row(name, value)
        if kept is not value:
            object.__setattr__(instance, name, kept)


def check(row: Row, name: str, value: object) -> None:
    """Check one argument of a function."""
    row(name, value)


def wrong_type(name: str, wanted: str, value: object, hint: str = "") -> TypeError:
    """The error for a value of the wrong type; `hint` says what would have been meant."""
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}{hint and f' ({hint})'}")


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'AEIOUaeio' else 'a'} {word}"


def whole(least: int, most: int = LARGEST_VARINT, *, infinite: bool = False) -> Row:
    """An integer in a range; `infinite`: or `math.inf`."""

    def row(name: str, value: object) -> object:
        if infinite and value == math.inf:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(name, "an integer" + " or math.inf" * infinite, value)
        if not least <= value <= most:
            lowest, highest = _ENDS.get(least, least), _ENDS.get(most, most)
            raise ValueError(f"{name} must be from {lowest} to {highest}, not {_shown(value)}")
        return value

    return row


def number(
    least: float = 0.0,
    most: float = LONGEST,
    *,
    above: bool = False,
    below: bool = False,
    infinite: bool = False,
    never: float | None = None,
    unit: str = "of seconds",
) -> Row:
    """A number in a range; `above` and `below` leave its ends out; `infinite`: or `math.inf`.
    `never`: or this value, which says that something is never done; with `math.inf` the range has
    no other end."""
    infinite = infinite or never == math.inf
    instead = "" if never is None else f" ({'infinity' if infinite else f'{never:g}'}: never)"

    def row(name: str, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(name, f"a number {unit}".rstrip(), value)
        if value == never or (infinite and value == math.inf):
            return value
        # Comparisons of an int with a float are exact in Python, however large it is; NaN fails.
        enough = value > least if above else value >= least
        if not (enough and (value < most if below else value <= most)):
            bounds = [f"above {least:g}" if above else f"at least {least:g}"]
            bounds += [] if infinite else [f"below {most:g}" if below else f"at most {most:g}"]
            wanted = f"{' and '.join(bounds)}{instead}"
            raise ValueError(f"{name} must be {wanted}, not {_shown(value)}")
        return value

    return row


def text(name: str, value: object) -> object:
    """A str that is not empty and has no NUL."""
    if not isinstance(value, str):
        raise wrong_type(name, "a str", value)
    if not value or "\0" in value:
        raise ValueError(f"{name} must be a name, not {value!r}")
    return value


def path(name: str, value: object) -> object:
    """The path of a file."""
    if not isinstance(value, str | os.PathLike):
        raise wrong_type(name, "a path (str or os.PathLike)", value)
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError(f"{name} must be the path of a file, not {value!r}")
    return value


def octets(name: str, value: object) -> object:
    """Bytes in any of the usual forms."""
    if not isinstance(value, bytes | bytearray | memoryview):
        hint = "encode it first" if isinstance(value, str) else ""
        raise wrong_type(name, "bytes, bytearray or memoryview", value, hint)
    return value


def names(known: Iterable[str] | None = None, *, empty: bool, twice: bool = False) -> Row:
    """A sequence of names, out of `known` if that is given; it is kept as a tuple. `empty` and
    `twice` say whether it may have none, and one more than once."""
    vocabulary = None if known is None else tuple(known)

    def row(name: str, value: object) -> object:
        chosen = texts(name, value)
        for one in chosen:
            if vocabulary is not None and one not in vocabulary:
                raise ValueError(f"{name}: {one!r} is none of {', '.join(vocabulary)}")
            if not one or "\0" in one:
                raise ValueError(f"{name}: {one!r} is no name")
        if not chosen and not empty:
            raise ValueError(f"{name} is empty; leave it out for the default")
        if not twice and len(set(chosen)) < len(chosen):
            raise ValueError(f"{name} has a name twice")
        return chosen

    return row


def texts(name: str, value: object, one: str = "name", several: str = "names") -> tuple[str, ...]:
    """A sequence of str, whatever they say; `one` and `several` call them for people."""
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Sequence):
        hint = f"write [{value!r}]" if isinstance(value, str) else ""
        raise wrong_type(name, f"a sequence of {several}", value, hint)
    for text in value:
        if not isinstance(text, str):
            raise wrong_type(f"each {one} in {name}", "a str", text)
    return tuple(value)


def one_of(known: Iterable[str]) -> Row:
    """One name of a vocabulary."""
    vocabulary = tuple(known)

    def row(name: str, value: object) -> object:
        if not isinstance(value, str):
            raise wrong_type(name, "a str", value)
        if value not in vocabulary:
            raise ValueError(f"{name} must be one of {', '.join(vocabulary)}, not {value!r}")
        return value

    return row


def instance(*kinds: type, wanted: str = "") -> Row:
    """An object of one of these classes."""
    described = wanted or " or ".join(_article(kind.__name__) for kind in kinds)

    def row(name: str, value: object) -> object:
        if not isinstance(value, kinds):
            raise wrong_type(name, described, value)
        made(name, value)
        return value

    return row


flag: Final = instance(bool)
"""True or False, and nothing that only counts as such."""


def made(name: str, value: object) -> None:
    """No class: one has all the methods that its objects have, and so passes for a protocol."""
    if isinstance(value, type):
        what = value.__name__
        raise TypeError(f"{name} must be an object, not the class {what}: write {what}()")


def several(kind: type) -> Row:
    """Any number of objects of a class; kept as a tuple, and so hashable."""
    return lambda name, value: tuple_of(kind, name, value)


def tuple_of(kind: type[T], name: str, value: object) -> tuple[T, ...]:
    """What `several` keeps, typed."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise wrong_type(name, f"a sequence of {kind.__name__}", value)
    kept = tuple(value)
    for one in kept:
        if not isinstance(one, kind):
            raise wrong_type(f"each of {name}", _article(kind.__name__), one)
    return kept


def optional(row: Row) -> Row:
    """None, or what another row takes."""

    def either(name: str, value: object) -> object:
        return None if value is None else row(name, value)

    return either


def without_password(url: str) -> str:
    """The URL for people: who asks is not told how. In what makes no sense as a URL, whatever may
    have been meant as a password is one."""
    scheme = _SCHEME.match(url)
    before = "" if scheme is None else scheme[0]
    rest = url[len(before) :]
    # to the last @ before the path, as whoever parses it would find it
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    if scheme is None or ("@" not in rest[:end] and not _HOST_AND_PORT.fullmatch(rest[:end])):
        # a password with letters that end a host, or a URL without its scheme
        end = len(rest)
    userinfo, at, host = rest[:end].rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if not at or not colon:
        return url
    return f"{before}{user}:***@{host}{rest[end:]}"


def tell_extra(error: ModuleNotFoundError, module: str, packages: tuple[str, ...]) -> None:
    """Say how to get a package that is not installed. `module` is called as its extra is; returns
    if the error is about something else."""
    missing = (error.name or "").partition(".")[0]
    if missing in packages:
        raise ModuleNotFoundError(
            f"trioquic.{module} needs {missing}: pip install 'trioquic[{module}]'",
            name=error.name,
        ) from error


def _shown(value: float) -> str:
    """Python refuses to write integers of thousands of digits."""
    return str(value) if isinstance(value, float) or abs(value) < 1 << 80 else "that large a number"
