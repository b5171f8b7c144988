"""The server's preferred address (RFC 9000 section 9.6): what became of each of the two.

There is one for each address family at most. The client selects one of them where it is (section
9.6.1), which is the caller's choice, and uses the other where it moves to a network of that family
(section 9.6.3): so both are kept. Which of them may be used at all is judged in `offer.py`.
"""

from typing import Final

from ..events import Event, PreferredAddressSettled
from ..machine import Label, advance
from ..wire.transport_parameters import PreferredAddressParameter
from .offer import objection_to
from .path import Address


class PreferredState(Label):
    """What became of one of the server's preferred addresses."""

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
    REJECT = "it leads to somebody else"
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
    (PreferredState.PENDING, PreferredInput.REJECT): PreferredState.IGNORED,
    (PreferredState.PROBING, PreferredInput.REJECT): PreferredState.IGNORED,
    (PreferredState.FAILED, PreferredInput.REJECT): PreferredState.IGNORED,
    (PreferredState.IGNORED, PreferredInput.REJECT): PreferredState.IGNORED,
    (PreferredState.FAILED, PreferredInput.MOVE): PreferredState.REACHED,
    (PreferredState.IGNORED, PreferredInput.MOVE): PreferredState.REACHED,
    (PreferredState.REACHED, PreferredInput.MOVE): PreferredState.REACHED,
}


_OPEN: Final = (PreferredState.PENDING, PreferredState.PROBING)
_UNSEEN: Final = (*_OPEN, PreferredState.FAILED, PreferredState.IGNORED)


class PreferredAddress:
    """The states of both, and the event that tells what became of each. `wanted`: the user's
    wish."""

    def __init__(self, wanted: bool, events: list[Event]) -> None:
        self._wanted = wanted
        self._events = events
        self._states: dict[Address, PreferredState] = {}
        self._harmful: set[Address] = set()
        self.last: Address | None = None
        """Where the connection is, or was last; None: where the handshake was made."""

    def state_of(self, address: Address) -> PreferredState:
        """What became of it; ABSENT if the server does not prefer it."""
        return self._states.get(address, PreferredState.ABSENT)

    def is_open(self, address: Address) -> bool:
        """Whether this one was neither reached nor found to be of no use."""
        return self.state_of(address) in _OPEN

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Those that may be used, whatever the policy wants; IPv4 first."""
        return tuple(address for address in self._states if address not in self._harmful)

    @property
    def open(self) -> bool:
        """Whether one was neither reached nor found to be of no use, and none was reached."""
        return not self.reached and any(state in _OPEN for state in self._states.values())

    @property
    def reached(self) -> bool:
        """Whether the connection has moved to one: the original address is left for good."""
        return PreferredState.REACHED in self._states.values()

    def on_confirmed(
        self, offer: PreferredAddressParameter | None, present: Address | None
    ) -> None:
        """The handshake is confirmed, so they may be used from now on (section 9.6.1). `present`:
        where the server is."""
        if offer is None or present is None:
            return
        for address in (offer.ipv4, offer.ipv6):
            if address is None or address == present:
                continue
            objection = objection_to(address, present)
            if objection:
                self._harmful.add(address)
            elif not self._wanted:
                objection = "the policy does not want it"
            if objection:
                self._step(address, PreferredInput.IGNORE)
                self._tell(address, False, objection)
            else:
                self._step(address, PreferredInput.OFFER)

    def on_probe(self, remote: Address) -> None:
        """A path to this address of the server is being probed."""
        if self.is_open(remote):
            self._step(remote, PreferredInput.PROBE)

    def on_unanswered(self, remote: Address) -> None:
        """No path to this address is being probed any more, and the last one did not answer."""
        if self.is_open(remote):
            self._step(remote, PreferredInput.UNCLEAR)

    def fail(self, remote: Address, reason: str) -> None:
        """It does not answer, though the original address does: where that can be used, this is not
        asked again (section 9.6.1)."""
        if self.is_open(remote):
            self._step(remote, PreferredInput.FAIL)
            self._tell(remote, False, reason)

    def ignore(self, address: Address, reason: str) -> None:
        """The caller has found that this leads to somebody else, while the server was not seen
        there: it is not asked, whatever the policy or the application want."""
        state = self.state_of(address)
        if state in _UNSEEN and address not in self._harmful:
            self._harmful.add(address)
            self._step(address, PreferredInput.REJECT)
            self._tell(address, False, reason)

    def on_moved(self, remote: Address) -> None:
        """The connection is at this address of the server from now on."""
        self.last = remote
        if remote in self._states:
            news = self.state_of(remote) is not PreferredState.REACHED
            self._step(remote, PreferredInput.MOVE)
            if news:
                self._tell(remote, True, "it answered")

    def _step(self, address: Address, event: PreferredInput) -> None:
        self._states[address] = advance(TRANSITIONS, self.state_of(address), event)

    def _tell(self, address: Address, used: bool, reason: str) -> None:
        self._events.append(PreferredAddressSettled(address=address, used=used, reason=reason))
