"""A loss detector on a clock that tests move by hand; it knows what each packet's token was told.

The tokens are real ones: a compiled core takes no class of our own for its `Token`. Those of CRYPTO
frames, as what they are told shows in a buffer of sent bytes. Every packet carries one byte of it.
"""

from dataclasses import dataclass

from trioquic._protocol.facts import ConnectionFacts
from trioquic._protocol.recovery.choice import CUBIC, Choice
from trioquic._protocol.recovery.loss import LossDetector
from trioquic._protocol.recovery.numbers import PacketNumbers
from trioquic._protocol.recovery.path_recovery import PathRecovery
from trioquic._protocol.recovery.sent import SentPacket
from trioquic._protocol.space import APPLICATION, SPACES
from trioquic._protocol.streams.crypto_stream import CryptoToken
from trioquic._protocol.streams.send_buffer import SendBuffer
from trioquic._protocol.wire.frames import AckFrame

SIZE = 1200


@dataclass(slots=True)
class Frame:
    """How often a packet's token was told what."""

    number: int
    acks: int = 0
    losses: int = 0


def no_randomness(count: int) -> bytes:
    return bytes(count)


class Sender:
    """Sends packets into a `LossDetector` and acknowledges them."""

    def __init__(self, confirmed: bool = True, congestion: Choice = CUBIC) -> None:
        self.facts = ConnectionFacts()
        self.facts.on_active_path(0)
        self.detector = LossDetector(self.facts, no_randomness, congestion=congestion)
        # tests count packets: none is left out (test_numbers.py is about those that are)
        self.detector._numbers = [PacketNumbers(no_randomness, skipping=False) for _ in SPACES]
        self.detector.add_path(0)
        if confirmed:
            self.facts.on_confirmed()
        self.now = 100.0
        self._buffer = SendBuffer()
        self._frames: dict[tuple[int, int], Frame] = {}
        # by the offset of their byte; the first is never acknowledged, so that all others wait
        self._sent = [Frame(-1)]

    @property
    def frames(self) -> dict[tuple[int, int], Frame]:
        """By space and packet number, with what they were told until now."""
        self._note()
        return self._frames

    def _note(self) -> None:
        """Count what the tokens were told since the last time. To be called after each event, as
        telling a token the same again changes nothing in the buffer."""
        acked, lost = self._buffer._acked, self._buffer.lost
        for start, end in zip(acked.starts, acked.ends, strict=True):
            for frame in self._sent[start:end]:
                frame.acks += 1
        for start, end in zip(lost.starts, lost.ends, strict=True):
            for frame in self._sent[start:end]:
                frame.losses += 1
        acked.clear()
        lost.clear()

    @property
    def path(self) -> PathRecovery:
        return self.detector._paths[self.facts.active_path]

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
            frame = self._frames[space, number] = Frame(number)
            token = CryptoToken(self._buffer, len(self._sent), len(self._sent) + 1)
            self._sent.append(frame)
            self.detector.on_sent(
                SentPacket(number, space, path, self.now, size, eliciting, [token], padded, ecn)
            )
            numbers.append(number)
        self._note()
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
        news = self.detector.on_ack_untrusted(space, frame, self.now, delay)
        self._note()
        return news

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
        self._note()
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
