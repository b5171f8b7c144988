"""One network path: a local and a remote address, and what is known of the way between them.

A path owns its states, its validation, its share of recovery (RTT, congestion, pacing; RFC 9000
section 9.4), its maximum datagram size (section 14) and its spin bit (section 17.4).
"""

from collections.abc import Callable
from typing import Final

from ..builder import PacketBuilder
from ..recovery.ecn import EcnInput
from ..recovery.path_recovery import PathRecovery
from ..recovery.rtt import GRANULARITY
from ..token import Token
from ..wire import frames
from .amplification import AmplificationLimit
from .attempt import Attempt
from .life import PathLife
from .mtu import BASE, MtuSearch
from .responses import Responses
from .spin import SpinBit

Address = tuple[str, int]

# Each probing datagram is expanded to this size (sections 8.2.1 and 8.2.2).
MINIMUM_DATAGRAM: Final = BASE
# So many times large packets were lost since one arrived, and the path carries them no more: the
# second time is one too many for a queue that has overflowed.
_BLACK_HOLE: Final = 2
# Challenges of one attempt that may be marked before one goes out without a mark
_MOST_MARKED: Final = 2


class MtuProbe(Token):
    """What becomes of a datagram that was sent for its size alone."""

    __slots__ = ("_number", "_path", "_size")

    def __init__(self, path: "NetworkPath", size: int) -> None:
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


class Traffic:
    """What went through a path, in datagrams and their bytes."""

    def __init__(self) -> None:
        self.bytes_sent = 0
        self.bytes_received = 0
        self.datagrams_sent = 0
        self.datagrams_received = 0

    def on_sent(self, size: int, count: int) -> None:
        """So many datagrams went out, `size` bytes in all."""
        self.bytes_sent += size
        self.datagrams_sent += count

    def on_received(self, size: int, count: int) -> None:
        """So many datagrams came in, `size` bytes in all."""
        self.bytes_received += size
        self.datagrams_received += count


