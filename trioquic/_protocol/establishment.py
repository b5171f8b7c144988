"""What the handshake brings about, applied in one place.

`handshake/` finds out what follows from the server's messages and says so; here the facts are
noted (`facts.py`), and every component that has to do something about them is told, in an order
that can be read from top to bottom: limits before streams, connection IDs before paths.
"""

from .components import Components
from .events import Ending, HandshakeConfirmed
from .path.path import NetworkPath
from .space import APPLICATION, HANDSHAKE, INITIAL
from .wire.packets import LongHeader
from .wire.transport_parameters import TransportParameters


class Establishment:
    """From the ClientHello to the confirmed handshake (RFC 9001 section 4.1)."""

    def __init__(self, parts: Components) -> None:
        self._handshake = parts.handshake
        self._future = parts.future
        self._facts = parts.facts
        self._spaces = parts.spaces
        self._ids = parts.ids
        self._loss = parts.loss
        self._paths = parts.paths
        self._streams = parts.streams
        self._datagrams = parts.datagrams
        self._lifetime = parts.lifetime
        self._events = parts.events
        # the path of the handshake
        self._path_id = -1

    def start(self, path: NetworkPath) -> None:
        """The handshake begins on this path: `transmit` sends the ClientHello there."""
        handshake = self._handshake
        self._path_id = path.path_id
        self._ids.peer.set_handshake_id(path.path_id, handshake.original_id)
        handshake.start()
        if handshake.zero_rtt is not None:
            self._apply_limits(handshake.zero_rtt.remembered)

    def _apply_limits(self, parameters: TransportParameters) -> None:
        self._streams.apply_peer_limits(parameters)
        self._datagrams.apply_peer_limit(parameters.max_datagram_frame_size)

    # -- TLS ---------------------------------------------------------------------------------------

    def read_crypto_untrusted(self, space: int, now: float) -> None:
        """CRYPTO frames have come in: what TLS makes of them."""
        handshake = self._handshake
        if not handshake.read_crypto_untrusted(space):
            return
        if not self._facts.has_handshake_keys and self._spaces[HANDSHAKE].read is not None:
            self._facts.on_handshake_keys()
        if handshake.take_rejection():
            # The server has read nothing of it: all of it is to be sent again once the handshake is
            # complete, under the limits that the server has now (RFC 9001 section 4.6.2).
            self._loss.withdraw(APPLICATION)
            self._streams.restart()
        if handshake.tls.complete and not self._facts.complete:
            self._complete_untrusted()
        self._future.take_tickets(handshake.tls, now)

    def _complete_untrusted(self) -> None:
        """The server is authenticated, and so is what it says of itself."""
        parameters, completed = self._handshake.finish_untrusted()
        self._facts.on_complete(parameters)
        self._lifetime.on_complete(parameters.max_idle_timeout / 1000)
        self._apply_limits(parameters)
        token = parameters.stateless_reset_token
        if token is not None:
            self._ids.peer.set_handshake_reset_token(self._path_id, token)
        preferred = parameters.preferred_address
        if preferred is not None:
            self._ids.peer.add_preferred(preferred.connection_id, preferred.stateless_reset_token)
        self._ids.own.issue_up_to(parameters.active_connection_id_limit)
        self._paths.on_complete()
        self._events.append(completed)

    def on_handshake_done_untrusted(self, now: float) -> None:
        """HANDSHAKE_DONE confirms the handshake (RFC 9001 section 4.1.2)."""
        if self._facts.confirmed or self._handshake.one_rtt is None:
            return
        self._handshake.check_done_untrusted()
        self._facts.on_confirmed()
        self._discard(HANDSHAKE)
        self._events.append(HandshakeConfirmed())
        self._paths.on_confirmed(self._path_id, now)

    def on_handshake_packet_sent(self) -> None:
        """The first Handshake packet ends the use of Initial keys (RFC 9001 section 4.9.1)."""
        if not self._spaces[INITIAL].discarded:
            self._discard(INITIAL)

    def _discard(self, space: int) -> None:
        self._spaces[space].discard()
        self._loss.discard_space(space)

    # -- before the server is known ----------------------------------------------------------------

    def on_authentic_long_packet(self, header: LongHeader) -> None:
        """A packet of the server could be decrypted: send to its ID (section 7.2)."""
        if self._handshake.on_authentic_long_packet(header):
            self._ids.peer.set_handshake_id(self._path_id, header.scid)

    def on_retry_untrusted(self, header: LongHeader, datagram: bytes, now: float) -> bool:
        """Retry (section 17.2.5). False: ignored."""
        if not self._handshake.accept_retry_untrusted(header, datagram):
            return False
        self._ids.peer.set_handshake_id(self._path_id, header.scid)
        # RFC 9002 section 6.3: a Retry restarts loss recovery and congestion control as well
        path = self._paths.require(self._path_id)
        self._loss.requeue_path(path.path_id, now)
        path.recovery.reset()
        return True

    def on_version_negotiation_untrusted(self, header: LongHeader, now: float, pto: float) -> bool:
        """Version Negotiation (section 6.2). False: ignored."""
        if not self._handshake.accept_version_negotiation(header):
            return False
        offered = ", ".join(f"{version:#x}" for version in header.versions[:8])
        reason = f"the server speaks none of our versions, only {offered}"
        self._lifetime.close(Ending.VERSION, None, reason, now, pto)
        return True
