"""One QUIC connection of a client, without I/O: the wiring of the components and their façade.

No rule of the protocol is decided here. `receive` takes datagrams in, `transmit` gives datagrams
out, `next_deadline` and `handle_deadline` are the clock, `next_event` tells what happened; the
commands are passed on to the component that owns them. Everything is keyed by path.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from .components import Components
from .config import CoreConfig
from .errors import CRYPTO_ERROR, BadPacketError
from .establishment import Establishment
from .events import Ending, Event
from .lifetime import CloseFrame, CoreState
from .observer import Observer
from .path.mtu import ETHERNET
from .path.path import Address, NetworkPath
from .path.preferred import PreferredAddress
from .path.refusal import PathRefusedError, Refusal
from .path.view import PathView
from .receiving.receiver import Receiver
from .sending.outgoing import Batch, Outgoing
from .sending.transmit import Transmitter
from .space import APPLICATION
from .statistics import CoreStatistics
from .wire.transport_parameters import TransportParameters

# a batch short of the last one, 2^62-1
_LAST_NUMBER: Final = (1 << 62) - 256


class ClientConnection:
    """A client's connection. All times are seconds on one monotonic clock of the caller, but for
    `wall_time`: the seconds since 1970 in UTC at its beginning, for certificates and tickets."""

    def __init__(
        self, config: CoreConfig, *, rng: Callable[[int], bytes], wall_time: float, now: float
    ) -> None:
        parts = Components(config, rng, wall_time, now)
        self._parts = parts
        self._began = now
        self._telling: list[Event] = []  # those that are being told, the next one last
        self.streams = parts.streams
        self.datagrams = parts.datagrams
        self._establishment = Establishment(parts)
        self._receiver = Receiver(parts, self._establishment)
        self._outgoing = Outgoing(parts)
        self._transmitter = Transmitter(parts, self._outgoing, self._establishment)

    def observe(self, observer: Observer) -> None:
        """Let somebody watch, from before `start` on."""
        self._parts.facts.on_observer(observer)

    # -- views -------------------------------------------------------------------------------------

    @property
    def state(self) -> CoreState:
        return self._parts.lifetime.state

    @property
    def handshake_complete(self) -> bool:
        """The server is authenticated."""
        return self._parts.facts.complete

    @property
    def has_handshake_keys(self) -> bool:
        """The keys of Handshake packets are here: whoever has them, too, exchanged them with us."""
        return self._parts.facts.has_handshake_keys

    @property
    def sends_early_data(self) -> bool:
        """What is written to streams goes out before the server is authenticated (RFC 9001 section
        4.6): anybody who records it can send it to the server once more."""
        return self._parts.handshake.zero_rtt is not None

    @property
    def handshake_confirmed(self) -> bool:
        """Migration is possible from now on (RFC 9001 section 4.1.2)."""
        return self._parts.facts.confirmed

    @property
    def source_id(self) -> bytes:
        """The Source Connection ID of the handshake, the first of ours."""
        return self._parts.ids.own.first

    @property
    def original_id(self) -> bytes:
        """The Destination Connection ID of the first Initial packet, by which traces are named."""
        return self._parts.handshake.original_id

    @property
    def version(self) -> int:
        """The version in use."""
        return self._parts.handshake.versions.current

    @property
    def alternative_version(self) -> int:
        """What a Version Negotiation packet, which has ended this attempt, offers instead; or 0."""
        return self._parts.handshake.versions.alternative

    @property
    def peer_parameters(self) -> TransportParameters | None:
        """The server's transport parameters once they are authenticated; before that those that
        early data goes by."""
        return self._parts.facts.peer or self._parts.handshake.remembered

    @property
    def active_path(self) -> int:
        """The path that carries the connection, -1 while there is none."""
        return self._parts.facts.active_path

    @property
    def rtt(self) -> float:
        """Smoothed RTT of the active path, 0 while there is none: the pace of flow control."""
        path = self._parts.paths.active_path()
        return 0.0 if path is None else path.recovery.rtt.smoothed

    @property
    def largest_datagram(self) -> int:
        """What fits into one DATAGRAM frame on the active path now (RFC 9221 section 5)."""
        path = self._parts.paths.active_path()
        return 0 if path is None else self.datagrams.largest(self._outgoing.datagram_room(path))

    @property
    def silent_since(self) -> float:
        """Since when the server owes us an answer on any path, once that has lasted for three
        PTOs; infinity as long as it is heard."""
        silence = self._parts.watch.silence
        return silence.since if silence.told else inf

    def path_view(self, path_id: int) -> PathView:
        """A snapshot of a path; KeyError for one that was never there or is long forgotten."""
        return self._parts.paths.view(path_id)

    def live_paths(self) -> list[int]:
        """The paths that are not abandoned."""
        return [path.path_id for path in self._parts.paths.live()]

    def statistics(self) -> CoreStatistics:
        """A snapshot of the counters."""
        counters = self._receiver.counters
        one_rtt = self._parts.handshake.one_rtt
        return CoreStatistics(
            packets_sent=self._outgoing.packets,
            packets_received=counters.packets,
            dropped_malformed=counters.dropped_malformed,
            dropped_unknown_id=counters.dropped_unknown_id,
            dropped_unauthentic=counters.dropped_unauthentic,
            dropped_duplicate=counters.dropped_duplicate,
            dropped_excessive=counters.dropped_excessive,
            dropped_no_keys=counters.dropped_no_keys,
            dropped_unexpected=counters.dropped_unexpected,
            unmatched_path_responses=self._parts.prober.unmatched_responses,
            key_updates=0 if one_rtt is None else one_rtt.updates,
            spare_peer_ids=self._parts.ids.peer.spare,
            retiring_peer_ids=self._parts.ids.peer.retiring,
            active_own_ids=self._parts.ids.own.active,
            session_tickets=self._parts.handshake.tls.tickets.received,
            stray_packets=self._parts.watch.drift.packets,
            server_moves=self._parts.watch.drift.moves,
        )

    @property
    def migration_allowed(self) -> bool:
        """Whether the server lets us move (RFC 9000 sections 9 and 18.2)."""
        return self._parts.paths.rules.migration_allowed

    @property
    def migration_obstacle(self) -> Refusal | None:
        """Why no path can be added as long as the server does nothing about it (RFC 9000 sections
        9, 9.5 and 18.2); None as well before that is known."""
        return self._parts.paths.rules.obstacle

    @property
    def preferred(self) -> PreferredAddress:
        """The server's preferred address and what became of it (RFC 9000 section 9.6); to be read
        only."""
        return self._parts.paths.preferred

    @property
    def unused_own_ids(self) -> int:
        """How many connection IDs of ours the server has not used yet: it needs one for each new
        path (RFC 9000 section 5.1.1)."""
        return self._parts.ids.own.unused

    @property
    def more_ids_expected(self) -> bool:
        """Whether the server is likely to give another connection ID soon."""
        return self._parts.ids.peer.more_expected

    @property
    def idle_deadline(self) -> float:
        """When the connection ends if nothing is heard; infinity if never."""
        return self._parts.lifetime.deadline(self._pto())

    # -- datagrams and time ------------------------------------------------------------------------

    def start(self, local: Address | None, remote: Address, interface_mtu: int = ETHERNET) -> int:
        """Begin the handshake; returns the number of the path it runs on. `interface_mtu` is the
        largest IP packet that the network interface sends."""
        path = self._parts.paths.add_first(local, remote, interface_mtu, self._began)
        self._establishment.start(path)
        return path.path_id

    def receive(self, path_id: int, data: bytes, segment_size: int, ecn: int, now: float) -> None:
        """One datagram, or several of `segment_size` bytes in one buffer. Never raises for what
        the network may deliver: the worst of it closes the connection (a Terminated event)."""
        path = self._parts.paths.get(path_id)
        if path is None or not data:
            return
        counters = self._receiver.counters
        packets, eliciting = counters.packets, counters.eliciting
        try:
            self._receiver.receive_untrusted(path, data, segment_size, ecn, now)
        except BadPacketError as error:
            self._fail(error, now)
        if counters.packets != packets:
            self._parts.watch.on_heard(path, now)
            if path_id == self._parts.facts.active_path:
                self._parts.liveness.on_received(now, counters.eliciting != eliciting)
        self._parts.watch.judge_active(now)

    def transmit(self, path_id: int, now: float) -> Batch | None:
        """The next datagrams to send on a path; call until None."""
        path = self._parts.paths.get(path_id)
        if path is None:
            return None
        if self._parts.loss.next_number_hint(APPLICATION) > _LAST_NUMBER:
            # RFC 9000 section 12.3: no CONNECTION_CLOSE, nor anything else
            self._parts.lifetime.give_up("all packet numbers are used up")
            return None
        try:
            return self._transmitter.transmit(path, now)
        except BadPacketError as error:
            # The write key is used up, but for what says so (RFC 9001 section 6.6).
            if not self._parts.lifetime.open:
                return None
            self._fail(error, now)
            return self.transmit(path_id, now)

    def next_deadline(self, now: float) -> float:
        """When `handle_deadline` or `transmit` has something to do; infinity if never."""
        deadline = self._parts.lifetime.deadline(self._pto())
        if not self._parts.lifetime.open:
            return deadline
        deadline = min(
            deadline, self._parts.watch.next_deadline(), self._parts.prober.next_deadline()
        )
        path = self._parts.paths.active_path()
        if path is None or self._parts.ids.peer.for_path(path.path_id) is None:
            # nothing can be sent before there is a path, so no timer for sending may wake us
            return deadline
        sending = self._sending_deadline(path, now)
        if self._parts.paths.several:
            sending = max(sending, self._parts.paths.precedence.held_until(path))
        return min(deadline, sending)

    def _sending_deadline(self, path: NetworkPath, now: float) -> float:
        """When there is something to send on the active path, unless it has to wait."""
        deadline = min(
            self._parts.lifetime.keep_alive_deadline(),
            self._parts.loss.next_deadline(),
            self._liveness_deadline(),
        )
        if self.streams.blocked and self._may_remind(path):
            deadline = min(deadline, self._parts.lifetime.reminder_deadline(path.pto()))
        for space in self._parts.spaces:
            if self._outgoing.may_acknowledge(space, path):
                deadline = min(deadline, space.acks.deadline)
        if self._outgoing.may_send_data and self._outgoing.has_data():
            deadline = min(deadline, path.recovery.pacer_deadline(now))
        return deadline

    def _may_remind(self, path: NetworkPath) -> bool:
        """Whether the server, whose limits hold us up, may be told so again; what was told it on
        the path and is not acknowledged is repeated when it is lost."""
        return not path.recovery.in_flight[APPLICATION].eliciting

    def _remind(self, now: float) -> None:
        active = self._parts.paths.active_path()
        if active is None or not self._may_remind(active):
            return
        if self._parts.lifetime.take_reminder(now, active.pto()):
            self.streams.repeat_blocked()

    def handle_deadline(self, now: float) -> None:
        """Do what is due at `now`; `transmit` should be called for every path afterwards."""
        self._parts.lifetime.on_deadline(now, self._pto())
        if not self._parts.lifetime.open:
            return
        if self._parts.lifetime.take_keep_alive(now):
            self._parts.watch.announcements.ask()
        if self.streams.blocked:
            self._remind(now)
        if now >= self._liveness_deadline():
            self._parts.liveness.disarm()
            if self.streams.expects_data():
                self._parts.loss.ask()
        self._parts.loss.on_deadline(now)
        self._parts.prober.on_deadline(now)
        self._parts.watch.judge_active(now)

    def next_event(self) -> Event | None:
        """What happened since the last call, oldest first; None when all was told."""
        telling = self._telling
        if not telling:
            events = self._parts.events
            if not events:
                events.extend(self.streams.poll_events())
                if not events:
                    return None
            telling.extend(reversed(events))
            events.clear()
        return telling.pop()

    # -- commands ----------------------------------------------------------------------------------

    def add_path(
        self, local: Address | None, remote: Address, interface_mtu: int = ETHERNET
    ) -> int:
        """A new candidate path; PathRefusedError when the rules forbid it."""
        self._require_open()
        return self._parts.paths.add(local, remote, interface_mtu)

    def validate(self, path_id: int, now: float) -> None:
        """Probe a path; PathValidated or ValidationFailed follows (RFC 9000 section 8.2)."""
        self._require_open()
        self._parts.prober.validate(path_id, now)

    def stop_validation(self, path_id: int) -> None:
        """Stop probing a path without an event."""
        self._parts.prober.stop(path_id)

    def migrate(self, path_id: int, now: float, unvalidated: bool = False) -> None:
        """Move the connection to a path (RFC 9000 section 9.2); PathRefusedError if forbidden."""
        self._require_open()
        self._parts.mover.migrate(path_id, now, unvalidated)

    def fail_preferred(self, address: Address, reason: str) -> None:
        """The caller has found that this preferred address of the server does not answer, and that
        this is not the network's fault."""
        self._parts.paths.preferred.fail(address, reason)

    def ignore_preferred(self, address: Address, reason: str) -> None:
        """The caller has found that this preferred address of the server leads to somebody else: it
        is not used."""
        self._parts.paths.preferred.ignore(address, reason)

    def knows_server(self, address: Address) -> bool:
        """Whether the server has answered there, so that the connection may move to a path that
        leads there before it is validated (RFC 9000 sections 9.2 and 9.6.2)."""
        return self._parts.paths.rules.is_proven(address)

    def on_slept(self, seconds: float) -> None:
        """The caller's clock stood still for so long, and the server's did not."""
        self._parts.lifetime.on_slept(seconds)

    def resume(self, now: float) -> None:
        """The network of the active path is back: do not wait for any PTO."""
        self._parts.mover.resume(now)

    def suspend(self, now: float) -> None:
        """Leave the active path without another one: nothing is sent until `migrate`."""
        self._parts.mover.suspend(now)

    def mute(self, path_id: int, muted: bool) -> None:
        """Whether the server's challenges on this path are left without an answer: it leads where
        nothing may go."""
        self._parts.paths.require(path_id).responses.mute(muted)

    def abandon(self, path_id: int, now: float) -> None:
        """Give a path up and retire its connection ID. No event tells of it."""
        self._parts.paths.abandon(path_id, now)

    def update_keys(self) -> bool:
        """Start a key update (RFC 9001 section 6); False when it is not allowed yet."""
        return self._transmitter.initiate_key_update()

    def repeat_initial(self, now: float) -> None:
        """Send the ClientHello again before its PTO, now and then; see `hurry_initial`."""
        self._parts.loss.hurry_initial(now)

    def give_up(self, reason: str) -> None:
        """End the connection without a word, for want of a path: Terminated follows."""
        self._parts.lifetime.give_up(reason)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self._parts.watch.announcements.ask()

    def close(self, code: int, reason: str, application: bool, now: float) -> None:
        """End the connection: Terminated follows, and CONNECTION_CLOSE with the next transmit."""
        frame = CloseFrame(code, None if application else 0, reason)
        self._parts.lifetime.close(Ending.LOCAL_CLOSE, frame, reason, now, self._pto())

    # -- inside ------------------------------------------------------------------------------------

    def _require_open(self) -> None:
        if not self._parts.lifetime.open:
            raise PathRefusedError(Refusal.CLOSED)

    def _fail(self, error: BadPacketError, now: float) -> None:
        frame = CloseFrame(error.code, error.frame_type, error.reason)
        alert = CRYPTO_ERROR <= error.code <= CRYPTO_ERROR + 0xFF
        ending = Ending.TLS_ERROR if alert else Ending.PROTOCOL_ERROR
        self._parts.lifetime.close(ending, frame, error.reason, now, self._pto())

    def _liveness_deadline(self) -> float:
        path = self._parts.paths.active_path()
        if path is None or not self._parts.facts.confirmed:
            return inf
        return self._parts.liveness.deadline(path.recovery.rtt.smoothed, path.pto())

    def _pto(self) -> float:
        path = self._parts.paths.active_path()
        return 0.0 if path is None else path.pto()
