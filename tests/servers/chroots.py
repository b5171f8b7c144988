"""Servers of newer Debian releases, each release in a small system of its own

    python -m tests.servers.chroots [trixie] [sid]        (as root; `make chroots` does it)

makes them with debootstrap, about a minute each, in /var/cache/trioquic-test-servers. What needs
one that is not there is skipped, and the summary says so. A server runs in it by chroot(8), in the
network namespace of its caller; its files are copied into a folder there that goes when it ends.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.certificates import Identity
from tests.programs import MISSING_PREFIX, find_program, program

CACHE: Final = Path("/var/cache/trioquic-test-servers")
_MIRROR: Final = "http://deb.debian.org/debian"
PACKAGES: Final = {
    "trixie": ("nginx", "haproxy", "ngtcp2-server"),
    "sid": ("nginx", "haproxy", "caddy"),
}
_PROGRAMS: Final = {
    "nginx": "usr/sbin/nginx",
    "haproxy": "usr/sbin/haproxy",
    "ngtcp2-server": "usr/sbin/gtlsserver",
    "caddy": "usr/bin/caddy",
}


def chroot_of(release: str, package: str = "nginx") -> Path | None:
    """The root of a release that has a package; None without one, or if it may not be used."""
    root = CACHE / release
    usable = os.geteuid() == 0 and find_program("chroot") is not None
    return root if usable and (root / _PROGRAMS[package]).exists() else None


def why_missing(release: str, package: str = "nginx") -> str:
    """The reason of what is skipped without it."""
    return f"{MISSING_PREFIX}{package} ({release}; see `make chroots`)"


def needs_chroot(release: str = "trixie", package: str = "nginx") -> pytest.MarkDecorator:
    """Mark a test that talks to a server of a release."""
    return pytest.mark.skipif(
        chroot_of(release, package) is None, reason=why_missing(release, package)
    )


@dataclass(frozen=True, slots=True)
class Room:
    """A folder in the root of a release, for one server."""

    root: Path
    outside: Path
    """Its path for us."""

    @property
    def inside(self) -> str:
        """Its path for the server."""
        return f"/tmp/{self.outside.name}"

    def command(self, package: str, *words: str | os.PathLike[str]) -> list[str]:
        """The command line that runs a package's server there."""
        path = f"/{_PROGRAMS[package]}"
        return [program("chroot"), str(self.root), path, *(os.fspath(word) for word in words)]


@contextmanager
def room(identity: Identity, files: Path, *, release: str, package: str) -> Iterator[Room]:
    """A room with the keys and with the files of one folder, below `www`; it goes with the block.
    The running test is skipped if the release or the package is not there."""
    root = chroot_of(release, package)
    if root is None:
        pytest.skip(why_missing(release, package))
    outside = Path(tempfile.mkdtemp(prefix=f"{package}-", dir=root / "tmp"))
    try:
        shutil.copyfile(identity.cert_file, outside / "cert.pem")
        shutil.copyfile(identity.key_file, outside / "key.pem")
        (outside / "www").mkdir()
        for file in files.iterdir():
            if file.is_file() and not file.suffix:
                shutil.copyfile(file, outside / "www" / file.name)
        yield Room(root, outside)
    finally:
        shutil.rmtree(outside, ignore_errors=True)


def make(release: str) -> None:
    """Make the root of a release, or add what is missing in it."""
    root = CACHE / release
    missing = [name for name in PACKAGES[release] if not (root / _PROGRAMS[name]).exists()]
    if not missing:
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (root / "usr/bin/apt-get").exists():
        debootstrap = find_program("debootstrap")
        if debootstrap is None:
            sys.exit("debootstrap is missing: apt-get install debootstrap")
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(
            [debootstrap, "--variant=minbase", release, os.fspath(root), _MIRROR], check=True
        )
    # else a package starts its server at once, on the ports of this machine
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    # a release that is made anew every day forgets the versions that it had
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # a mirror may be some days behind the clock
        fresh_or_not = ["-o", "Acquire::Check-Valid-Until=false"]
        command = [program("chroot"), os.fspath(root), "apt-get", *fresh_or_not, *words]
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    for name in sys.argv[1:] or PACKAGES:
        make(name)
