"""Which version of QUIC a connection speaks (RFC 9368).

It begins with one version and names all it could speak in its authenticated transport parameters.
The server may answer in another of these: the first of its packets in another version that can be
opened says which, or its first CRYPTO frame that it stays with the original one (RFC 9369 section
4.1). Before, it may have acknowledged the first part of a ClientHello in the original version.

What it says of versions in its own parameters must agree with what happened, so that nobody on the
way can talk the two into an older version: neither by rewriting a packet's version nor by forging a
Version Negotiation packet.
"""

from ..errors import VERSION_NEGOTIATION_ERROR, BadPacketError
from ..wire.packets import LongHeader
from ..wire.transport_parameters import TransportParameters


class VersionChoice:
    """`spoken` has the versions to offer, best first; the connection begins with `original`."""

    def __init__(self, spoken: tuple[int, ...], original: int, renegotiated: bool) -> None:
        self.spoken = spoken
        self.current = original
        self._original = original
        # this attempt follows from a Version Negotiation packet, which anybody can forge
        self._renegotiated = renegotiated
        self._settled = False
        # what a Version Negotiation packet offers that could be tried instead
        self.alternative = 0

    def is_possible(self, version: int) -> bool:
        """Whether a packet of this version may be the server's."""
        return version == self.current or (not self._settled and version in self.spoken)

    def settle(self, version: int) -> None:
        """What the server said shows that this version is the one (section 2.3)."""
        self.current = version
        self._settled = True

    def on_offer(self, header: LongHeader) -> bool:
        """What a Version Negotiation packet offers instead. A second one would be somebody's
        forgery: an honest server offers what it speaks. False: it means nothing, as it lists the
        version that it answers (RFC 9000 section 6.2)."""
        if self._original in header.versions:
            return False
        if not self._renegotiated:
            self.alternative = self._best_of(header.versions)
        return True

    def _best_of(self, offered: tuple[int, ...]) -> int:
        return next((version for version in self.spoken if version in offered), 0)

    def check_untrusted(self, parameters: TransportParameters) -> None:
        """Hold what the server says of versions against what happened (section 4)."""
        said = parameters.version_information
        if said is None:
            if self.current != self._original or self._renegotiated:
                raise _error("the server changed the version and does not confirm it")
            return
        chosen, available = said
        if chosen != self.current:
            raise _error(f"the server confirms version {chosen:#x}, not {self.current:#x}")
        if self._renegotiated:
            if self._best_of(available) != self._original:
                raise _error("a Version Negotiation packet led to the wrong version")


def _error(reason: str) -> BadPacketError:
    return BadPacketError(VERSION_NEGOTIATION_ERROR, reason)
