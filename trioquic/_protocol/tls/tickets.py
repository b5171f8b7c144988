"""Session tickets that came in (RFC 8446 section 4.6.1): a few wait, the oldest makes room."""

from typing import Final

from ..crypto.keys import hkdf_expand_label, suite_hash
from .messages import SessionTicket, parse_new_session_ticket_untrusted

MAX_TICKETS: Final = 4
# Of one connection. A server that gives more and more is not worth the work; they are counted.
MOST_READ: Final = 64


class Tickets:
    """Those that wait to be taken, and the secret that theirs follow from."""

    def __init__(self) -> None:
        self.received = 0
        self._waiting: list[SessionTicket] = []
        self._secret = b""

    def begin(self, resumption_secret: bytes) -> None:
        """The handshake is complete: tickets may come from now on."""
        self._secret = resumption_secret

    def on_ticket_untrusted(self, body: bytes) -> None:
        """NewSessionTicket."""
        self.received += 1
        if self.received <= MOST_READ:
            self._waiting.append(parse_new_session_ticket_untrusted(body))
            del self._waiting[:-MAX_TICKETS]

    def take(self) -> list[SessionTicket]:
        """What has come since the last call."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def secret_of(self, ticket: SessionTicket, cipher_suite: int) -> bytes:
        """The pre-shared key that stands behind a ticket."""
        algorithm = suite_hash(cipher_suite)
        size = algorithm.digest_size
        return hkdf_expand_label(algorithm, self._secret, b"resumption", size, ticket.nonce)
