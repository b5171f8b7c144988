"""The policy: the knobs, and the decisions that follow from them."""

from dataclasses import dataclass

from ._actions import Decision
from ._decide import decide
from ._knobs import Knobs
from ._views import PolicyEvent, View


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPolicy(Knobs):
    """The knobs of migration (RFC 9000 section 9), and the decisions that follow from them.

    Times are seconds. A PTO is the probe timeout of RFC 9002 section 6.2: about the round trip and
    four times its variation, 1 s before one was measured, and each in a row twice the one before.
    """

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        """What to do. Pure: the same arguments give the same decision. Called after every event,
        and at the time the last decision asked for; it must not block."""
        return decide(self, view, now)
