"""What happened to one connection, written down as qlog in a file of its own.

The format is that of draft-ietf-quic-qlog-main-schema-14 and draft-ietf-quic-qlog-quic-events-13:
JSON text sequences (RFC 7464), of which the first says what the others are. What the drafts have no
event for is told in a namespace of our own, `trioquic`. qvis knows older drafts only: the two
fields that it asks for are in the first record beside today's.

The core tells of packets, losses, recovery and steps of paths (`_protocol/observer.py`), the driver
of its events, the rest of the runtime of sockets and of the reasons for moving. Every packet makes
a record, so those are put together as text; the others are rare. Packets and figures of recovery
leave a share of the file's size to what happens to paths, and everything leaves room for the last
record, which counts what was left out. Secrets, tokens and what streams carry are never written.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

import trio

from ..._protocol import events
from ..._protocol.config import ACK_DELAY_EXPONENT
from ..._protocol.machine import Label
from ..._protocol.path.state import PathState, RoleInput
from ..._protocol.recovery.congestion import UNLIMITED
from ..._protocol.recovery.path_recovery import PathRecovery
from ..._protocol.statistics import CoreStatistics
from ..._protocol.wire.describe import PACKET_TYPES, describe_packet_untrusted
from ..._protocol.wire.packets import RETRY_PACKET
from ..._protocol.wire.transport_parameters import TransportParameters
from ...config import StrPath, TransportConfig
from ...paths import Address
from . import trace_terms as terms
from .trace_file import TraceFile

# What packets leave of the limit to other records, and all of them to the last one.
_SHARE_OF_EVENTS: Final = 8
_LAST_RECORD: Final = 2048


def open_trace(config: TransportConfig, original_id: bytes) -> "TraceWriter | None":
    """The trace of a new connection, if there is to be one; OSError if it cannot be written."""
    directory = config.qlog_dir or os.environ.get("QLOGDIR")
    if not directory:
        return None
    return TraceWriter(directory, config.qlog_limit, original_id, trio.current_time)


class TraceWriter:
    """The observer of one core, and what the runtime adds. `Observer` says what it is told."""

    def __init__(
        self, directory: StrPath, limit: int, original_id: bytes, clock: Callable[[], float]
    ) -> None:
        name = original_id.hex()
        self._file = TraceFile(os.path.join(directory, f"{name}_client.sqlog"), limit)
        self._reserve = max(limit // _SHARE_OF_EVENTS, 2 * _LAST_RECORD)
        self._clock = clock
        self._begin = clock()
        # of the last record, as packets of one batch have one time
        self._now = self._begin
        self._time = "0.000"
        self._peer_exponent = 3  # RFC 9000 section 18.2: the default
        # the path that the connection has moved to and that nothing has come in on since, or -1
        self._arriving = -1
        # whether any path has ever been the active one
        self._was_active = False
        self._figures: dict[int, dict[str, object]] = {}
        self._packets_omitted = 0
        self._events_omitted = 0
        self._full = False
        self._file.add(f"\x1e{json.dumps(terms.first_record(name))}\n", 0)

    # -- packets ---------------------------------------------------------------------------------

    def packet_sent(
        self, now: float, path_id: int, space: int, number: int, size: int, payload: bytes
    ) -> None:
        if now > self._now:
            self._set_time(now)
        record = describe_packet_untrusted(
            self._time, "sent", path_id, space, number, size, payload, ACK_DELAY_EXPONENT
        )
        if not self._file.add(record, self._reserve):
            self._leave_out(record)

    def packet_received(
        self, now: float, path_id: int, space: int, number: int, size: int, payload: bytes
    ) -> None:
        if now > self._now:
            self._set_time(now)
        record = describe_packet_untrusted(
            self._time, "received", path_id, space, number, size, payload, self._peer_exponent
        )
        if not self._file.add(record, self._reserve):
            self._leave_out(record)
        if path_id == self._arriving:
            # The server answers where the connection has moved to: it has moved, too.
            self._arriving = -1
            self._progress(path_id, "migration_complete")

    def _leave_out(self, record: str) -> None:
        """No room for a packet, unless it asks or answers whether a path works."""
        self._note_full()
        if '"path_' not in record or not self._file.add(record, _LAST_RECORD):
            self._packets_omitted += 1

    def answer_received(self, path_id: int, kind: int, size: int) -> None:
        name = "retry" if kind == RETRY_PACKET else "version_negotiation"
        data = {"header": {"packet_type": name}, "raw": {"length": size}}
        self._event("quic:packet_received", data, path_id)

    def packet_lost(self, path_id: int, space: int, number: int, reordered: bool) -> None:
        data = {
            "header": {"packet_type": PACKET_TYPES[space], "packet_number": number},
            "trigger": "reordering_threshold" if reordered else "time_threshold",
        }
        self._event("quic:packet_lost", data, path_id, frequent=True)

    def recovery_updated(self, path: PathRecovery) -> None:
        rtt, control = path.rtt, path.congestion
        data: dict[str, object] = {
            "pto_count": path.pto_count,
            "congestion_window": control.window,
            "bytes_in_flight": path.bytes_in_flight,
        }
        if rtt.has_sample:
            data["smoothed_rtt"] = terms.milliseconds(rtt.smoothed)
            data["rtt_variance"] = terms.milliseconds(rtt.variation)
            data["min_rtt"] = terms.milliseconds(rtt.minimum)
            data["latest_rtt"] = terms.milliseconds(rtt.latest)
        if control.threshold != UNLIMITED:
            data["ssthresh"] = control.threshold
        if self._figures.get(path.path_id) == data:
            return
        self._figures[path.path_id] = data
        self._event("quic:recovery_metrics_updated", data, path.path_id, frequent=True)

    # -- paths -----------------------------------------------------------------------------------

    def path_added(
        self, path_id: int, local: Address | None, remote: Address, peer_id: bytes
    ) -> None:
        far: dict[str, object] = terms.endpoint(remote)
        if peer_id:
            far["connection_ids"] = [peer_id.hex()]
        data: dict[str, object] = {"tuple_id": str(path_id), "tuple_remote": far}
        if local is not None:
            data["tuple_local"] = terms.endpoint(local)
        self._event("quic:tuple_assigned", data, path_id)

    def path_opened(self, path_id: int, interface: str | None, mtu: int) -> None:
        """A path has a socket, on this interface if that is known."""
        data: dict[str, object] = {"mtu": mtu}
        if interface is not None:
            data["interface"] = interface
        self._event("trioquic:path_opened", data, path_id)

    def path_closed(self, path_id: int, cause: str, reason: str) -> None:
        """A path is gone, while the connection goes on."""
        self._event("trioquic:path_closed", {"cause": cause, "reason": reason}, path_id)

    def path_stepped(self, path_id: int, old: PathState, new: PathState, why: Label) -> None:
        if why is RoleInput.ACTIVATE and not self._was_active:
            # the path of the handshake
            self._was_active = True
        elif why in terms.PROGRESS:
            self._progress(path_id, terms.PROGRESS[why])
        if why is RoleInput.ABANDON:
            if path_id == self._arriving:
                self._arriving = -1
                self._progress(path_id, "migration_abandoned")
            self._figures.pop(path_id, None)
        if old is not new:
            data = {"old": old.value, "new": new.value, "trigger": why.value}
            self._event("trioquic:path_state_updated", data, path_id)
        if why is RoleInput.ABANDON:
            # the way in which the drafts say that a tuple is gone
            self._event("quic:tuple_assigned", {"tuple_id": str(path_id)}, path_id)

    def datagram_size_changed(self, path_id: int, old: int, new: int) -> None:
        self._event("quic:mtu_updated", {"old": old, "new": new}, path_id)

    def migrated(self, old: int, new: int, cause: str, reason: str) -> None:
        """The connection goes on elsewhere, and why: for programs and for people."""
        self._arriving = new
        data = {"old": str(old) if old >= 0 else None, "new": str(new), "cause": cause}
        data["reason"] = reason
        self._event("trioquic:migrated", data, new)

    def _progress(self, path_id: int, state: str) -> None:
        data = {"new": state, "tuple_id": str(path_id)}
        self._event("quic:migration_state_updated", data, path_id)

    # -- the connection --------------------------------------------------------------------------

    def started(
        self, local: Address, remote: Address, alpn: tuple[str, ...], own: TransportParameters
    ) -> None:
        """The first datagram is about to be sent."""
        data = {"local": terms.endpoint(local), "remote": terms.endpoint(remote)}
        self._event("quic:connection_started", data)
        offered = [{"string_value": name} for name in alpn]
        self._event("quic:alpn_information", {"client_alpns": offered})
        self._event("quic:parameters_set", {"initiator": "local", **terms.parameters_data(own)})
        self._state("attempted")

    def on_event(self, event: events.Event, parameters: TransportParameters | None) -> None:
        """One of the core's events that has nothing to do with streams."""
        match event:
            case events.HandshakeCompleted(alpn=alpn):
                self._event("quic:alpn_information", {"chosen_alpn": {"string_value": alpn}})
                if parameters is not None:
                    self._peer_exponent = parameters.ack_delay_exponent
                    data = {"initiator": "remote", **terms.parameters_data(parameters)}
                    self._event("quic:parameters_set", data)
                self._state("handshake_complete")
            case events.HandshakeConfirmed():
                self._state("handshake_confirmed")
            case events.PathValidated(path_id=number, rtt=rtt):
                data = {"rtt": terms.milliseconds(rtt)}
                self._event("trioquic:path_validated", data, number)
            case events.ValidationFailed(path_id=number, reason=reason):
                self._event("trioquic:validation_failed", {"reason": reason}, number)
            case events.PathSilent(path_id=number):
                self._event("trioquic:path_silence_updated", {"silent": True}, number)
            case events.PathRecovered(path_id=number):
                self._event("trioquic:path_silence_updated", {"silent": False}, number)
            case events.Terminated():
                self._event("quic:connection_closed", terms.closed_data(event))
                self._state(terms.STATE_AFTER.get(event.ending, "closing"))

    def handshake_failed(self, reason: str) -> None:
        """There will be no connection."""
        self._event("trioquic:handshake_failed", {"reason": reason})

    def end(self, statistics: CoreStatistics) -> None:
        """The connection is over: the last record, and the file is closed."""
        self._state("closed")
        data = {
            "packets_omitted": self._packets_omitted,
            "events_omitted": self._events_omitted,
            **asdict(statistics),
        }
        self._file.add(self._text("trioquic:trace_ended", data, None), 0)
        self._file.close()

    def _state(self, new: str) -> None:
        self._event("quic:connection_state_updated", {"new": new})

    # -- records ---------------------------------------------------------------------------------

    def _event(
        self,
        name: str,
        data: Mapping[str, object],
        path_id: int | None = None,
        *,
        frequent: bool = False,
    ) -> None:
        record = self._text(name, data, path_id)
        if not self._file.add(record, self._reserve if frequent else _LAST_RECORD):
            self._events_omitted += 1
            self._note_full()

    def _text(self, name: str, data: Mapping[str, object], path_id: int | None) -> str:
        where = "" if path_id is None else f',"tuple":"{path_id}"'
        self._set_time(self._clock())
        body = json.dumps(data, separators=(",", ":"))
        return f'\x1e{{"time":{self._time},"name":"{name}"{where},"data":{body}}}\n'

    def _set_time(self, now: float) -> None:
        self._now = now
        self._time = f"{(now - self._begin) * 1000:.3f}"

    def _note_full(self) -> None:
        if not self._full:
            self._full = True
            self._file.add(self._text("trioquic:limit_reached", {}, None), _LAST_RECORD)
