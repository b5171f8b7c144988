"""The interfaces that the user named, and no others, as a source of networks."""

from collections.abc import Sequence

from .. import Interface, MigrationPolicy, NetworkSource
from ..networks import KINDS


class ChosenNetworks:
    """A `NetworkSource` with the interfaces of another one that have these names."""

    def __init__(self, source: NetworkSource, names: Sequence[str]) -> None:
        self._source = source
        self._names = frozenset(names)

    def snapshot(self) -> tuple[Interface, ...]:
        return tuple(i for i in self._source.snapshot() if i.name in self._names)

    async def wait_changed(self) -> None:
        await self._source.wait_changed()


def policy_for(names: Sequence[str]) -> MigrationPolicy:
    """Named interfaces in the order of their names, whatever they are; else the default."""
    return MigrationPolicy(interfaces=tuple(names), kinds=KINDS) if names else MigrationPolicy()
