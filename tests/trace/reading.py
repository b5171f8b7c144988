"""Reads a trace as strictly as RFC 7464 and the drafts of qlog allow, and finds things in it."""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """One file: its first record, and the others in order."""

    header: dict[str, Any]
    events: list[Event]
    size: int

    @property
    def names(self) -> Counter[str]:
        """How many events there are of each name."""
        return Counter(event["name"] for event in self.events)

    def data(self, name: str, path: str | None = None) -> list[dict[str, Any]]:
        """What the events of a name say, those of one path if asked."""
        return [
            event["data"]
            for event in self.events
            if event["name"] == name and path in (None, event.get("tuple"))
        ]

    def frames(self, way: str, kind: str, path: str | None = None) -> list[dict[str, Any]]:
        """The frames of a kind in all packets that were "sent" or "received"."""
        return [
            frame
            for packet in self.data(f"quic:packet_{way}", path)
            for frame in packet.get("frames", ())
            if frame["frame_type"] == kind
        ]

    @property
    def last(self) -> dict[str, Any]:
        """What the last record says."""
        assert self.events[-1]["name"] == "trioquic:trace_ended"
        data: dict[str, Any] = self.events[-1]["data"]
        return data


def read(file: Path) -> Reading:
    """Every record begins with RS, ends with LF, and is one JSON object in ASCII."""
    content = file.read_bytes()
    assert content.startswith(b"\x1e")
    records = content.split(b"\x1e")[1:]
    assert all(record.endswith(b"\n") and record.isascii() for record in records)
    header, *events = [json.loads(record) for record in records]
    times = [event["time"] for event in events]
    assert times == sorted(times)
    for event in events:
        assert isinstance(event["data"], dict)
        assert set(event) <= {"time", "name", "tuple", "data"}
    return Reading(header, events, len(content))


def only(directory: Path) -> Path:
    """The one file that is there."""
    (file,) = directory.iterdir()
    assert file.name.endswith("_client.sqlog")
    return file


def traces(directory: Path) -> list[Path]:
    """All files that are there."""
    return sorted(directory.iterdir())


def open_files(directory: Path) -> list[str]:
    """Files of a directory that this process has open; needs Linux's /proc."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            # that of the listing itself
            continue
        if target.startswith(str(directory)):
            found.append(target)
    return found
