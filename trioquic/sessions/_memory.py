"""Sessions that last as long as the program."""

import time
from collections.abc import Sequence
from typing import Final

import trio

from ._records import Record, SessionKey, TakenSession
from ._shelf import Limits, Shelf

DAY: Final = 86400.0


class MemorySessions:
    """A store in memory, for any number of connections of one program."""

    def __init__(
        self,
        *,
        across_networks: bool = False,
        per_server: int = 8,
        most: int = 128,
        token_lifetime: float = DAY,
    ) -> None:
        """`across_networks`: use tickets on other networks as well, by which the server learns that
        it is the same client (RFC 9000 section 9.5); tokens never are. `per_server`: tickets, and
        as many tokens, kept for one server name and port; `most`: records in all, up to 512; the
        oldest go. `token_lifetime`: after how many seconds a token is not worth trying any more;
        tickets say that themselves. ValueError and TypeError for what cannot be."""
        self._limits = Limits(
            across_networks=across_networks,
            per_server=per_server,
            most=most,
            token_lifetime=token_lifetime,
        )
        self._shelf = Shelf(self._limits)

    def __len__(self) -> int:
        """How many records there are, expired ones among them."""
        return len(self._shelf.entries)

    def clear(self) -> None:
        """Forget everything: no server will know that it is the same client."""
        self._shelf = Shelf(self._limits)

    async def take(self, key: SessionKey) -> TakenSession:
        """See `SessionStore`. Does not wait."""
        await trio.lowlevel.checkpoint()
        return self._shelf.take(key, time.time())

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        """See `SessionStore`. Does not wait; cancelled, nothing was kept."""
        await trio.lowlevel.checkpoint()
        self._shelf.keep(key, records, time.time())
