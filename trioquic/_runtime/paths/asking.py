"""Paths that are asked at the same time, for one that the connection is to move to.

RFC 9000 section 9.6.3: from a new address of ours the original and the preferred address of the
server are validated concurrently. If the preferred one answers, the other is abandoned; if only the
original one does, that may be used.
"""

from collections.abc import Sequence
from typing import Final

import trio

from ..._groups import alone
from ...errors import PathAbandonedError, QuicError
from .path_link import PathLink

# Seconds that a preferred address has at least when the original one has answered; else as long
# again as that took.
_LEAST: Final = 0.05


class Answers:
    """Of one path, or of two: that to the original address comes first."""

    def __init__(self, links: Sequence[PathLink]) -> None:
        self._links = tuple(links)
        self._outcomes: dict[PathLink, Exception | None] = {}
        self._wait = trio.CancelScope()
        self._began = trio.current_time()

    async def first(self) -> PathLink:
        """The one to use. Raises what `PathLink.validate` does where none answers. Cancelled, none
        is asked any more."""
        original, *preferred = self._links
        if not preferred:
            await original.validate()
            return original
        failed: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                for link in self._links:
                    nursery.start_soon(self._ask, link)
                with self._wait:
                    await trio.sleep_forever()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            failed = alone(group)
        else:
            for link in (*preferred, original):
                if self._outcomes.get(link, self) is None:
                    return link
            errors = (error for error in self._outcomes.values() if error is not None)
            # that a path was given up says less than that it did not answer
            failed = min(errors, key=lambda error: isinstance(error, PathAbandonedError))
        self._outcomes.clear()
        try:
            raise failed
        finally:
            # or the error would hold this frame, and the frame the error
            del failed

    async def _ask(self, link: PathLink) -> None:
        """What else this raises is a bug, or an error of the application's code."""
        try:
            await link.validate()
        except (QuicError, trio.ClosedResourceError) as error:
            # a traceback would hold this frame, and that what the error is kept in
            self._outcomes[link] = error.with_traceback(None)
        else:
            self._outcomes[link] = None
        if len(self._outcomes) == len(self._links) or (
            link is not self._links[0] and self._outcomes[link] is None
        ):
            self._wait.cancel()
        elif self._outcomes[link] is None:
            now = trio.current_time()
            self._wait.deadline = now + max(now - self._began, _LEAST)
