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
    """`the server`, `ours` or `both`."""
    why: str


_SERVER: Final = "the server"
_WORKERS: Final = (
    "the kernel gives datagrams from a new port to any worker, and only one knows the connection; "
    "`quic_bpf on` helps"
)
FINDINGS: Final[tuple[Finding, ...]] = (
    Finding(
        "nginx*",
        "graceful",
        _SERVER,
        "the successor gets what is sent to the old worker, does not know the connection, and "
        "answers with a stateless reset",
    ),
    Finding("nginx4*", "check", _SERVER, _WORKERS),
    Finding("nginx4*", "moves", _SERVER, _WORKERS),
    Finding("nginx4*", "rebinding", _SERVER, _WORKERS),
    Finding("nginx4*", "planned", _SERVER, _WORKERS),
    Finding(
        "haproxy*",
        "rebinding",
        _SERVER,
        "it answers what comes from another port with a stateless reset, and that ends a "
        "connection (RFC 9000 section 10.3.1); 3.2 sometimes does not answer at all",
    ),
    Finding(
        "caddy",
        "rebinding",
        _SERVER,
        "it goes on sending to the old port; what forbids the client to move (RFC 9000 section "
        "18.2) does not keep a NAT from it",
    ),
    Finding(
        "picoquic",
        "moves",
        _SERVER,
        "it keeps our connection IDs of paths that were left, and does not give them back when "
        "Retire Prior To asks for them (RFC 9000 section 5.1.2), so none is left to answer with",
    ),
)


def finding(server: str, case: str) -> Finding | None:
    """What is known of a failing cell."""
    for known in FINDINGS:
        if known.case == case and fnmatchcase(server, known.servers):
            return known
    return None
