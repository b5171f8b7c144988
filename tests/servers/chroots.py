"""Servers of newer Debian releases, each in a small system of its own

    python -m tests.servers.chroots [trixie] [sid]        (as root; `make nginx` does it)

makes them with debootstrap, some 45 s each, in /var/cache/trioquic-test-servers. What needs one
that is not there is skipped, and the summary says so. A server runs in it by chroot(8), in the
network namespace of its caller; its files are copied into a folder there that goes when it ends.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.certificates import Identity
from tests.programs import MISSING_PREFIX, find_program, program

CACHE: Final = Path("/var/cache/trioquic-test-servers")
RELEASES: Final = ("trixie", "sid")
_MIRROR: Final = "http://deb.debian.org/debian"
# With `reuseport` every worker has a socket, and the kernel chooses one by the four-tuple: a client
# that comes from another port may reach a worker that does not know its connection.
_CONFIGURATION: Final = """\
user root;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log notice;
worker_processes {workers};
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen {host}:{port} quic reuseport;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.3;
        quic_gso on;
        root {folder}/www;
    }}
}}
"""


def chroot_of(release: str) -> Path | None:
    """The root of a release, None if there is none here or it may not be used."""
    root = CACHE / release
    usable = os.geteuid() == 0 and find_program("chroot") is not None
    return root if usable and (root / "usr/sbin/nginx").exists() else None


def needs_nginx(release: str = "trixie") -> pytest.MarkDecorator:
    """Mark a test that talks to nginx of a release."""
    return pytest.mark.skipif(
        chroot_of(release) is None, reason=f"{MISSING_PREFIX}nginx ({release}; see `make nginx`)"
    )


@contextmanager
def nginx_command(
    identity: Identity, files: Path, *, release: str, workers: int, host: str, port: int
) -> Iterator[list[str]]:
    """The command line of an nginx that serves the files of one folder, by HTTP/3 alone."""
    root = chroot_of(release)
    if root is None:
        pytest.skip(f"{MISSING_PREFIX}nginx ({release}; see `make nginx`)")
    outside = Path(tempfile.mkdtemp(prefix="nginx-", dir=root / "tmp"))
    inside = f"/tmp/{outside.name}"
    try:
        shutil.copyfile(identity.cert_file, outside / "cert.pem")
        shutil.copyfile(identity.key_file, outside / "key.pem")
        (outside / "www").mkdir()
        for file in files.iterdir():
            if file.is_file() and not file.suffix:
                shutil.copyfile(file, outside / "www" / file.name)
        text = _CONFIGURATION.format(folder=inside, workers=workers, host=host, port=port)
        (outside / "nginx.conf").write_text(text)
        yield [program("chroot"), str(root), "/usr/sbin/nginx", "-c", f"{inside}/nginx.conf"]
    finally:
        shutil.rmtree(outside, ignore_errors=True)


def make(release: str) -> None:
    """Make the root of a release, if it is not there."""
    root = CACHE / release
    if (root / "usr/sbin/nginx").exists():
        return
    debootstrap = find_program("debootstrap")
    if debootstrap is None:
        sys.exit("debootstrap is missing: apt-get install debootstrap")
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (root / "usr/bin/apt-get").exists():
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(
            [debootstrap, "--variant=minbase", release, os.fspath(root), _MIRROR], check=True
        )
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "nginx"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([program("chroot"), os.fspath(root), *install], check=True, env=environment)


if __name__ == "__main__":
    for name in sys.argv[1:] or RELEASES:
        make(name)
