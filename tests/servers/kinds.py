"""All servers that there may be, by name: how each is started, and whether it is here

The names are those of the lab and of docs/interop.md: a server without a release is Debian's of
this machine, or a package of Python's; the others come from the chroots (chroots.py).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.programs import MISSING_PREFIX, find_program, program

from . import web_servers
from .chroots import chroot_of, room, why_missing
from .launch import CADDYFILE, aioquic_command, gtlsserver_options
from .picoquic import picoquic_command, why_no_picoquic
from .place import Command, Launch, Place, Wish

HQ: Final = "hq-interop"
H3: Final = "h3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One server, or one way to configure it."""

    launch: Callable[[Place, Wish], AbstractContextManager[Launch]]
    alpn: str = H3
    release: str | None = None
    """The chroot that it lives in."""
    package: str = ""
    """Debian's package, in the chroot or on this machine."""

    @property
    def missing(self) -> str | None:
        """Why it cannot be had here; None if it can."""
        if self.release is not None:
            there = chroot_of(self.release, self.package)
            return why_missing(self.release, self.package) if there is None else None
        if self.package in _PROGRAMS:
            name = _PROGRAMS[self.package]
            return MISSING_PREFIX + name if find_program(name) is None else None
        return why_no_picoquic() if self.package == "picoquic" else None


_PROGRAMS: Final = {"ngtcp2-server": "gtlsserver", "caddy": "caddy"}


def _aioquic(place: Place, wish: Wish) -> AbstractContextManager[Launch]:
    options = ["--datagram-size", "1200", "--tickets", *(["--retry"] if wish.retry else [])]
    options += wish.options
    command = aioquic_command(
        place.identity, host=place.host, port=place.port, root=place.files, options=options
    )
    return nullcontext(Launch(command=command))


def _picoquic(place: Place, wish: Wish) -> AbstractContextManager[Launch]:
    options = ["--retry"] if wish.retry else []
    command = picoquic_command(place.identity, place.files, port=place.port, options=options)
    return nullcontext(Launch(command=command))


def _gtlsserver_words(place: Place, wish: Wish) -> tuple[list[str], list[str]]:
    """What stands before and after the folder of files."""
    groups = None if wish.group is None else wish.group.upper()
    options = gtlsserver_options(retry=wish.retry, groups=groups, preferred_ipv4=wish.preferred)
    return [*options, *wish.options], [place.host, str(place.port)]


def _gtlsserver(place: Place, wish: Wish) -> AbstractContextManager[Launch]:
    options, where = _gtlsserver_words(place, wish)
    keys = (place.identity.key_file, place.identity.cert_file)
    words = [program("gtlsserver"), *options, f"--htdocs={place.files}", *where]
    command: Command = [*words, *keys]
    return nullcontext(Launch(command=command))


@contextmanager
def _gtlsserver_in(place: Place, wish: Wish, *, release: str) -> Iterator[Launch]:
    options, where = _gtlsserver_words(place, wish)
    with room(place.identity, place.files, release=release, package="ngtcp2-server") as there:
        keys = (f"{there.inside}/key.pem", f"{there.inside}/cert.pem")
        files = f"--htdocs={there.inside}/www"
        yield Launch(command=there.command("ngtcp2-server", *options, files, *where, *keys))


def _caddyfile(place: Place, wish: Wish, *, folder: str, behind: bool) -> str:
    """A caddy that serves `www` of a folder, and passes uploads on if there is somebody to. It can
    be told to reload."""
    text = CADDYFILE.format(
        site="localhost",
        port=place.port,
        bind=place.host,
        protocols="h1 h2 h3",
        directives=f"reverse_proxy /up/* unix/{folder}/behind.sock" if behind else "",
        tls="" if wish.group is None else f"curves {wish.group}",
        cert=f"{folder}/cert.pem",
        key=f"{folder}/key.pem",
        root=f"{folder}/www",
    )
    return text.replace("admin off", f"admin unix/{folder}/admin.sock")


@contextmanager
def _caddy(place: Place, wish: Wish) -> Iterator[Launch]:
    """This machine's caddy, in the same folder as its nginx; without one it takes no uploads."""
    with _folder(place) as (folder, behind):
        conf = folder / "caddy.conf"
        conf.write_text(_caddyfile(place, wish, folder=str(folder), behind=behind is not None))
        yield Launch(
            command=[program("caddy"), "run", "--config", conf, "--adapter", "caddyfile"],
            env=_home(str(folder)),
            behind=behind,
            door=folder / "behind.sock",
            uploads=None if behind is None else folder / "up",
        )


@contextmanager
def _folder(place: Place) -> Iterator[tuple[Path, list[str] | None]]:
    """A folder with keys and files, and how to start the nginx there, if there is one."""
    if chroot_of("trixie") is None:
        folder = place.identity.cert_file.parent / f"caddy-{place.port}"
        folder.mkdir(exist_ok=True)
        for name, target in (
            ("cert.pem", place.identity.cert_file),
            ("key.pem", place.identity.key_file),
            ("www", place.files),
        ):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(target)
        yield folder, None
        return
    with room(place.identity, place.files, release="trixie", package="nginx") as there:
        yield there.outside, web_servers.behind(there)


def _home(folder: str) -> dict[str, str]:
    return {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder}


@contextmanager
def _caddy_in(place: Place, wish: Wish, *, release: str) -> Iterator[Launch]:
    with room(place.identity, place.files, release=release, package="caddy") as there:
        text = _caddyfile(place, wish, folder=there.inside, behind=True)
        (there.outside / "caddy.conf").write_text(text)
        words = ("run", "--config", f"{there.inside}/caddy.conf", "--adapter", "caddyfile")
        yield Launch(
            command=there.command("caddy", *words),
            # Debian's build has Go's ML-KEM switched off
            env={**_home(there.inside), "GODEBUG": "tlsmlkem=1"},
            behind=web_servers.behind(there),
            door=there.outside / "behind.sock",
            uploads=there.outside / "up",
        )


def _nginx(release: str, workers: int) -> Kind:
    launch = partial(web_servers.nginx, release=release, workers=workers)
    return Kind(launch=launch, release=release, package="nginx")


def _haproxy(release: str) -> Kind:
    launch = partial(web_servers.haproxy, release=release)
    return Kind(launch=launch, release=release, package="haproxy")


KINDS: Final = {
    "nginx1": _nginx("trixie", 1),
    "nginx4": _nginx("trixie", 4),
    "nginx1-sid": _nginx("sid", 1),
    "nginx4-sid": _nginx("sid", 4),
    "haproxy": _haproxy("trixie"),
    "haproxy-sid": _haproxy("sid"),
    "caddy": Kind(launch=_caddy, package="caddy"),
    "caddy-sid": Kind(launch=partial(_caddy_in, release="sid"), release="sid", package="caddy"),
    "gtlsserver": Kind(launch=_gtlsserver, package="ngtcp2-server"),
    "gtlsserver-trixie": Kind(
        launch=partial(_gtlsserver_in, release="trixie"), release="trixie", package="ngtcp2-server"
    ),
    "aioquic": Kind(launch=_aioquic, alpn=HQ, package="aioquic"),
    "picoquic": Kind(launch=_picoquic, alpn=HQ, package="picoquic"),
}
