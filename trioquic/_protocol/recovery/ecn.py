"""Explicit congestion notification for what we send (RFC 9000 section 13.4.2, appendix A.4).

Each path begins by marking its first packets ECT(0). An ACK whose counts fit what was marked shows
that the path carries marks. Counts that cannot be, or no counts for marked packets, turn marking
off on the path for good.

A network may drop what is marked, and may begin to do so when routes change. So a PTO while testing
ends the test, and repeated silence, of PTOs or of challenges, stops marking whatever was known. The
acknowledgement of a marked packet that was only late confirms the path again.

The peer counts per packet-number space, over all paths, so the arithmetic is done once a space
(`EcnCounts`). It says how many marks are missing of the packets that an ACK names. Where these are
of several paths nobody knows which of them took the marks off, so a path fails only if the packets
of all the others cannot be the reason, and the next ACKs are waited for otherwise.
"""

from typing import Final

from ..machine import Label, advance

ECT_0: Final = 2  # the codepoint in the IP header
TEST_PACKETS: Final = 10


class EcnState(Label):
    """What is known about marks on one path."""

    TESTING = "testing"
    WAITING = "waiting"  # the test is over, its result is not in
    CAPABLE = "capable"
    FAILED = "failed"


class EcnInput(Label):
    STOP = "stop"
    DOUBT = "doubt"
    CONFIRM = "confirm"
    REFUTE = "refute"


TABLE: Final[dict[tuple[EcnState, EcnInput], EcnState]] = {
    (EcnState.TESTING, EcnInput.STOP): EcnState.WAITING,
    (EcnState.WAITING, EcnInput.STOP): EcnState.WAITING,
    (EcnState.CAPABLE, EcnInput.STOP): EcnState.CAPABLE,
    (EcnState.FAILED, EcnInput.STOP): EcnState.FAILED,
    (EcnState.TESTING, EcnInput.DOUBT): EcnState.WAITING,
    (EcnState.WAITING, EcnInput.DOUBT): EcnState.WAITING,
    (EcnState.CAPABLE, EcnInput.DOUBT): EcnState.WAITING,
    (EcnState.FAILED, EcnInput.DOUBT): EcnState.FAILED,
    (EcnState.TESTING, EcnInput.CONFIRM): EcnState.CAPABLE,
    (EcnState.WAITING, EcnInput.CONFIRM): EcnState.CAPABLE,
    (EcnState.CAPABLE, EcnInput.CONFIRM): EcnState.CAPABLE,
    (EcnState.FAILED, EcnInput.CONFIRM): EcnState.FAILED,
    (EcnState.TESTING, EcnInput.REFUTE): EcnState.FAILED,
    (EcnState.WAITING, EcnInput.REFUTE): EcnState.FAILED,
    (EcnState.CAPABLE, EcnInput.REFUTE): EcnState.FAILED,
    (EcnState.FAILED, EcnInput.REFUTE): EcnState.FAILED,
}


class EcnValidator:
    """Whether one path's packets should be marked. `codepoint` is for the next packet."""

    def __init__(self) -> None:
        self.state = EcnState.TESTING
        self.codepoint: int = ECT_0
        self._marked = 0

    def advance(self, event: EcnInput) -> None:
        self.state = advance(TABLE, self.state, event)
        marking = self.state is EcnState.TESTING or self.state is EcnState.CAPABLE
        self.codepoint = ECT_0 if marking else 0

    def on_marked_sent(self) -> None:
        """A marked packet went out; a few of them are enough for the test."""
        self._marked += 1
        if self._marked == TEST_PACKETS:
            self.advance(EcnInput.STOP)


class EcnCounts:
    """The peer's counts of one space against what we marked there."""

    def __init__(self) -> None:
        self.marked = 0  # packets sent as ECT(0)
        self.rise = 0  # of the CE count, with the last ACK
        self._ect_0 = 0
        self._ect_1 = 0
        self._ce = 0

    def missing_untrusted(self, newly: int, counts: tuple[int, int, int] | None) -> int:
        """Of how many packets the mark did not arrive as it was sent (section 13.4.2.1), of
        `newly` marked ones that are acknowledged by this ACK, which raises the largest number; all
        of them, if the counts cannot be."""
        self.rise = 0
        if counts is None:
            return newly
        ect_0, ect_1, ce = counts
        fallen = ect_0 < self._ect_0 or ect_1 < self._ect_1 or ce < self._ce
        if fallen or ect_0 + ce > self.marked:
            return newly
        self.rise = ce - self._ce
        arrived = ect_0 - self._ect_0 + self.rise
        # ECT(1) was never sent
        missing = max(newly - arrived, ect_1 - self._ect_1, 0)
        self._ect_0 = ect_0
        self._ect_1 = ect_1
        self._ce = ce
        return missing
