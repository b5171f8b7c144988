"""nginx and haproxy in the chroots of chroots.py, as plain as they can be: HTTP/3 and no more.

haproxy serves no files itself. Behind it, and behind caddy for uploads, stands an nginx that speaks
HTTP/1.1 on a Unix socket, in the same room. What is put to `/up/NAME` becomes a file in `up`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .chroots import Room, room
from .place import Launch, Place, Wish

# With `reuseport` every worker has a socket, and the kernel chooses one by the four-tuple: a client
# that comes from another port may reach a worker that does not know its connection.
_NGINX: Final = """\
user root;
daemon off;
pid {folder}/{name}.pid;
error_log stderr notice;
worker_processes {workers};
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    client_max_body_size 0;
    server {{
        {listen}
        root {folder}/www;
        location /up/ {{ root {folder}; dav_methods PUT; }}
    }}
}}
"""
# Its resets are known after a restart only with a key that stays the same.
_QUIC: Final = """\
listen {host}:{port} quic reuseport;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.3;
        ssl_early_data on;
        quic_gso on;
        quic_host_key {folder}/host.key;
"""
# `limited-quic`: Debian's 3.0 has QUIC on an OpenSSL that does not help with it; 3.2 warns of it
_HAPROXY: Final = """\
global
    {limited}
    cluster-secret trioquic-tests
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind quic4@{host}:{port} ssl crt {folder}/both.pem alpn h3 {more}
    default_backend files
backend files
    server nginx unix@{folder}/behind.sock
"""


def _nginx(there: Room, name: str, listen: str, workers: int) -> list[str]:
    """The command line of an nginx in a room, with a configuration of that name."""
    text = _NGINX.format(folder=there.inside, name=name, workers=workers, listen=listen)
    (there.outside / f"{name}.conf").write_text(text)
    (there.outside / "up").mkdir(exist_ok=True)
    return there.command("nginx", "-c", f"{there.inside}/{name}.conf")


def behind(there: Room) -> list[str]:
    """The command line of the nginx behind another server; its socket is `behind.sock`."""
    return _nginx(there, "behind", f"listen unix:{there.inside}/behind.sock;", 1)


@contextmanager
def nginx(place: Place, wish: Wish, *, release: str, workers: int) -> Iterator[Launch]:
    """An nginx that serves the files by HTTP/3 alone."""
    with room(place.identity, place.files, release=release, package="nginx") as there:
        (there.outside / "host.key").write_bytes(os.urandom(32))
        listen = _QUIC.format(folder=there.inside, host=place.host, port=place.port)
        if wish.retry:
            listen += "        quic_retry on;\n"
        if wish.group is not None:
            listen += f"        ssl_ecdh_curve {wish.group};\n"
        command = _nginx(there, "nginx", listen, workers)
        yield Launch(command=command, uploads=there.outside / "up")


@contextmanager
def haproxy(place: Place, wish: Wish, *, release: str) -> Iterator[Launch]:
    """A haproxy, with an nginx behind it."""
    with room(place.identity, place.files, release=release, package="haproxy") as there:
        keys = ((there.outside / name).read_bytes() for name in ("cert.pem", "key.pem"))
        (there.outside / "both.pem").write_bytes(b"".join(keys))
        more = ["allow-0rtt"]
        if wish.retry:
            more.append("quic-force-retry")
        if wish.group is not None:
            more.append(f"curves {wish.group}")
        text = _HAPROXY.format(
            folder=there.inside,
            host=place.host,
            port=place.port,
            more=" ".join(more),
            limited="limited-quic" if release == "trixie" else "",
        )
        (there.outside / "haproxy.cfg").write_text(text)
        yield Launch(
            command=there.command("haproxy", "-db", "-f", f"{there.inside}/haproxy.cfg"),
            behind=behind(there),
            door=there.outside / "behind.sock",
            uploads=there.outside / "up",
        )
