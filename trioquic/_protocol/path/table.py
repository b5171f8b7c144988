"""All paths of a connection: added, validated, migrated to, abandoned (RFC 9000 section 9).

The table keeps the rules of section 9 together: a path gets a connection ID of its own or does not
come to be, a response validates the path its challenge was sent on whichever way it came, a failed
path fails alone, and moving the connection leaves the ledger of sent packets whole.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from ..cid.own import OwnIds
from ..cid.peer import PeerIds
from ..events import (
    ConnectionIdsAvailable,
    Event,
    Migrated,
    PathAnswering,
    PathDegraded,
    PathFailed,
    PathMisled,
    PathRecovered,
    PathReset,
    PathSilent,
    PathValidated,
    ServerMoved,
)
from ..observer import Observer
from ..recovery.loss import LossDetector
from ..wire.frames import NewConnectionId
from .drift import Drift
from .mtu import MtuSearch
from .path import Address, Path, PathView
from .refusal import PathRefusedError, Refusal
from .rules import PathRules
from .silence import Silence
from .state import PathInput, PathState
from .validation import INITIAL_PTO

MOST_PATHS: Final = 8
_REMEMBERED: Final = 16
# On a fast path a server that was busy for a moment is no reason to leave, seconds.
_SHORTEST_SILENCE: Final = 0.05


class PathTable:
    """The live paths by number, and which of them carries the connection."""

    def __init__(
        self,
        loss: LossDetector,
        peer_ids: PeerIds,
        own_ids: OwnIds,
        rules: PathRules,
        rng: Callable[[int], bytes],
        events: list[Event],
    ) -> None:
        self._loss = loss
        self._peer_ids = peer_ids
        self._own_ids = own_ids
        self._rules = rules
        self._rng = rng
        self._events = events
        self._next_id = 0
        self._live: dict[int, Path] = {}
        self._abandoned: dict[int, PathView] = {}
        self.active = -1
        # a PING must go out on the active path, so that the server sees the move (section 9.2)
        self.ping_needed = False
        # the next packet must say again what was received: the last ACK went out on the old path,
        # perhaps into nothing, and a peer that hears nothing of its losses waits for its own PTO
        self.ack_needed = False
        # the first packet after a move has not come yet
        self._arriving = False
        self.drift = Drift()
        self.silence = Silence(events)
        self.unmatched_responses = 0
        self.observer: Observer | None = None

    # -- what is there -----------------------------------------------------------------------------

    def get(self, path_id: int) -> Path | None:
        """The live path of this number, or None."""
        return self._live.get(path_id)

    def live(self) -> list[Path]:
        """All paths that are not abandoned."""
        return list(self._live.values())

    @property
    def several(self) -> bool:
        """Whether packets may come over more than one path."""
        return len(self._live) > 1

    def active_path(self) -> Path | None:
        """The path that carries the connection, None while there is none."""
        return self._live.get(self.active)

    def view(self, path_id: int) -> PathView:
        """A snapshot of a path; of an abandoned one its last, as long as it is remembered."""
        path = self._live.get(path_id)
        return self._abandoned[path_id] if path is None else path.view(self._loss.max_ack_delay)

    def ids_with_remote(self, remote: Address) -> list[int]:
        """Numbers of the paths to one server address."""
        return [p.path_id for p in self._live.values() if p.remote == remote]

    # -- coming and going --------------------------------------------------------------------------

    def add_first(self, local: Address | None, remote: Address, interface_mtu: int) -> Path:
        """The path of the handshake: active from the beginning."""
        self._rules.handshake_local = local
        self._rules.handshake_remote = remote
        self._rules.proven_remotes.add(remote)
        path = self._create(local, remote, interface_mtu)
        path.advance(PathInput.ACTIVATE)
        path.carried = True
        # section 8.1: the handshake validates the client's address
        path.trusted = True
        self.active = path.path_id
        self._loss.active_path = path.path_id
        return path

    def add(self, local: Address | None, remote: Address, interface_mtu: int) -> int:
        """A new candidate with a connection ID of its own; PathRefusedError when that cannot be."""
        self._rules.check_new_path(local, remote, self._peer_ids.zero_length)
        if len(self._live) >= MOST_PATHS:
            raise PathRefusedError(Refusal.TOO_MANY_PATHS)
        if not self._peer_ids.bind(self._next_id):
            raise PathRefusedError(Refusal.NO_SPARE_ID)
        return self._create(local, remote, interface_mtu).path_id

    def _create(self, local: Address | None, remote: Address, interface_mtu: int) -> Path:
        path_id = self._next_id
        self._next_id += 1
        search = MtuSearch(":" in remote[0], interface_mtu, self._rules.largest_datagram)
        recovery = self._loss.add_path(path_id)
        spin_bit = self._rules.spin_bit
        path = Path(path_id, local, remote, recovery, search, self._rng, spin_bit)
        self._live[path_id] = path
        if self.observer is not None:
            path.observer = self.observer
            peer_id = self._peer_ids.for_path(path_id) or b""
            self.observer.path_added(path_id, local, remote, peer_id)
        return path

    def abandon(self, path_id: int, now: float, reason: str) -> None:
        """Give the path up: its ID is retired, what was in flight on it is sent elsewhere."""
        path = self._live.pop(path_id, None)
        if path is None:
            return
        path.validation.stop()
        path.advance(PathInput.ABANDON)
        self._abandoned[path_id] = path.view(self._loss.max_ack_delay)
        while len(self._abandoned) > _REMEMBERED:
            del self._abandoned[next(iter(self._abandoned))]
        if self.active == path_id:
            self.active = -1
            self._loss.active_path = -1
        self._loss.remove_path(path_id, now)
        self._peer_ids.release(path_id)
        self._own_ids.on_path_gone(path_id)
        self._events.append(PathFailed(path_id=path_id, reason=reason))

    # -- somebody who does not know the connection -------------------------------------------------

    def on_stranger(self, path: Path) -> None:
        """What came in on a path cannot be opened. On one in doubt it may be the answer of somebody
        who does not know the connection, such as another worker of the server."""
        if path.doubtful and not path.stranger:
            path.stranger = True
            self._events.append(PathMisled(path_id=path.path_id))

    def may_outlive_reset(self, path_ids: list[int]) -> bool:
        """Whether a stateless reset for the IDs of these paths ends them alone (section 10.3.1).

        A probe may reach somebody who does not know the connection: a worker that the kernel chose
        by the new port, or a server behind a load balancer that goes by addresses. That says
        nothing about the active path, whose ID has another token. The same holds where the
        connection moved to a path before that was proven, as long as there is another way to try;
        there are as many as there are IDs, so a server that really forgot is soon believed."""
        for path_id in path_ids:
            path = self._live.get(path_id)
            if path_id == self.active and path is not None and not path.doubtful:
                return False
        return self._peer_ids.spare > 0 or len(self._live) > len(path_ids)

    def on_reset(self, path_id: int, now: float) -> None:
        """A stateless reset ends this path."""
        self._events.append(PathReset(path_id=path_id))
        self.abandon(path_id, now, "a stateless reset: who answers does not know the connection")

    # -- validation --------------------------------------------------------------------------------

    def validate(self, path_id: int, now: float) -> None:
        """Start sending challenges; PathValidated or PathFailed follows (section 8.2)."""
        path = self._require(path_id)
        if path_id != self.active and not self._rules.confirmed:
            # Section 9: nothing goes out on another path before; this one was left for none.
            raise PathRefusedError(Refusal.NOT_CONFIRMED)
        if self._peer_ids.for_path(path_id) is None:
            raise PathRefusedError(Refusal.NO_SPARE_ID)
        path.advance(PathInput.PROBE)
        active = self.active_path()
        pto = INITIAL_PTO if active is None else active.recovery.rtt.pto(self._loss.max_ack_delay)
        path.validation.start(now, pto)

    def stop_validation(self, path_id: int) -> None:
        """The caller lost interest: no further challenge, and no event."""
        path = self._live.get(path_id)
        if path is not None and path.validation.running:
            path.validation.stop()
            if path.state is PathState.PROBING:
                path.advance(PathInput.FAIL)

    def on_response_untrusted(self, data: bytes, now: float) -> None:
        """PATH_RESPONSE: any outstanding challenge of any path may match (section 8.2.3)."""
        for path in self._live.values():
            sent_at = path.validation.match(data)
            if sent_at >= 0:
                self._on_validated(path, now - sent_at, now)
                return
        self.unmatched_responses += 1

    def _on_validated(self, path: Path, rtt: float, now: float) -> None:
        path.validation.stop()
        path.proven = True
        path.validations += 1
        path.probed_rtt = rtt
        self._rules.proven_remotes.add(path.remote)
        if path.path_id != self.active or not path.recovery.rtt.has_sample:
            # A path that carries nothing has no other samples.
            path.recovery.rtt.update(rtt, 0.0, now)
        # It carries packets both ways: the silence before that is over.
        path.recovery.pto_count = 0
        degraded = path.state is PathState.DEGRADED
        path.advance(PathInput.RESPONSE)
        self._events.append(PathValidated(path_id=path.path_id, rtt=rtt))
        if degraded:
            self._events.append(PathRecovered(path_id=path.path_id))

    # -- moving ------------------------------------------------------------------------------------

    def migrate(self, path_id: int, now: float, unvalidated: bool = False) -> None:
        """The connection moves to this path (section 9.2).

        `unvalidated` allows to move first and validate at the same time, which section 9.2 permits
        for a new local address to a known server address, and section 9.6.2 does not for a new
        server address."""
        path = self._require(path_id)
        if path_id == self.active:
            return
        if not self._rules.confirmed:
            raise PathRefusedError(Refusal.NOT_CONFIRMED)
        unvalidated &= path.remote in self._rules.proven_remotes
        if path.state is not PathState.VALIDATED and not unvalidated:
            raise PathRefusedError(Refusal.NOT_VALIDATED)
        if self._peer_ids.for_path(path_id) is None:
            raise PathRefusedError(Refusal.NO_SPARE_ID)
        if path.doubtful and self._own_ids.unused < 1:
            # Section 5.1.1: it could not answer there. On a proven path it has already answered.
            raise PathRefusedError(Refusal.NO_SPARE_OWN_ID)
        old_id = self.active
        old = self.active_path()
        # nothing got lost on a path that answers
        left_well = old is not None and old.recovery.pto_count == 0
        if old_id < 0:
            self.silence.on_first_path(now)
        self._leave_active(now)
        path.advance(PathInput.ACTIVATE)
        self.active = path_id
        self._loss.active_path = path_id
        if path.carried:
            # What was learnt then says nothing about now (section 9.4); what was probed since does.
            path.restart_size()
            self._loss.reset_path(path_id)
            if path.probed_rtt >= 0.0:
                path.recovery.rtt.update(path.probed_rtt, 0.0, now)
        path.carried = True
        if not left_well:
            path.lost_before_at = now
        if path.remote != self._rules.handshake_remote:
            # Section 9: from now on migration is allowed even where the server had disabled it.
            self._rules.acted_on_preferred = True
        # probes that got lost before are no reason to be slow now
        path.recovery.pto_count = 0
        self.ping_needed = True
        self.ack_needed = True
        self._arriving = True
        self.drift.on_moved(now)
        self._events.append(Migrated(old=old_id, new=path_id))

    def resume(self, now: float) -> None:
        """The active path's network is back after it was gone: send at once what got lost, and have
        the server see that; neither side's PTO has backed off for a reason that still holds."""
        path = self.active_path()
        if path is not None:
            self._loss.requeue_path(path.path_id, now)
            path.recovery.pto_count = 0
            self.silence.on_first_path(now)
            self.ping_needed = True
            self.ack_needed = True
            self._arriving = True

    def suspend(self, now: float) -> None:
        """Leave the active path for none: its network is gone, and it may be back one day. What was
        in flight is sent elsewhere."""
        old = self.active_path()
        if old is not None:
            self._loss.requeue_path(old.path_id, now)
            self._leave_active(now)
            old.validation.stop()
            if old.state is PathState.PROBING:
                old.advance(PathInput.FAIL)
            self.active = -1
            self._loss.active_path = -1

    def _leave_active(self, now: float) -> None:
        old = self.active_path()
        if old is None:
            return
        old.probed_rtt = -1.0
        old.silent = False
        silent = old.state is PathState.DEGRADED or old.recovery.pto_count > 0
        if silent:
            # Nothing answers there: do not wait for its backed-off PTO to send the data again.
            self._loss.requeue_path(old.path_id, now)
        old.advance(PathInput.DROP_BACK if silent or not old.proven else PathInput.STAND_BY)
        if old.state is PathState.CANDIDATE and old.validation.running:
            # it was being validated while it was active, and still is
            old.advance(PathInput.PROBE)

    def on_heard(self, path: Path, now: float) -> None:
        """Authentic packets came in on a path."""
        path.heard_at = now
        active = self.active_path()
        if path is active:
            self.drift.on_active(path.largest_received)
        self.silence.on_heard(now, active is not None and active.recovery.awaits_acks)
        if self._arriving and path.path_id == self.active:
            # What the server had under way on the old path may be lost, and it can know that only
            # from the acknowledgement of something newer, such as this. Said once, with a PING, it
            # need not wait for its PTO (section 13.2.1 allows no bare ACK of an ACK).
            self._arriving = False
            self.ping_needed = True
            self.ack_needed = True

    def on_stray(self, path: Path, number: int, now: float) -> None:
        """A packet that is more than a probe came in on a path that is not active."""
        active = self.active_path()
        if active is None or not self._rules.confirmed:
            return
        pto = max(active.recovery.rtt.pto(self._loss.max_ack_delay), _SHORTEST_SILENCE)
        if self.drift.on_stray(
            path.path_id, number, active.largest_received, not self._arriving, now, pto
        ):
            self._events.append(ServerMoved(path_id=path.path_id))

    def _unheard_from(self, path: Path) -> float:
        # A lost PING is no silence as long as other packets come in.
        pto = path.recovery.rtt.pto(self._loss.max_ack_delay)
        return path.heard_at + max(pto, _SHORTEST_SILENCE)

    def _longest_pto(self, active: Path) -> float:
        """Of the active path, and of others that may be asked when that is silent."""
        longest = _SHORTEST_SILENCE
        for path in self._live.values():
            if path is active or path.state is PathState.VALIDATED:
                longest = max(longest, path.recovery.rtt.pto(self._loss.max_ack_delay))
        return longest

    def judge_active(self, now: float) -> None:
        """Notice that the active path fell silent, or all of them, or that they answer again."""
        path = self.active_path()
        if path is None:
            return
        if self.silence.lasts(now):
            self.silence.judge(now, self._longest_pto(path))
        path.judge_size(now)
        count = path.recovery.pto_count
        silent = count >= self._rules.degraded_after or (
            count > 0 and now >= self._unheard_from(path)
        )
        if self._rules.confirmed and path.silent != silent:
            path.silent = silent
            number = path.path_id
            self._events.append(
                PathSilent(path_id=number) if path.silent else PathAnswering(path_id=number)
            )
        degraded = count >= self._rules.degraded_after and self._rules.confirmed
        if path.state is PathState.ACTIVE and degraded:
            path.advance(PathInput.DEGRADE)
            self._events.append(PathDegraded(path_id=path.path_id, pto_count=count))
        elif path.state is PathState.DEGRADED and count == 0:
            path.advance(PathInput.RECOVER)
            self._events.append(PathRecovered(path_id=path.path_id))

    # -- the peer's IDs ----------------------------------------------------------------------------

    def on_new_connection_id_untrusted(self, frame: NewConnectionId) -> None:
        """A new ID may make a path possible that was refused before."""
        before = self._peer_ids.spare
        in_use = [self._peer_ids.for_path(path_id) for path_id in self._live]
        self._peer_ids.on_new_connection_id_untrusted(frame, self.active)
        for path, old in zip(self._live.values(), in_use, strict=True):
            if self._peer_ids.for_path(path.path_id) != old:
                # section 17.4: the spin bit starts anew with the ID
                path.spin = 0
        if self._peer_ids.spare > before:
            self._events.append(ConnectionIdsAvailable(spare=self._peer_ids.spare))

    # -- time --------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When a challenge is to be repeated, a validation given up, or silence noticed."""
        deadline = inf
        active = self.active_path()
        if active is not None and self.silence.lasts(inf):
            deadline = self.silence.deadline(self._longest_pto(active))
        unsure = active is not None and active.recovery.pto_count > 0 and not active.silent
        if active is not None and unsure and self._rules.confirmed:
            deadline = min(deadline, self._unheard_from(active))
        for path in self._live.values():
            validation = path.validation
            if self._peer_ids.for_path(path.path_id) is None:
                # it cannot send a challenge, only give up
                deadline = min(deadline, validation.give_up_at)
            else:
                deadline = min(deadline, path.probe_deadline())
        return deadline

    def on_deadline(self, now: float) -> None:
        """Give up what has waited too long; challenges are sent by `transmit`."""
        for path in self._live.values():
            if path.validation.running and now >= path.validation.give_up_at:
                reason = self._why_unanswered(path)
                path.validation.stop()
                if path.path_id != self.active or path.recovery.pto_count:
                    # The active path may well work: then what else it carries is acknowledged.
                    healthy = path.state is PathState.ACTIVE
                    path.advance(PathInput.FAIL)
                    if healthy and path.state is PathState.DEGRADED:
                        count = path.recovery.pto_count
                        self._events.append(PathDegraded(path_id=path.path_id, pto_count=count))
                self._events.append(PathFailed(path_id=path.path_id, reason=reason))

    def _why_unanswered(self, path: Path) -> str:
        """Why a validation that takes no longer came to nothing. Who was not asked did not fail to
        answer. A challenge goes out as soon as it can, so what is in its way now always was."""
        if path.validation.outstanding:
            return "no answer to PATH_CHALLENGE"
        if self._peer_ids.for_path(path.path_id) is None:
            return "no connection ID to send PATH_CHALLENGE with"
        if not path.admits_probe():
            return "no room in the congestion window for PATH_CHALLENGE"
        return "PATH_CHALLENGE could not be sent"

    def _require(self, path_id: int) -> Path:
        path = self._live.get(path_id)
        if path is None:
            raise PathRefusedError(Refusal.ABANDONED)
        return path