class NetworkPath:
    def __init__(
        self,
        life: PathLife,
        ends: tuple[Address | None, Address],
        recovery: PathRecovery,
        search: MtuSearch,
        rng: Callable[[int], bytes],
        spin_bit: bool,
    ) -> None:
        self.life = life
        self._facts = life.facts
        self.path_id = life.path_id
        self.local, self.remote = ends
        self.recovery = recovery
        self.search = search
        self.attempt = Attempt(rng)
        self.responses = Responses()
        self.spin = SpinBit(spin_bit, rng(1)[0])
        self.amplification = AmplificationLimit()
        self.traffic = Traffic()
        # how often it was found to work both ways, and what the last PATH_RESPONSE said of its
        # round trip since the connection left this path, -1 for nothing
        self.validations = 0
        self.probed_rtt = -1.0
        # something came in here that was not authentic, while the path was in doubt
        self.stranger = False
        # the highest 1-RTT packet number that came in here
        self.largest_received = -1

    def differs_by_port(self, other: "NetworkPath") -> bool:
        """Whether at most the local port differs, so that the way through the network is one."""
        if self is other:
            return True
        if self.local is None or other.local is None or self.remote != other.remote:
            return False
        return self.local[0] == other.local[0]

    def pto(self) -> float:
        """The probe timeout in 1-RTT, without backoff (RFC 9002 section 6.2.1)."""
        return self.recovery.rtt.pto(self._facts.max_ack_delay)

    def on_packet(self, number: int, first_byte: int) -> None:
        """An authentic 1-RTT packet."""
        if number > self.largest_received:
            self.largest_received = number
            self.spin.newest = first_byte

    def on_undecryptable(self) -> None:
        """Something came in that nobody we talk to has sealed."""
        self.stranger = True

    def on_challenge_untrusted(self, data: bytes) -> None:
        """A PATH_CHALLENGE came in here: the response goes out here, once (section 8.2.2)."""
        self.responses.add_untrusted(data)
        self.amplification.on_validated()

    def on_answered(self, rtt: float, now: float) -> None:
        """A challenge of this path was answered, after so many seconds."""
        self.attempt.stop()
        self.life.on_shown(now)
        self.validations += 1
        self.probed_rtt = rtt

    def forget_probes(self) -> None:
        """The connection leaves: what was probed until now says nothing about its return."""
        self.probed_rtt = -1.0

    def limits_server(self, now: float) -> bool:
        """Whether what goes out here is padded, so that the server can answer."""
        limit = self.amplification
        if limit.validated:
            return False
        # what did not arrive, or was dropped there, such as an overtaken challenge, counts nothing
        arrived = self.traffic.bytes_sent - self.recovery.bytes_missing
        return limit.holds_up(arrived, self.traffic.bytes_received, now)

    def admits_probe(self) -> bool:
        """Whether the congestion window has room for a datagram that asks no pacer (RFC 9002
        section 7: only what a PTO sends goes beyond the window)."""
        return self.recovery.admits(MINIMUM_DATAGRAM)

    def has_probe(self, now: float, beyond: bool = False) -> bool:
        """Whether a challenge or responses are to be sent, `beyond` the window if need be."""
        if not self.responses.waiting and not self.attempt.wants_challenge(now):
            return False
        if not beyond and not self.admits_probe():
            return False
        return self.responses.due > 0 or self.attempt.wants_challenge(now)

    def doubt_marks(self, now: float) -> None:
        """Before a challenge is sent: when neither the first nor its repetition was answered, the
        network may be dropping what is marked (section 13.4.2.2). The PTO, which would notice that
        as well, begins anew with each challenge, and where the path's round trip is not known it is
        longer than a failover may take. A challenge that has waited for so long stands for it."""
        # for nearly every datagram the first question settles it
        if self.attempt.outstanding and self.attempt.wants_challenge(now):
            if self.attempt.outstanding >= _MOST_MARKED:
                self.recovery.ecn.advance(EcnInput.DOUBT)
            elif self.attempt.waited >= self.recovery.rtt.pto(0.0) - GRANULARITY:
                self.recovery.ecn.advance(EcnInput.STOP)

    def write_probe(self, builder: PacketBuilder, now: float) -> bool:
        """The responses that are due, and at most one PATH_CHALLENGE; no token, as neither is
        repeated."""
        wrote = self.responses.write(builder)
        if self.attempt.wants_challenge(now) and builder.room >= 9:
            challenge = self.attempt.new_challenge(now)
            builder.add_probing(frames.encode_path_data(frames.PATH_CHALLENGE, challenge))
            wrote = True
        return wrote

    def probe_deadline(self) -> float:
        """When a challenge is to be sent or the validation given up. A window that is full opens
        with an acknowledgement, a loss or a PTO, and not by itself."""
        attempt = self.attempt
        if not attempt.running or self.admits_probe():
            return attempt.deadline()
        return attempt.give_up_at

    @property
    def mtu(self) -> int:
        """The size of a full datagram."""
        return self.recovery.max_datagram_size

    def probe_size(self, now: float) -> int:
        """The size to probe now, 0 for none. Room is kept for it in the congestion window, and for
        the data behind it, by whose acknowledgement its loss is noticed."""
        recovery = self.recovery
        size = 0
        if self.search.size != self.mtu:
            self.adopt_size()
        if recovery.pto_count == 0:
            size = self.search.next_size(now, recovery.congestion.window)
        recovery.reserve(self.mtu + size)
        return size

    def adopt_size(self) -> None:
        """Send datagrams as large as the search has found that they may be, once the congestion
        window holds two of them: a larger size must not increase it (RFC 8899 section 3)."""
        size = self.search.size
        fits = size < self.mtu or self.recovery.congestion.window >= 2 * size
        if size != self.mtu and fits:
            self.life.on_datagram_size(self.mtu, size)
            self.recovery.set_datagram_size(size)

    def judge_size(self, now: float) -> None:
        """Fall back if large datagrams arrive no more (RFC 8899 section 4.3)."""
        if self.recovery.large_losses.count >= _BLACK_HOLE and self.mtu > MINIMUM_DATAGRAM:
            self.search.fall(now)
            self.adopt_size()

    def restart_size(self) -> None:
        """Begin anew with the size that every path carries."""
        self.search.restart()
        self.adopt_size()
