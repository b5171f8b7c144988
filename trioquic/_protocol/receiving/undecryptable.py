"""What comes in and cannot be opened: counted, perhaps a stateless reset (RFC 9000 section 10.3).

Anybody can send such a datagram. It ends something only if its last 16 bytes are a token that the
server gave with a connection ID that is in use to where it came from.
"""

from typing import Final

from ..components import Components
from ..errors import AEAD_LIMIT_REACHED, BadPacketError
from .arrival import Arrival, ReceiveCounters

# RFC 9000 section 10.3: at least 5 bytes that look random, then the token
_SHORTEST_RESET: Final = 21


class Undecryptable:
    """Judges datagrams that nobody we talk to has sealed; `counters` has all that came in."""

    def __init__(self, parts: Components) -> None:
        self._facts = parts.facts
        self._handshake = parts.handshake
        self._paths = parts.paths
        self._peer_ids = parts.ids.peer
        self._lifetime = parts.lifetime
        self.counters = ReceiveCounters()

    def on_forged_untrusted(self) -> None:
        """A packet did not authenticate. RFC 9001 section 6.6: all keys of the connection together
        may fail so often."""
        counters = self.counters
        counters.dropped_unauthentic += 1
        keys = self._handshake.one_rtt
        if keys is not None and counters.dropped_unauthentic > keys.failure_limit:
            raise BadPacketError(AEAD_LIMIT_REACHED, "too many packets failed authentication")

    def on_datagram(self, arrival: Arrival, datagram: bytes) -> None:
        """It may be a stateless reset: then the last 16 bytes are a token we know (10.3.1)."""
        if len(datagram) < _SHORTEST_RESET or not self._facts.complete:
            return
        path_ids = self._paths.ids_with_remote(arrival.path.remote)
        reset = self._peer_ids.paths_reset_by(datagram[-16:], path_ids)
        if not reset:
            self._paths.on_undecryptable(arrival.path)
        elif self._paths.may_outlive_reset(reset):
            for path_id in reset:
                self._paths.on_reset(path_id, arrival.now)
        else:
            self._lifetime.on_stateless_reset(arrival.now, arrival.pto)
