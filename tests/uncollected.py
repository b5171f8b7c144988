"""What is freed without the garbage collector's help."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(*kinds: type[object]) -> Iterator[Callable[[type[object]], int]]:
    """Nothing is collected in the block. Yields how many objects of one of these kinds there are
    more than before: what an earlier test has left somewhere is no matter of this one."""
    gc.collect()
    others = [each for each in gc.get_objects() if isinstance(each, kinds)]

    def count(kind: type[object]) -> int:
        there = (each for each in gc.get_objects() if isinstance(each, kind))
        return sum(all(each is not other for other in others) for each in there)

    gc.disable()
    try:
        yield count
    finally:
        gc.enable()
