"""How qlog says what the core says: the first record, parameters, endpoints, a connection's end."""

from datetime import UTC, datetime
from typing import Final

from ..._protocol.events import Ending, Terminated
from ..._protocol.machine import Label
from ..._protocol.path.state import RoleInput, ValidationInput
from ..._protocol.wire.describe import describe_error
from ..._protocol.wire.transport_parameters import TransportParameters
from ...paths import Address

_FILE_SCHEMA: Final = "urn:ietf:params:qlog:file:sequential"
_EVENT_SCHEMAS: Final = (
    "urn:ietf:params:qlog:events:quic-13",
    # the namespace `trioquic`; docs/qlog.md lists its events
    "urn:uuid:6f0e7a0c-9f0b-4d5e-8a53-3b7c1f2d9e41",
)
PROGRESS: Final[dict[Label, str]] = {
    ValidationInput.PROBE: "probing_started",
    ValidationInput.ANSWER: "probing_successful",
    ValidationInput.FAIL: "probing_abandoned",
    RoleInput.ACTIVATE: "migration_started",
}
_TRIGGERS: Final = {
    Ending.LOCAL_CLOSE: "application",
    Ending.PEER_CLOSE: "application",
    Ending.IDLE_TIMEOUT: "idle_timeout",
    Ending.STATELESS_RESET: "stateless_reset",
    Ending.VERSION: "version_mismatch",
}
STATE_AFTER: Final = {
    Ending.GIVEN_UP: "closed",
    Ending.IDLE_TIMEOUT: "closed",
    Ending.PEER_CLOSE: "draining",
    Ending.STATELESS_RESET: "draining",
}
# The peer's reset token is a secret; its preferred address shows when there is a path to it.
_PARAMETERS: Final = """disable_active_migration max_idle_timeout max_udp_payload_size
    ack_delay_exponent max_ack_delay active_connection_id_limit initial_max_data
    initial_max_stream_data_bidi_local initial_max_stream_data_bidi_remote
    initial_max_stream_data_uni initial_max_streams_bidi initial_max_streams_uni
    max_datagram_frame_size""".split()
_PARAMETER_IDS: Final = """original_destination_connection_id initial_source_connection_id
    retry_source_connection_id""".split()


def first_record(name: str) -> dict[str, object]:
    return {
        "file_schema": _FILE_SCHEMA,
        "serialization_format": "application/qlog+json-seq",
        "qlog_version": "0.3",
        "qlog_format": "JSON-SEQ",
        "title": f"trioquic {name}",
        "trace": {
            "common_fields": {
                "group_id": name,
                "time_format": "relative_to_epoch",
                "reference_time": {
                    "clock_type": "monotonic",
                    "epoch": "unknown",
                    "wall_clock_time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                },
            },
            "vantage_point": {"name": "trioquic", "type": "client"},
            "event_schemas": list(_EVENT_SCHEMAS),
        },
    }


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def endpoint(address: Address) -> dict[str, object]:
    family = "v6" if ":" in address[0] else "v4"
    return {f"ip_{family}": address[0], f"port_{family}": address[1]}


def parameters_data(parameters: TransportParameters) -> dict[str, object]:
    data: dict[str, object] = {name: getattr(parameters, name) for name in _PARAMETERS}
    for name in _PARAMETER_IDS:
        value: bytes | None = getattr(parameters, name)
        data[name] = None if value is None else value.hex()
    return {name: value for name, value in data.items() if value is not None}


def closed_data(event: Terminated) -> dict[str, object]:
    theirs = event.ending in (Ending.PEER_CLOSE, Ending.STATELESS_RESET)
    trigger = _TRIGGERS.get(event.ending, "error")
    data: dict[str, object] = {"initiator": "remote" if theirs else "local"}
    if event.ending is Ending.PEER_CLOSE and not event.application:
        trigger = "error"
    if event.application:
        data["application_error"] = "unknown"
    else:
        data["connection_error"] = describe_error(event.code)
    return {**data, "error_code": event.code, "reason": event.reason, "trigger": trigger}
