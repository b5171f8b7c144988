"""All paths of a connection: which there are, how they come and go (RFC 9000 section 9).

A path gets a connection ID of its own or does not come to be; one that is given up leaves the
ledger of sent packets whole. How a path is validated (`prober.py`), how the connection moves
(`mover.py`) and whether the active path answers (`watch.py`) are other files' business.
"""

from collections.abc import Callable
from typing import Final

from ..cid.ids import ConnectionIds
from ..config import CoreConfig
from ..events import ConnectionIdsAvailable, Event, PathMisled, PathReset
from ..facts import NO_PATH, ConnectionFacts
from ..recovery.loss import LossDetector
from ..wire.frames import NewConnectionId
from .life import PathLife
from .mtu import MtuSearch
from .path import Address, NetworkPath
from .precedence import Precedence
from .preferred import PreferredAddress
from .refusal import PathRefusedError, Refusal
from .rules import PathRules
from .state import RoleInput
from .view import PathView, view_of

MOST_PATHS: Final = 8
_REMEMBERED: Final = 16


class PathTable:
    def __init__(
        self,
        facts: ConnectionFacts,
        config: CoreConfig,
        ids: ConnectionIds,
        loss: LossDetector,
        rng: Callable[[int], bytes],
        events: list[Event],
    ) -> None:
        self._facts = facts
        self._spin_bit = config.spin_bit
        self._ids = ids
        self._loss = loss
        self._rng = rng
        self._events = events
        self.preferred = PreferredAddress(config.use_preferred_address, events)
        self.rules = PathRules(facts, ids, self.preferred)
        self._next_id = 0
        self._live: dict[int, NetworkPath] = {}
        self._abandoned: dict[int, PathView] = {}
        self.precedence = Precedence(facts, self._live, ids.own, config.max_ack_delay)

    # -- what is there -----------------------------------------------------------------------------

    def get(self, path_id: int) -> NetworkPath | None:
        """The live path of this number, or None."""
        return self._live.get(path_id)

    def require(self, path_id: int) -> NetworkPath:
        """The live path of this number; PathRefusedError if it is none."""
        path = self._live.get(path_id)
        if path is None:
            raise PathRefusedError(Refusal.ABANDONED)
        return path

    def live(self) -> list[NetworkPath]:
        """All paths that are not abandoned."""
        return list(self._live.values())

    @property
    def several(self) -> bool:
        """Whether packets may come over more than one path."""
        return len(self._live) > 1

    def active_path(self) -> NetworkPath | None:
        """The path that carries the connection, None while there is none."""
        return self._live.get(self._facts.active_path)

    def view(self, path_id: int) -> PathView:
        """A snapshot of a path; of an abandoned one its last, as long as it is remembered."""
        path = self._live.get(path_id)
        if path is None:
            return self._abandoned[path_id]
        return view_of(path, has_id=self._ids.peer.for_path(path_id) is not None)

    def ids_with_remote(self, remote: Address) -> list[int]:
        """Numbers of the paths to one server address."""
        return [p.path_id for p in self._live.values() if p.remote == remote]

    # -- coming and going --------------------------------------------------------------------------

    def add_first(
        self, local: Address | None, remote: Address, interface_mtu: int, now: float
    ) -> NetworkPath:
        """The path of the handshake: active from the beginning."""
        self.rules.on_first_path(local, remote)
        path = self._create(local, remote, interface_mtu)
        path.life.on_activated(now)
        # section 8.1: the handshake validates the client's address
        path.amplification.on_validated()
        self._facts.on_active_path(path.path_id)
        return path

    def add(self, local: Address | None, remote: Address, interface_mtu: int) -> int:
        """A new candidate with a connection ID of its own; PathRefusedError when that cannot be."""
        self.rules.check_new_path(local, remote)
        if len(self._live) >= MOST_PATHS:
            raise PathRefusedError(Refusal.TOO_MANY_PATHS)
        if not self._ids.peer.bind(self._next_id):
            raise PathRefusedError(Refusal.NO_SPARE_ID)
        return self._create(local, remote, interface_mtu).path_id

    def _create(self, local: Address | None, remote: Address, interface_mtu: int) -> NetworkPath:
        path_id = self._next_id
        self._next_id += 1
        search = MtuSearch(":" in remote[0], interface_mtu, self._facts.largest_datagram)
        recovery = self._loss.add_path(path_id)
        life = PathLife(path_id, self._facts)
        path = NetworkPath(life, (local, remote), recovery, search, self._rng, self._spin_bit)
        self._live[path_id] = path
        if self._facts.observer is not None:
            peer_id = self._ids.peer.for_path(path_id) or b""
            self._facts.observer.path_added(path_id, local, remote, peer_id)
        return path

    def abandon(self, path_id: int, now: float) -> None:
        """Give the path up: its ID is retired, what was in flight on it is sent elsewhere."""
        path = self._live.pop(path_id, None)
        if path is None:
            return
        path.attempt.stop()
        path.life.on_role(RoleInput.ABANDON)
        self.on_probe_over(path)
        self._abandoned[path_id] = view_of(path, has_id=False)
        while len(self._abandoned) > _REMEMBERED:
            del self._abandoned[next(iter(self._abandoned))]
        if self._facts.active_path == path_id:
            self._facts.on_active_path(NO_PATH)
        self._loss.remove_path(path_id, now)
        self._ids.peer.release(path_id)
        self._ids.own.on_path_gone(path_id)

    def on_probe_over(self, path: NetworkPath) -> None:
        """A path was probed in vain, or is gone."""
        remote = path.remote
        if not any(p.attempt.running for p in self._live.values() if p.remote == remote):
            self.preferred.on_unanswered(remote)

    def on_complete(self) -> None:
        """The server has said how large its datagrams may be."""
        for path in self._live.values():
            path.search.restrict(self._facts.largest_datagram)

    def on_confirmed(self, path_id: int, now: float) -> None:
        """The handshake, which was made on this path, is confirmed."""
        path = self._live.get(path_id)
        if path is not None:
            path.life.on_shown(now)
        peer = self._facts.peer
        offer = None if peer is None else peer.preferred_address
        self.preferred.on_confirmed(offer, self.rules.handshake_remote)

    def on_undecryptable(self, path: NetworkPath) -> None:
        """What came in on a path cannot be opened. On one in doubt it may be the answer of somebody
        who does not know the connection, such as another worker of the server."""
        if path.life.doubtful and not path.stranger:
            path.on_undecryptable()
            self.precedence.on_stranger(path)
            self._events.append(PathMisled(path_id=path.path_id))

    def on_reset(self, path_ids: list[int], now: float) -> bool:
        """A stateless reset for the IDs of these paths (section 10.3.1). False: it ends more.

        A probe may reach somebody who does not know the connection: a worker that the kernel chose
        by the new port, or a server behind a load balancer that goes by addresses. That says
        nothing about the active path, whose ID has another token. The same holds where the
        connection moved to a path before that was proven, as long as there is another way to try;
        there are as many as there are IDs, so a server that really forgot is soon believed."""
        for path_id in path_ids:
            path = self._live.get(path_id)
            if path_id == self._facts.active_path and path is not None and not path.life.doubtful:
                return False
        if self._ids.peer.spare == 0 and len(self._live) <= len(path_ids):
            return False
        for path_id in path_ids:
            reset = self._live.get(path_id)
            if reset is not None:
                self.precedence.on_stranger(reset)
            self.abandon(path_id, now)
            self._events.append(PathReset(path_id=path_id))
        return True

    def on_new_connection_id_untrusted(self, frame: NewConnectionId) -> None:
        """A new ID may make a path possible that was refused before."""
        peer_ids = self._ids.peer
        before = peer_ids.spare
        in_use = [peer_ids.for_path(path_id) for path_id in self._live]
        peer_ids.on_new_connection_id_untrusted(frame, self._facts.active_path)
        for path, old in zip(self._live.values(), in_use, strict=True):
            if peer_ids.for_path(path.path_id) != old:
                path.spin.on_new_id(self._rng(1)[0])
        if peer_ids.spare > before:
            self._events.append(ConnectionIdsAvailable(spare=peer_ids.spare))
