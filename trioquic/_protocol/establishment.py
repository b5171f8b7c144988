"""What the handshake brings about, applied in one place.

`handshake/` finds out what follows from the server's messages and says so; here the facts are
noted (`facts.py`), and every component that has to do something about them is told, in an order
that can be read from top to bottom: limits before streams, connection IDs before paths.
"""

from .components import Components
from .errors import PROTOCOL_VIOLATION, BadPacketError
from .events import Ending, HandshakeConfirmed
from .path.path import NetworkPath
from .space import APPLICATION, HANDSHAKE, INITIAL
from .wire.packets import LongHeader
from .wire.transport_parameters import TransportParameters


class Establishment:
    """From the ClientHello to the confirmed handshake (RFC 9001 section 4.1)."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        # the path of the handshake
        self._path_id = -1
        # HANDSHAKE_DONE has come, and it was told that the handshake is confirmed
        self._done = False

    def start(self, path: NetworkPath) -> None:
        """The handshake begins on this path: `transmit` sends the ClientHello there."""
        handshake = self._parts.handshake
        self._path_id = path.path_id
        self._parts.ids.peer.set_handshake_id(path.path_id, handshake.original_id)
        handshake.start()
        if handshake.zero_rtt is not None:
            self._apply_limits(handshake.zero_rtt.remembered)

    def _apply_limits(self, parameters: TransportParameters) -> None:
        self._parts.streams.apply_peer_limits(parameters)
        self._parts.datagrams.apply_peer_limit(parameters.max_datagram_frame_size)

    def read_crypto_untrusted(self, space: int, now: float) -> None:
        """CRYPTO frames have come in: what TLS makes of them."""
        handshake = self._parts.handshake
        if not handshake.read_crypto_untrusted(space):
            return
        facts = self._parts.facts
        if not facts.has_handshake_keys and self._parts.spaces[HANDSHAKE].read is not None:
            facts.on_handshake_keys()
        if handshake.take_rejection():
            # The server has read nothing of it: all of it is to be sent again once the handshake is
            # complete, under the limits that the server has now (RFC 9001 section 4.6.2).
            self._parts.loss.withdraw(APPLICATION)
            self._parts.streams.restart()
        if handshake.tls.complete and not facts.complete:
            self._complete_untrusted()
        self._parts.future.take_tickets(handshake.tls, now)

    def _complete_untrusted(self) -> None:
        """The server is authenticated, and so is what it says of itself."""
        parameters, completed = self._parts.handshake.finish_untrusted()
        self._parts.facts.on_complete(parameters)
        self._parts.lifetime.on_complete(parameters.max_idle_timeout / 1000)
        self._apply_limits(parameters)
        token = parameters.stateless_reset_token
        if token is not None:
            self._parts.ids.peer.set_handshake_reset_token(self._path_id, token)
        preferred = parameters.preferred_address
        if preferred is not None:
            self._parts.ids.peer.add_preferred(
                preferred.connection_id, preferred.stateless_reset_token
            )
        self._parts.ids.own.issue_up_to(parameters.active_connection_id_limit)
        self._parts.paths.on_complete()
        self._parts.events.append(completed)

    def on_handshake_done_untrusted(self, now: float) -> None:
        """HANDSHAKE_DONE confirms the handshake (RFC 9001 section 4.1.2)."""
        if self._done or self._parts.handshake.one_rtt is None:
            return
        if not self._parts.spaces[INITIAL].discarded:
            # It can have been kept from before our keys came: we have not even sent our Finished.
            raise BadPacketError(
                PROTOCOL_VIOLATION, "HANDSHAKE_DONE before our Finished was sent", 0x1E
            )
        self._done = True
        self._parts.events.append(HandshakeConfirmed())
        if not self._parts.facts.confirmed:
            self._confirm(now)

    def on_one_rtt_acked(self, now: float) -> None:
        """The server has read a 1-RTT packet, which it does only when it has our Finished, so that
        the handshake is confirmed (RFC 9001 sections 4.1.2 and 5.7). Some servers say so long
        before they send HANDSHAKE_DONE, and answer Handshake packets no more. Nobody is told yet:
        the connection IDs that a move takes come with HANDSHAKE_DONE."""
        self._confirm(now)

    def _confirm(self, now: float) -> None:
        self._parts.facts.on_confirmed()
        self._discard(HANDSHAKE)
        self._parts.paths.on_confirmed(self._path_id, now)

    def on_handshake_packet_sent(self) -> None:
        """The first Handshake packet ends the use of Initial keys (RFC 9001 section 4.9.1)."""
        if not self._parts.spaces[INITIAL].discarded:
            self._discard(INITIAL)

    def _discard(self, space: int) -> None:
        self._parts.spaces[space].discard()
        self._parts.loss.discard_space(space)

    def on_authentic_long_packet(self, header: LongHeader) -> None:
        """A packet of the server could be decrypted: send to its ID (section 7.2)."""
        if self._parts.handshake.on_authentic_long_packet(header):
            self._parts.ids.peer.set_handshake_id(self._path_id, header.scid)

    def on_retry_untrusted(self, header: LongHeader, datagram: bytes, now: float) -> bool:
        """Retry (section 17.2.5). False: ignored."""
        if not self._parts.handshake.accept_retry_untrusted(header, datagram):
            return False
        self._parts.ids.peer.set_handshake_id(self._path_id, header.scid)
        # RFC 9002 section 6.3: a Retry restarts loss recovery and congestion control as well
        path = self._parts.paths.require(self._path_id)
        self._parts.loss.requeue_path(path.path_id, now)
        path.recovery.reset()
        return True

    def on_version_negotiation_untrusted(self, header: LongHeader, now: float, pto: float) -> bool:
        """Version Negotiation (section 6.2). False: ignored."""
        if not self._parts.handshake.accept_version_negotiation(header):
            return False
        offered = ", ".join(f"{version:#x}" for version in header.versions[:8])
        reason = f"the server speaks none of our versions, only {offered}"
        self._parts.lifetime.close(Ending.VERSION, None, reason, now, pto)
        return True
