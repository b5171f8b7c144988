"""An upload without end over one bottleneck, in simulated time.

The bottleneck has a rate, a queue that drops what does not fit, and a round trip. The receiver
acknowledges every second packet.
"""

from collections import deque

from trioquic._protocol.recovery.choice import Choice
from trioquic._protocol.recovery.path_recovery import PathRecovery
from trioquic._protocol.space import APPLICATION

from .driver import SIZE, Sender

ACK_EVERY = 2


class Upload:
    """Sends as fast as window and pacer allow. `rate` is bytes a second."""

    def __init__(self, congestion: Choice, *, rate: float, queue: float, rtt: float) -> None:
        self.sender = Sender(congestion=congestion)
        self.rate = rate
        self.queue = queue
        self.rtt = rtt
        self.delivered = 0
        self._free_at = self.sender.now  # when the bottleneck has sent what it has
        self._waiting: list[int] = []  # arrived and not acknowledged
        self._acks: deque[tuple[float, list[int]]] = deque()

    @property
    def path(self) -> PathRecovery:
        return self.sender.path

    def run(self, seconds: float, *, sending: bool = True) -> float:
        """Go on for so long; returns how much of the bottleneck was used meanwhile. Without
        `sending` the application has nothing to send."""
        sender = self.sender
        detector = sender.detector
        before = self.delivered
        end = sender.now + seconds
        while True:
            while detector.take_probe(APPLICATION) or (
                sending and detector._paths[0].send_budget(sender.now) > 0
            ):
                self._send()
            ack_at = self._acks[0][0] if self._acks else end
            timer_at = detector.next_deadline()
            at = min(ack_at, timer_at)
            if sending:
                at = min(at, detector._paths[0].pacer_deadline(sender.now))
            if at >= end:
                sender.now = end
                return (self.delivered - before) * SIZE / (self.rate * seconds)
            sender.now = at
            if ack_at <= at:
                self.delivered += sender.ack(*self._acks.popleft()[1])
            elif timer_at <= at:
                detector.on_deadline(at)

    def _send(self) -> None:
        (number,) = self.sender.send()
        start = max(self._free_at, self.sender.now)
        if start - self.sender.now > self.queue:
            return
        self._free_at = start + SIZE / self.rate
        self._waiting.append(number)
        if len(self._waiting) == ACK_EVERY:
            self._acks.append((self._free_at + self.rtt, self._waiting))
            self._waiting = []
