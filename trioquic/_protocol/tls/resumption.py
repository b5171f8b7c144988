"""What has to be kept of a connection to begin the next one without a certificate (RFC 8446, 2.2).

A server sends tickets after the handshake. Each of them, together with a secret that only the two
sides know, stands for the authentication that was done then. So a ticket is as good as the trust it
came from: who keeps it must give it out for the same server and the same trust only, and once.
"""

from dataclasses import dataclass, field
from typing import Final

# What runs on one machine reads its clock in different ways, and the clock is corrected by seconds
# now and then: what is no further in the future than this has just been made.
CLOCK_SLACK: Final = 60.0


def age_at(made_at: float, now: float) -> float | None:
    """How old a thing is, in seconds and never less than none; both are seconds since 1970, in UTC.
    None: it is from the future, so the clock was set back, and nobody can tell how old it is."""
    if made_at > now + CLOCK_SLACK:
        return None
    return max(0.0, now - made_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A ticket, its secret, and what else must be the same or is remembered."""

    ticket: bytes
    """The server's, opaque to us."""
    secret: bytes = field(repr=False)
    """The pre-shared key (RFC 8446 section 4.6.1). Whoever has it can pose as either side."""
    cipher_suite: int
    """Its hash function is that of the secret."""
    age_add: int
    """Hides the ticket's age (section 4.2.11.1)."""
    issued_at: float
    """When it came, in seconds of the wall clock since 1970, in UTC."""
    expires_at: float
    """When it may not be used any more: seven days at the most, and no longer than the server's
    certificate is valid."""
    alpn: str
    """The application protocol of the connection that it came from."""
    peer_certificates: tuple[bytes, ...]
    """The chain by which the server was authenticated then, DER, its own first."""
    transport_parameters: bytes
    """Those of the server's that count for early data (RFC 9000 section 7.4.1), as on the wire."""
    early_data: bool
    """Whether the server takes early data with it (RFC 9001 section 4.6.1)."""
    authenticated_at: float = 0.0
    """When the server last showed its certificate: the handshake that the ticket goes back to over
    resumed ones (RFC 8446 section 4.6.1), in seconds since 1970, in UTC; 0 if it is not known."""
    address: str = ""
    """The server's IP address then, where early data is sent to; empty if it is not known."""
