"""The server's preferred address (RFC 9000 section 9.6): which one is used, and what became of it.

The addresses come from the server, and a server on the Internet could name an address inside the
client's own network, in plain sight or inside of another, and have the client knock there (section
21.5.3). So an address is ignored, with a reason, unless it reaches at least as far as the one that
the server has now: a public server may send us to public addresses only, one in a private network
to those and to private ones. The address family stays the one in use.
"""

import ipaddress
from typing import Final

from ..events import Event, PreferredAddressSettled
from ..machine import Label, advance
from ..wire.transport_parameters import PreferredAddressParameter
from .path import Address
from .reach import GLOBAL, NOWHERE, normal, reach_of

_NAMES: Final = ("a loopback address", "on one link only", "in a private network")


class PreferredState(Label):
    """What became of the server's preferred address."""

    ABSENT = "absent"
    PENDING = "pending"
    PROBING = "probing"
    REACHED = "reached"
    FAILED = "failed"
    IGNORED = "ignored"


class PreferredInput(Label):
    OFFER = "the server has one that may be used"
    IGNORE = "the server has one that is not used"
    PROBE = "a path to it is probed"
    UNCLEAR = "it did not answer, and the original address may be no better"
    FAIL = "it does not answer, and the original address does"
    MOVE = "the connection moves there"


TRANSITIONS: Final[dict[tuple[PreferredState, PreferredInput], PreferredState]] = {
    (PreferredState.ABSENT, PreferredInput.OFFER): PreferredState.PENDING,
    (PreferredState.ABSENT, PreferredInput.IGNORE): PreferredState.IGNORED,
    (PreferredState.PENDING, PreferredInput.PROBE): PreferredState.PROBING,
    (PreferredState.PENDING, PreferredInput.UNCLEAR): PreferredState.PENDING,
    (PreferredState.PENDING, PreferredInput.FAIL): PreferredState.FAILED,
    (PreferredState.PENDING, PreferredInput.MOVE): PreferredState.REACHED,
    (PreferredState.PROBING, PreferredInput.PROBE): PreferredState.PROBING,
    (PreferredState.PROBING, PreferredInput.UNCLEAR): PreferredState.PENDING,
    (PreferredState.PROBING, PreferredInput.FAIL): PreferredState.FAILED,
    (PreferredState.PROBING, PreferredInput.MOVE): PreferredState.REACHED,
    (PreferredState.FAILED, PreferredInput.MOVE): PreferredState.REACHED,
    (PreferredState.IGNORED, PreferredInput.MOVE): PreferredState.REACHED,
    (PreferredState.REACHED, PreferredInput.MOVE): PreferredState.REACHED,
}


class PreferredAddress:
    """Its state, and the one event that tells what became of it. `wanted`: the user's wish."""

    def __init__(self, wanted: bool, events: list[Event]) -> None:
        self._wanted = wanted
        self._events = events
        self.state = PreferredState.ABSENT
        # of the family in use, if it may be used
        self.address: Address | None = None

    @property
    def open(self) -> bool:
        """Whether it was neither reached nor found to be of no use."""
        return self.state is PreferredState.PENDING or self.state is PreferredState.PROBING

    @property
    def reached(self) -> bool:
        """Whether the connection has moved there: the original address is left for good."""
        return self.state is PreferredState.REACHED

    def on_confirmed(
        self,
        offer: PreferredAddressParameter | None,
        handshake_remote: Address | None,
        own: Address | None = None,
    ) -> None:
        """The handshake is confirmed, so it may be used from now on (section 9.6.1). `own`: where
        it was made from."""
        self.address, reason = judge_preferred(offer, handshake_remote, own)
        if self.address is None and not reason:
            return
        if self.address is not None and not self._wanted:
            reason = "the policy does not want it"
        if reason:
            self._step(PreferredInput.IGNORE)
            self._tell(False, reason)
        else:
            self._step(PreferredInput.OFFER)

    def on_probe(self, remote: Address) -> None:
        """A path to this address of the server is being probed."""
        if remote == self.address and self.open:
            self._step(PreferredInput.PROBE)

    def on_unanswered(self, remote: Address) -> None:
        """No path to this address is being probed any more, and the last one did not answer."""
        if remote == self.address and self.open:
            self._step(PreferredInput.UNCLEAR)

    def fail(self, reason: str) -> None:
        """It does not answer, though the original address does: it is not asked again."""
        if self.open:
            self._step(PreferredInput.FAIL)
            self._tell(False, reason)

    def on_moved(self, remote: Address) -> None:
        """The connection is at this address of the server from now on."""
        if remote == self.address:
            news = self.open
            self._step(PreferredInput.MOVE)
            if news:
                self._tell(True, "it answered")

    def _step(self, event: PreferredInput) -> None:
        self.state = advance(TRANSITIONS, self.state, event)

    def _tell(self, used: bool, reason: str) -> None:
        self._events.append(PreferredAddressSettled(used=used, reason=reason))


def judge_preferred(
    preferred: PreferredAddressParameter | None,
    handshake_remote: Address | None,
    own: Address | None = None,
) -> tuple[Address | None, str]:
    """The preferred address of the family in use, if it may be used; else None, and why not, if
    there is one: an empty reason says that the server has none there, or its present one."""
    if preferred is None or handshake_remote is None:
        return None, ""
    current = ipaddress.ip_address(handshake_remote[0].partition("%")[0])
    choice = preferred.ipv4 if current.version == 4 else preferred.ipv6
    if choice is None or choice == handshake_remote:
        return None, ""
    if choice[1] == 0:
        return None, f"{choice[0]} has no port"
    if own is not None and choice[0] == own[0] != handshake_remote[0]:
        # section 21.5.3: what listens on this machine may trust it
        return None, f"{choice[0]} is our own address"
    reach, because = reach_of(ipaddress.ip_address(choice[0]))
    if reach == NOWHERE:
        return None, f"{choice[0]} is no address of a host ({because})"
    least, _ = reach_of(normal(current))
    if least == NOWHERE:
        least = GLOBAL
    if reach < least:
        where = _NAMES[reach]
        return None, f"{choice[0]} is {where} ({because}), and the server is not"
    return choice, ""
