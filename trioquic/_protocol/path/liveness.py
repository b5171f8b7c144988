"""Notices that the peer has fallen silent although data is expected.

A client that only receives has nothing in flight whose loss it could notice, so the death of its
path would go unseen until the idle timeout. While a stream expects data and nothing arrives for
longer than the path's recent rhythm explains, two PINGs are due; what becomes of them is then a
matter of the PTO (RFC 9002 section 6.2).

The rhythm: a quarter more than the round trip, or than the recent gap between packets, but no more
than two PTOs, so that a path's death is noticed within three. Asking in vain costs two small
packets, asking late costs the whole connection's time. Who waits long for an answer (a long poll)
is asked less often, at a quarter of the time that has passed since there was data.
"""

from math import inf
from typing import Final

_PATIENCE: Final = 1.25
_DECAY: Final = 0.875
_SHARE_OF_WAITING: Final = 0.25


class Liveness:
    def __init__(self) -> None:
        self._heard_at = inf
        self._data_at = inf
        self._asked_at = -inf
        self._gap = 0.0
        self._armed = False

    def on_received(self, now: float, data: bool) -> None:
        """Packets came in; `data`: with something that asks for an acknowledgement."""
        if data:
            if self._data_at < inf:
                self._gap = max(now - self._data_at, _DECAY * self._gap)
            self._data_at = now
        self._heard_at = now
        self._armed = True

    def on_request(self, now: float) -> None:
        """The application sent something that may be answered: waiting begins anew."""
        self._data_at = now
        self._asked_at = now
        self._gap = 0.0
        self._armed = True
        if self._heard_at == inf:
            self._heard_at = now

    def deadline(self, rtt: float, pto: float) -> float:
        """When silence becomes suspicious; never, if nobody is waiting."""
        if not self._armed:
            return inf
        patience = min(_PATIENCE * max(rtt, self._gap), 2.0 * pto)
        waited = self._heard_at - self._data_at
        since = max(self._heard_at, self._asked_at)
        return since + max(patience, _SHARE_OF_WAITING * waited)

    def disarm(self) -> None:
        """Asked, or nobody expects anything: the next packet arms it again."""
        self._armed = False
