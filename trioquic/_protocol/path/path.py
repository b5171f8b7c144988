"""One network path: a local and a remote address, and what is known of the way between them.

A path owns its validation, its share of recovery (RTT, congestion, pacing; RFC 9000 section 9.4),
its maximum datagram size (section 14) and its spin bit (section 17.4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from ..builder import PacketBuilder
from ..machine import advance
from ..recovery.ecn import EcnInput
from ..recovery.path_recovery import PathRecovery
from ..token import Token
from ..wire import frames
from .mtu import BASE, MtuSearch
from .responses import Responses
from .state import TRANSITIONS, PathInput, PathState
from .validation import Validation

if TYPE_CHECKING:
    from ..observer import Observer

Address = tuple[str, int]

# Each probing datagram is expanded to this size (sections 8.2.1 and 8.2.2).
MINIMUM_DATAGRAM: Final = BASE
# So many times large packets were lost since one arrived, and the path carries them no more: the
# second time is one too many for a queue that has overflowed.
_BLACK_HOLE: Final = 2
# Challenges of one attempt that may be marked before one goes out without a mark
_MOST_MARKED: Final = 2
# What a server may have on its way at first, and at most while it begins slowly; and how long it
# may take its time to validate a path, seconds.
_ROOM: Final = 36_000
_MOST_ROOM: Final = 256_000
_UNASKED: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PathView:
    """A snapshot of one path. Times in seconds, sizes in bytes."""

    path_id: int
    local: Address | None
    remote: Address
    state: PathState
    rtt: float | None
    min_rtt: float | None
    pto: float
    pto_count: int
    congestion_window: int
    bytes_in_flight: int
    bytes_sent: int
    bytes_received: int
    datagrams_sent: int
    datagrams_received: int
    packets_lost: int
    spurious_losses: int
    challenges_sent: int
    responses_sent: int
    responses_dropped: int
    validations: int
    mtu: int
    validating: bool
    doubtful: bool
    """Nothing authentic ever came in here, and no challenge was answered."""
    stranger: bool
    """Something came in here before that, and it was not from whom we talk to."""


class MtuProbe(Token):
    """What becomes of a datagram that was sent for its size alone."""

    __slots__ = ("_number", "_path", "_size")

    def __init__(self, path: "Path", size: int) -> None:
        self._path = path
        self._size = size
        self._number = path.search.number

    def acked(self) -> None:
        """The path carries this size."""
        self._path.search.on_probe_acked(self._number, self._size)
        self._path.adopt_size()

    def lost(self) -> None:
        """Perhaps the path does not carry this size."""
        self._path.search.on_probe_lost(self._number, self._size)


class Path:
    """The protocol's side of one path."""

    def __init__(
        self,
        path_id: int,
        local: Address | None,
        remote: Address,
        recovery: PathRecovery,
        search: MtuSearch,
        rng: Callable[[int], bytes],
        spin_bit: bool,
    ) -> None:
        self.path_id = path_id
        self.local = local
        self.remote = remote
        self.recovery = recovery
        self.validation = Validation(rng)
        self.state = PathState.CANDIDATE
        # the server has shown that it receives what we send here
        self.proven = False
        # whether it has ever been the active path
        self.carried = False
        # what the last PATH_RESPONSE said since the connection left this path, -1 for nothing
        self.probed_rtt = -1.0
        self.search = search
        # section 17.4: off on at least one path in sixteen, chosen at random, and there it says
        # anything, so that nobody sees whether it is
        draw = rng(1)[0]
        self.spin_enabled = spin_bit and draw >= 16
        self.spin = 0
        self._no_spin = draw & 1
        # probes of the active path have gone unanswered, and nothing else came
        self.silent = False
        # when an authentic packet last came in here
        self.heard_at = -inf
        # something came in here that was not authentic, while the path was in doubt
        self.stranger = False
        self.responses = Responses()
        self.challenges_sent = 0
        self.validations = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self.datagrams_sent = 0
        self.datagrams_received = 0
        # when the connection moved here from a path that answered no more, or from none, and
        # whether the server has validated this address or begun to: it has challenged it, or the
        # handshake was made here
        self.lost_before_at = -inf
        self.trusted = False
        # the highest 1-RTT packet number that came in here
        self.largest_received = -1
        self.observer: Observer | None = None

    @property
    def doubtful(self) -> bool:
        """Whether there is no sign yet that packets get to the server and back."""
        return not self.proven and self.heard_at == -inf

    def advance(self, event: PathInput) -> None:
        """Take one step of the state machine."""
        old = self.state
        self.state = advance(TRANSITIONS, old, event)
        if self.observer is not None:
            self.observer.path_stepped(self.path_id, old, self.state, event)

    def on_challenge_untrusted(self, data: bytes) -> None:
        """A PATH_CHALLENGE came in here: the response goes out here, once (section 8.2.2)."""
        self.responses.add_untrusted(data)
        self.trusted = True

    def starves_server(self, now: float) -> bool:
        """Whether what goes out here is padded, so that the server can answer.

        Before it has validated a client's new address a server sends three times what came from
        there (sections 9.3 and 8.1), and acknowledgements are small. One that cannot even send its
        challenge, as nginx cannot while its window is full of what got lost on the old path, would
        use up what it may send for data, and at last go back to where the client came from.

        After a move from a path that answers there is room, and ngtcp2 0.12 does not come out of a
        later outage when so many full datagrams have come in its first moments on a path."""
        if self.trusted or now >= self.lost_before_at + _UNASKED:
            return False
        # in slow start no more than that is on its way: what it has sent already, and a window
        room = min(_ROOM + self.bytes_received, _MOST_ROOM)
        return 3 * self.bytes_sent < self.bytes_received + room

    def admits_probe(self) -> bool:
        """Whether the congestion window has room for a datagram that asks no pacer (RFC 9002
        section 7: only what a PTO sends goes beyond the window)."""
        return self.recovery.admits(MINIMUM_DATAGRAM)

    def has_probe(self, now: float, beyond: bool = False) -> bool:
        """Whether a challenge or responses are to be sent, `beyond` the window if need be."""
        if not self.responses.waiting and not self.validation.wants_challenge(now):
            return False
        if not beyond and not self.admits_probe():
            return False
        return self.responses.due > 0 or self.validation.wants_challenge(now)

    def doubt_marks(self, now: float) -> None:
        """Before a challenge is sent: when neither the first nor its repetition was answered, the
        network may be dropping what is marked (section 13.4.2.2). The PTO, which would notice that
        as well, is that of a path without a round-trip time here, and comes too late."""
        # for nearly every datagram the first question settles it
        if self.validation.outstanding >= _MOST_MARKED and self.validation.wants_challenge(now):
            self.recovery.ecn.advance(EcnInput.DOUBT)

    def write_probe(self, builder: PacketBuilder, now: float) -> bool:
        """The responses that are due, and at most one PATH_CHALLENGE; no token, as neither is
        repeated."""
        wrote = self.responses.write(builder)
        if self.validation.wants_challenge(now) and builder.room >= 9:
            builder.add_probing(frames.encode_path_challenge(self.validation.new_challenge(now)))
            self.challenges_sent += 1
            wrote = True
        return wrote

    # -- the size of datagrams ---------------------------------------------------------------------

    @property
    def mtu(self) -> int:
        """The size of a full datagram."""
        return self.recovery.max_datagram_size

    def probe_size(self, now: float) -> int:
        """The size to probe now, 0 for none. Room is kept for it in the congestion window, and for
        the data behind it, by whose acknowledgement its loss is noticed."""
        recovery = self.recovery
        size = 0
        if recovery.pto_count == 0:
            size = self.search.next_size(now, recovery.congestion.window)
        recovery.needed = self.mtu + size
        return size

    def adopt_size(self) -> None:
        """Send datagrams as large as the search has found that they may be."""
        size = self.search.size
        if size != self.mtu:
            if self.observer is not None:
                self.observer.datagram_size_changed(self.path_id, self.mtu, size)
            self.recovery.set_datagram_size(size)

    def judge_size(self, now: float) -> None:
        """Fall back if large datagrams arrive no more (RFC 8899 section 4.3)."""
        if self.recovery.large_losses >= _BLACK_HOLE and self.mtu > MINIMUM_DATAGRAM:
            self.search.fall(now)
            self.adopt_size()

    def restart_size(self) -> None:
        """Begin anew with the size that every path carries."""
        self.search.restart()
        self.adopt_size()

    def probe_deadline(self) -> float:
        """When a challenge is to be sent or the validation given up. A window that is full opens
        with an acknowledgement, a loss or a PTO, and not by itself."""
        validation = self.validation
        if not validation.running or self.admits_probe():
            return validation.deadline()
        return validation.give_up_at

    def next_spin(self) -> int:
        """The spin bit of the next packet: the inverse of what came in last, for a client."""
        return self.spin if self.spin_enabled else self._no_spin

    def view(self, max_ack_delay: float) -> PathView:
        """A snapshot that can be handed out."""
        recovery = self.recovery
        rtt = recovery.rtt
        return PathView(
            path_id=self.path_id,
            local=self.local,
            remote=self.remote,
            state=self.state,
            rtt=rtt.smoothed if rtt.has_sample else None,
            min_rtt=rtt.minimum if rtt.has_sample else None,
            pto=rtt.pto(max_ack_delay),
            pto_count=recovery.pto_count,
            congestion_window=recovery.congestion.window,
            bytes_in_flight=recovery.bytes_in_flight,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            datagrams_sent=self.datagrams_sent,
            datagrams_received=self.datagrams_received,
            packets_lost=recovery.packets_lost,
            spurious_losses=recovery.spurious_losses,
            challenges_sent=self.challenges_sent,
            responses_sent=self.responses.sent,
            responses_dropped=self.responses.dropped,
            validations=self.validations,
            mtu=self.mtu,
            validating=self.validation.running,
            doubtful=self.doubtful,
            stranger=self.stranger and self.doubtful,
        )
