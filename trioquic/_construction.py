"""Public classes whose objects only the library makes: connections, streams, paths and others.

Calling such a class is a mistake of the application's, told at once and with the name of what makes
the objects. The library calls `create`, which the type checker compares with `__init__`. A
class has none where its parameters would be internals, as `__init__` is public whatever calls it;
then a function beside the class sets the attributes.

Any layer may import this module; it imports none.
"""

from abc import ABCMeta
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


class NoPublicConstructor(ABCMeta):
    """The class of such classes: `class Thing(metaclass=NoPublicConstructor, made_by="...")`.
    So are their subclasses, made by the same if they do not say otherwise."""

    _made_by: str

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, *, made_by: str = ""
    ) -> "NoPublicConstructor":
        cls = super().__new__(mcls, name, bases, namespace)
        if made_by:
            cls._made_by = made_by
        return cls

    if not TYPE_CHECKING:
        # A type checker that knew of it would not compare what `create` is given any more.
        def __call__(cls, *_args: object, **_kwargs: object) -> None:
            raise TypeError(f"{cls.__name__} objects are made by {cls._made_by}, not by a call")


def create(cls: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """An object of a class that has no public constructor."""
    return cast(T, type.__call__(cast(type, cls), *args, **kwargs))
