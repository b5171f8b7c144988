"""Facts about one connection that several components go by; each is said in one place only.

Whoever needs such a fact gets this object and reads it: nobody keeps a copy, so nobody can be told
too late. The methods are for those who bring a fact about: `establishment.py` says what came of the
handshake, `path/table.py` and `path/mover.py` which path carries the connection
(`tests/ownership.py` has the list).
"""

from typing import TYPE_CHECKING, Final

from .wire.transport_parameters import TransportParameters

if TYPE_CHECKING:
    from .observer import Observer

NO_PATH: Final = -1
DEFAULT_MAX_ACK_DELAY: Final = 0.025  # seconds, RFC 9000 section 18.2


class ConnectionFacts:
    """`largest_datagram`: what this side wants to send at most, in bytes."""

    def __init__(self, largest_datagram: int = 1200) -> None:
        # the path that carries the connection, NO_PATH while there is none
        self.active_path = NO_PATH
        # the keys of Handshake packets are here
        self.has_handshake_keys = False
        # the server is authenticated (RFC 9001 section 4.1.1)
        self.complete = False
        # the server has our Finished (RFC 9001 section 4.1.2): migration is possible
        self.confirmed = False
        # the server's transport parameters, once they are authenticated
        self.peer: TransportParameters | None = None
        # how long the server may hold an ACK back, seconds
        self.max_ack_delay = DEFAULT_MAX_ACK_DELAY
        # what both sides take (RFC 9000 section 18.2)
        self.largest_datagram = largest_datagram
        # who writes a trace, if anybody
        self.observer: Observer | None = None

    def on_observer(self, observer: "Observer") -> None:
        self.observer = observer

    def on_handshake_keys(self) -> None:
        self.has_handshake_keys = True

    def on_complete(self, peer: TransportParameters) -> None:
        """The server is authenticated, and with it what it said of itself."""
        self.complete = True
        self.peer = peer
        self.max_ack_delay = peer.max_ack_delay / 1000
        self.largest_datagram = min(self.largest_datagram, peer.max_udp_payload_size)

    def on_confirmed(self) -> None:
        """HANDSHAKE_DONE has come, or the ACK of a 1-RTT packet."""
        self.confirmed = True

    def on_active_path(self, path_id: int) -> None:
        self.active_path = path_id
