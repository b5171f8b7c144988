"""Whose fault a failing cell is, as found out by somebody who has read its trace."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of the failures of a case with some servers."""

    servers: str
    """A pattern, such as `nginx4*`."""
    case: str
    whose: str
    """`the server` or `ours`."""
    why: str


FINDINGS: Final[tuple[Finding, ...]] = ()


def finding(server: str, case: str) -> Finding | None:
    """What is known of a failing cell."""
    for known in FINDINGS:
        if known.case == case and fnmatchcase(server, known.servers):
            return known
    return None
