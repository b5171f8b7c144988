"""Any number of blocks that are left together, when something happens that they do not wait for."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Blocks:
    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()

    @contextmanager
    def entered(self, is_over: bool = False) -> Iterator[trio.CancelScope]:
        """One more; with `is_over` it has happened already."""
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            if is_over:
                scope.cancel()
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def leave(self) -> None:
        """Leave those that are entered now."""
        for scope in self._scopes:
            scope.cancel()
