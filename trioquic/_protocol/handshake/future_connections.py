"""What a server gives for later connections: tickets (RFC 8446 section 4.6.1) and tokens (RFC 9000
sections 8.1.3 and 19.7).

The first ones of a connection are passed on: later ones are hardly better, and a server that gives
more and more is not worth the work.
"""

from typing import Final

from ..events import Event, TicketReceived, TokenReceived
from ..facts import ConnectionFacts
from ..tls.client import TlsClient
from .zero_rtt import remember

_MOST_TICKETS: Final = 16
_MOST_TOKENS: Final = 16
# A token of an earlier connection is only worth its place in every Initial while it leaves half of
# it to the ClientHello.
LONGEST_NEW_TOKEN: Final = 600


class FutureConnections:
    """`keep_tickets`: somebody wants them. `wall_time` was it, in seconds since 1970, when the
    connection's own clock said `began`."""

    def __init__(
        self,
        keep_tickets: bool,
        facts: ConnectionFacts,
        events: list[Event],
        wall_time: float,
        began: float,
    ) -> None:
        self._facts = facts
        self._events = events
        self._keep_tickets = keep_tickets
        self._wall_time = wall_time
        self._began = began
        self._tickets = 0
        self._tokens: list[bytes] = []

    def take_tickets(self, tls: TlsClient, now: float) -> None:
        """Pass on what resumes this session, if anybody wants it."""
        tickets = tls.tickets.take()
        if not tickets or not self._keep_tickets:
            # mostly: a server may cut its CRYPTO data into single bytes
            return
        del tickets[_MOST_TICKETS - self._tickets :]
        self._tickets += len(tickets)
        wall_time = self._wall_time + (now - self._began)
        peer = self._facts.peer
        kept = b"" if peer is None else remember(peer)
        for ticket in tickets:
            if ticket.lifetime:
                resumption = tls.resume_with(ticket, wall_time, kept)
                self._events.append(TicketReceived(resumption=resumption))

    def on_new_token_untrusted(self, token: bytes) -> None:
        """NEW_TOKEN: pass it on, unless it is the repair of a loss that was none (section 19.7)."""
        told = self._tokens
        if len(token) <= LONGEST_NEW_TOKEN and len(told) < _MOST_TOKENS and token not in told:
            told.append(token)
            self._events.append(TokenReceived(token=token))
