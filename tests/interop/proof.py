"""The few lines of a failing cell's traces that show what happened, to be kept with the table.

The traces themselves are large, and stay on the machine where the cell was run.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_RECEIVED: Final = "quic:packet_received"
_TELLING: Final = frozenset(
    (
        "quic:connection_closed",
        "trioquic:validation_failed",
        "trioquic:path_silence_updated",
    )
)
_MOST_TRACES: Final = 2
_MOST_LINES: Final = 3
_LONGEST: Final = 200


def proof(folder: Path) -> tuple[str, ...]:
    """Of the connections that were opened last: when the last packet came, and the last events of
    those that tell how it went on."""
    traces = sorted(folder.glob("**/*.sqlog"), key=lambda file: file.stat().st_mtime)
    return tuple(line for trace in traces[-_MOST_TRACES:] for line in _of_one(trace))


def _of_one(trace: Path) -> Iterator[str]:
    received, telling = "", []
    for event in _events(trace):
        name, when = event.get("name", ""), f"{event.get('time', 0.0):.0f} ms"
        if name == _RECEIVED:
            number = event["data"]["header"].get("packet_number")
            received = f"{when}: the last packet that came, number {number}"
        elif name in _TELLING:
            data = json.dumps(event["data"], separators=(",", ":"))
            telling.append(f"{when}: {name} {data}"[:_LONGEST])
    yield from filter(None, [received, *telling[-_MOST_LINES:]])


def _events(trace: Path) -> Iterator[dict[str, Any]]:
    """What was written to the end; a program that was killed leaves a line cut off."""
    for line in trace.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line.strip("\x1e"))
        except ValueError:
            continue
