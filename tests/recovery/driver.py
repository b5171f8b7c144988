"""A loss detector on a clock that tests move by hand, with tokens that remember their fate."""

from trioquic._protocol.recovery.choice import CUBIC, Choice
from trioquic._protocol.recovery.loss import LossDetector
from trioquic._protocol.recovery.numbers import PacketNumbers
from trioquic._protocol.recovery.path_recovery import PathRecovery
from trioquic._protocol.recovery.sent import SentPacket
from trioquic._protocol.space import APPLICATION, SPACES
from trioquic._protocol.token import Token
from trioquic._protocol.wire.frames import AckFrame

SIZE = 1200


class Frame(Token):
    """A token that counts what it is told."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.acks = 0
        self.losses = 0

    def acked(self) -> None:
        self.acks += 1

    def lost(self) -> None:
        self.losses += 1


def no_randomness(count: int) -> bytes:
    return bytes(count)


class Sender:
    """Sends packets into a `LossDetector` and acknowledges them."""

    def __init__(
        self, confirmed: bool = True, initial_rtt: float = 0.333, congestion: Choice = CUBIC
    ) -> None:
        self.detector = LossDetector(no_randomness, initial_rtt=initial_rtt, congestion=congestion)
        # tests count packets: none is left out (test_numbers.py is about those that are)
        self.detector._numbers = [PacketNumbers(no_randomness, skipping=False) for _ in SPACES]
        self.detector.add_path(0)
        self.detector.handshake_confirmed = confirmed
        self.detector.peer_address_validated = confirmed
        self.now = 100.0
        self.frames: dict[tuple[int, int], Frame] = {}

    @property
    def path(self) -> PathRecovery:
        return self.detector.path(self.detector.active_path)

    def send(
        self,
        count: int = 1,
        *,
        space: int = APPLICATION,
        path: int = 0,
        size: int = SIZE,
        eliciting: bool = True,
        padded: bool = False,
        ecn: int = 0,
    ) -> list[int]:
        """Send packets now; returns their numbers."""
        numbers = []
        for _ in range(count):
            number = self.detector.next_packet_number(space)
            frame = Frame(number)
            self.frames[space, number] = frame
            self.detector.on_sent(
                SentPacket(number, space, path, self.now, size, eliciting, [frame], padded, ecn)
            )
            numbers.append(number)
        return numbers

    def ack(
        self,
        *numbers: int,
        space: int = APPLICATION,
        delay: float = 0.0,
        ecn: tuple[int, int, int] | None = None,
    ) -> int:
        """Receive an ACK of exactly these numbers; returns how many were news."""
        frame = AckFrame(max(numbers), 0, to_ranges(set(numbers)), ecn)
        return self.detector.on_ack_untrusted(space, frame, self.now, delay)

    def frame(self, number: int, space: int = APPLICATION) -> Frame:
        return self.frames[space, number]

    def lost(self, space: int = APPLICATION) -> list[int]:
        """The packets whose tokens were told of a loss."""
        return [n for (of, n), frame in self.frames.items() if of == space and frame.losses]

    def measure(self, rtt: float, path: int = 0, rounds: int = 1) -> None:
        """Let a path have RTT samples of exactly `rtt`."""
        for _ in range(rounds):
            (number,) = self.send(path=path)
            self.now += rtt
            self.ack(number)

    def run_timer(self) -> float:
        """Move the clock to the next deadline and fire it; returns how long that took."""
        deadline = self.detector.next_deadline()
        waited = deadline - self.now
        self.now = deadline
        self.detector.on_deadline(deadline)
        return waited


def to_ranges(numbers: set[int]) -> list[tuple[int, int]]:
    """Inclusive ranges, the highest first, as in an ACK frame."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers, reverse=True):
        if ranges and ranges[-1][0] == number + 1:
            ranges[-1] = (number, ranges[-1][1])
        else:
            ranges.append((number, number))
    return ranges
