"""From a file to qlog events, one after the other.

JSON text sequences (RFC 7464) are read piece by piece, so the size of a file matters for the time
only. A record that is no JSON object is counted and skipped, as that RFC asks; the last one may be
cut off. A file that is one JSON document (qlog's other format) has to be read as a whole, and may
be so large only. Events are handed on with their time in seconds; what they say is not checked.
"""

import json
import math
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from .. import _checks
from ._errors import TraceError

_SEPARATOR: Final = b"\x1e"
_PIECE: Final = 1 << 18
_LARGEST_RECORD: Final = 1 << 20
_LARGEST_FILE: Final = 2 << 30
_LARGEST_DOCUMENT: Final = 128 << 20
# more than this many broken records for each good one are no accident
_MOST_DAMAGE: Final = 1

Event = tuple[float, str, str, dict[str, Any]]
"""Time in seconds, name without its namespace, path, data."""


class Records:
    """The events of one file. `title`, `damaged` are known when they have been read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        _checks.check(_checks.path, "path", path)
        self._path = os.fspath(path)
        self._unit = 0.001
        self._delta = False
        self._now = 0.0
        self._origin: float | None = None
        self.title = ""
        self.damaged = 0

    def __iter__(self) -> Iterator[Event]:
        """Read the file. OSError, TraceError."""
        with open(self._path, "rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST_FILE:
                raise TraceError(f"{self._path} has more than {_LARGEST_FILE >> 30} GiB")
            first = file.read(1)
            file.seek(0)
            records = self._sequence(file) if first == _SEPARATOR else self._document(file)
            good = 0
            for record in records:
                event = self._event(record)
                if event is None:
                    self.damaged += 1
                    continue
                good += 1
                yield event
        if self.damaged > _MOST_DAMAGE * good:
            raise TraceError(f"{self._path} is damaged: {self.damaged} records cannot be read")
        if not good:
            raise TraceError(f"{self._path} has no events")

    # -- the two formats -------------------------------------------------------------------------

    def _sequence(self, file: BinaryIO) -> Iterator[Any]:
        texts = self._texts(file)
        self._header(_parse(next(texts, b"")))
        for text in texts:
            yield _parse(text)

    def _texts(self, file: BinaryIO) -> Iterator[bytes]:
        """The texts between separators; the last one only if it is complete."""
        rest = b""
        while piece := file.read(_PIECE):
            *texts, rest = (rest + piece).split(_SEPARATOR)
            yield from filter(None, texts)
            if len(rest) > _LARGEST_RECORD:
                raise TraceError(f"{self._path} has a record of more than {_LARGEST_RECORD} bytes")
        if rest.endswith(b"\n"):
            yield rest

    def _document(self, file: BinaryIO) -> Iterator[Any]:
        content = file.read(_LARGEST_DOCUMENT + 1)
        if len(content) > _LARGEST_DOCUMENT:
            raise TraceError(f"{self._path} is no JSON text sequence and too large otherwise")
        document = _parse(content)
        traces = document.get("traces") if isinstance(document, dict) else None
        trace = traces[0] if isinstance(traces, list) and traces else None
        if not isinstance(document, dict) or not isinstance(trace, dict):
            raise TraceError(f"{self._path} is no qlog trace")
        self._header({**document, "trace": trace})
        events = trace.get("events")
        yield from events if isinstance(events, list) else ()

    def _header(self, header: Any) -> None:
        known = isinstance(header, dict) and ("qlog_version" in header or "file_schema" in header)
        trace = header.get("trace") if known else None
        if not isinstance(trace, dict):
            raise TraceError(f"{self._path} is no qlog trace")
        common = trace.get("common_fields")
        if isinstance(common, dict):
            self._delta = common.get("time_format") in ("delta", "relative_to_previous_event")
        configuration = trace.get("configuration")
        if isinstance(configuration, dict) and configuration.get("time_units") == "us":
            self._unit = 0.000001
        title = header.get("title") or trace.get("title")
        self.title = title if isinstance(title, str) else ""

    # -- events ----------------------------------------------------------------------------------

    def _event(self, record: Any) -> Event | None:
        if not isinstance(record, dict):
            return None
        name, data = record.get("name"), record.get("data")
        if not isinstance(name, str) or not isinstance(data, dict):
            return None
        time = number(record.get("time"))
        if time is None:
            return None
        time *= self._unit
        self._now = self._now + time if self._delta else time
        if self._origin is None:
            # "absolute" times of older drafts begin long ago
            self._origin = self._now
        where = record.get("tuple", record.get("path", ""))
        path = where if isinstance(where, str) else ""
        return max(self._now - self._origin, 0.0), name.rpartition(":")[2], path, data


def number(value: Any) -> float | None:
    """A finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # ValueError is also that of text that is no UTF-8, and of an integer with too many digits
        return None
