"""The columns of the table: the servers of tests/servers/kinds.py, and what they do not have."""

import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version as version_of_package
from typing import Final

from tests.servers.chroots import CACHE
from tests.servers.kinds import KINDS, Kind
from tests.servers.picoquic import PACKAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One server of the table."""

    name: str
    title: str
    lacks: dict[str, str] = field(default_factory=dict)
    """Why a case is none for it, by the name of the case; what can be seen needs no line here."""
    forbids_migration: bool = False
    """It sends disable_active_migration."""

    @property
    def kind(self) -> Kind:
        """How it is started."""
        return KINDS[self.name]


_NO_ADDRESS: Final = "it never names a preferred address"
_NO_GRACE: Final = "it has no graceful stop"
_NGINX: Final = {"preferred": _NO_ADDRESS}
_HAPROXY: Final = {"preferred": _NO_ADDRESS}
_CADDY: Final = {"preferred": _NO_ADDRESS, "retry": "it has no setting for that"}
COLUMNS: Final = {
    column.name: column
    for column in (
        Column(name="nginx1", title="nginx 1.26, 1 worker", lacks=_NGINX),
        Column(name="nginx4", title="nginx 1.26, 4 workers", lacks=_NGINX),
        Column(name="nginx1-sid", title="nginx 1.30, 1 worker", lacks=_NGINX),
        Column(name="nginx4-sid", title="nginx 1.30, 4 workers", lacks=_NGINX),
        Column(name="haproxy", title="haproxy 3.0", lacks=_HAPROXY, forbids_migration=True),
        Column(name="haproxy-sid", title="haproxy 3.2", lacks=_HAPROXY, forbids_migration=True),
        Column(name="caddy", title="caddy 2.6", lacks=_CADDY, forbids_migration=True),
        Column(name="caddy-sid", title="caddy 2.11", lacks=_CADDY),
        Column(name="gtlsserver", title="gtlsserver 0.12", lacks={"graceful": _NO_GRACE}),
        Column(name="gtlsserver-trixie", title="gtlsserver 1.11", lacks={"graceful": _NO_GRACE}),
        Column(
            name="aioquic",
            title="aioquic",
            lacks={
                "hrr": "its TLS never asks for another group",
                "preferred": _NO_ADDRESS,
                "graceful": _NO_GRACE,
            },
        ),
        Column(
            name="picoquic",
            title="picoquic",
            lacks={"preferred": "the package has no setting for that", "graceful": _NO_GRACE},
        ),
    )
}


def version(kind: Kind) -> str:
    """Which version of the server is here."""
    if kind.package == "aioquic":
        return version_of_package("aioquic")
    if kind.package == "picoquic":
        return PACKAGE.replace("==", " ")
    command = ["dpkg-query", "-W", "-f", "${Version}", kind.package]
    if kind.release is not None:
        command.insert(1, f"--admindir={CACHE / kind.release / 'var/lib/dpkg'}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
