"""How the cost of reading a trace grows: an upload's, with packets on their way and some lost.

The trace is made up, so that nothing but its reader is measured. Each ACK frame says again what the
ones before have said, as real ones do.
"""

import json
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trioquic import plot

from .task import Figures, Task

DATA_SIZE = 1400
LOST = 50  # one packet of so many
RANGES = 10
TICK = 0.05  # milliseconds


def records(packets: int, under_way: int) -> Iterator[dict[str, Any]]:
    """An upload of so many packets, `under_way` of them before each is acknowledged."""
    yield {"qlog_version": "0.3", "trace": {}}
    acked: deque[list[int]] = deque(maxlen=RANGES)
    for number in range(packets + under_way):
        at = {"time": number * TICK, "tuple": "0"}
        if number < packets:
            frame = {"frame_type": "stream", "stream_id": 0, "length": DATA_SIZE}
            header = {"packet_type": "1RTT", "packet_number": number}
            yield at | {"name": "packet_sent", "data": {"header": header, "frames": [frame]}}
        arrived = number - under_way
        if arrived < 0 or arrived % LOST == LOST - 1:
            continue
        if acked and acked[-1][1] == arrived - 1:
            acked[-1][1] = arrived
        else:
            acked.append([arrived, arrived])
        if arrived % 2:
            ack = {"frame_type": "ack", "acked_ranges": [list(pair) for pair in acked]}
            header = {"packet_type": "1RTT", "packet_number": arrived}
            yield at | {"name": "packet_received", "data": {"header": header, "frames": [ack]}}


def read_upload(task: Task) -> Figures:
    """`count` packets, `parallel` of them under way at any time."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "trace.sqlog"
        texts = (json.dumps(record) for record in records(task.count, task.parallel))
        file.write_text("".join(f"\x1e{text}\n" for text in texts))
        start = time.process_time()
        trace = plot.read_trace(file)
        spent = time.process_time() - start
    assert trace.upload
    assert trace.progress.last > DATA_SIZE * task.count * (1 - 2 / LOST)
    return {"processor": spent}
