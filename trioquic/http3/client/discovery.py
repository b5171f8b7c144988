"""Where an origin's HTTP/3 is, as far as this client knows.

Two memories, both bounded: what origins have said of themselves in Alt-Svc fields (RFC 7838), and
which places did not answer. Whoever sends a request asks for a place, and tells what came of it.

A place that failed is left alone for a while, which doubles each time it fails again. After that it
is tried once more, but no request waits for it until it has worked.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from ..fields import ResponseHead
from ..url import Origin, host_and_port
from .alt_svc import parse_alt_svc

MISDIRECTED: Final = 421
"""Not served here (RFC 9110 section 15.5.20)."""

Mode: TypeAlias = Literal["direct", "alt-svc", "only"]

# How long a place that does not answer is left alone, in seconds: the first time, and at most
_LEAST_PAUSE: Final = 10.0
_MOST_PAUSE: Final = 300.0
# So many origins are remembered, the least recently used is forgotten; and so many places
_MOST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A place where an origin may speak HTTP/3. Connections to it are for this origin only."""

    origin: Origin
    host: str
    port: int
    server_name: str
    """What the certificate must name: the origin's host, wherever it is (RFC 7838 section 2.1)."""

    @property
    def is_origin(self) -> bool:
        """Whether this is where the URL itself points."""
        return (self.host, self.port) == self.origin

    @property
    def authority(self) -> str:
        return host_and_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class _Known:
    place: tuple[str, int]
    persist: bool
    expiry: float


@dataclass(frozen=True, slots=True)
class _Broken:
    until: float
    pause: float


class Discovery:
    """The two memories and the rules over them.

    `mode` "direct": an origin that has said nothing is expected to speak HTTP/3 where its URL
    points; "alt-svc": it is not; "only": it is, and there is nothing else. `other_hosts` False
    believes an origin nothing about other hosts than its own.
    """

    def __init__(self, mode: Mode, *, other_hosts: bool) -> None:
        self._mode = mode
        self._other_hosts = other_hosts
        self._known: OrderedDict[Origin, tuple[_Known, ...]] = OrderedDict()
        # A server that is asked under another name may have no certificate for it, which says
        # nothing of those who ask under the origin's: the name is a part of the endpoint.
        self._broken: OrderedDict[Endpoint, _Broken] = OrderedDict()

    def find(
        self, origin: Origin, server_name: str, now: float, tried: Collection[Endpoint] = ()
    ) -> Endpoint | None:
        """Where to try HTTP/3 beside what was `tried`; None: nowhere at the moment."""
        if origin in self._known:
            self._known.move_to_end(origin)
        place = partial(Endpoint, origin=origin, server_name=server_name)
        for known in self._known.get(origin, ()):
            there = place(host=known.place[0], port=known.place[1])
            if now < known.expiry and there not in tried and not self._is_broken(there, now):
                return there
        own = place(host=origin.host, port=origin.port)
        if self._mode == "alt-svc" or own in tried:
            return None
        return None if self._mode == "direct" and self._is_broken(own, now) else own

    def _is_broken(self, endpoint: Endpoint, now: float) -> bool:
        broken = self._broken.get(endpoint)
        return broken is not None and now < broken.until

    def learn(self, origin: Origin, values: Iterable[str], age: float, now: float) -> None:
        """A response of the origin had these Alt-Svc fields, and was `age` seconds old: they
        replace what the origin has said before (RFC 7838 section 3.1)."""
        alternatives = parse_alt_svc(values)
        if alternatives is not None:
            known = [
                _Known((one.host or origin.host, one.port), one.persist, now + one.max_age - age)
                for one in alternatives
                if self._other_hosts or one.host in ("", origin.host)
            ]
            self._keep(origin, known)

    def _keep(self, origin: Origin, known: Iterable[_Known]) -> None:
        """That is all that is known of it now."""
        kept = tuple(known)
        self._known.pop(origin, None)
        if kept:
            self._known[origin] = kept
            _shorten(self._known)

    def heard(self, origin: Origin, head: ResponseHead, now: float) -> None:
        """What a response says of the origin's places."""
        values = [value.decode("latin-1") for name, value in head.headers if name == b"alt-svc"]
        if values and head.status != MISDIRECTED:
            age = head.header("age")
            seconds = float(age) if age and age.isascii() and age.isdigit() else 0.0
            self.learn(origin, values, seconds, now)

    def misdirected(self, endpoint: Endpoint) -> None:
        """The alternative says that it does not serve this origin: 421 (RFC 7838 section 6)."""
        known, place = self._known.get(endpoint.origin, ()), (endpoint.host, endpoint.port)
        self._keep(endpoint.origin, [one for one in known if one.place != place])

    def is_doubtful(self, endpoint: Endpoint) -> bool:
        """Whether it has failed, and has not worked since."""
        return endpoint in self._broken

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """No HTTP/3 connection could be made there."""
        before = self._broken.pop(endpoint, None)
        pause = _LEAST_PAUSE if before is None else min(2 * before.pause, _MOST_PAUSE)
        self._broken[endpoint] = _Broken(now + pause, pause)
        _shorten(self._broken)

    def worked(self, endpoint: Endpoint) -> None:
        """There is a connection."""
        self._broken.pop(endpoint, None)

    def forgive(self, origin: Origin) -> None:
        """Nothing else of the origin's can be reached either: the network is at fault."""
        for endpoint in [one for one in self._broken if one.origin == origin]:
            del self._broken[endpoint]

    def network_changed(self) -> None:
        """What was so on another network need not be so here (RFC 7838 section 2.2)."""
        self._broken.clear()
        for origin, known in list(self._known.items()):
            self._keep(origin, [one for one in known if one.persist])


def _shorten(memory: OrderedDict[Any, Any]) -> None:
    if len(memory) > _MOST:
        memory.popitem(last=False)
