"""The servers with their options. Files go into the folder of the certificates."""

import itertools
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.certificates import Identity
from tests.programs import program

from .place import Command
from .process import Server, running, wait_until_it_accepts, wait_until_it_answers

HQ_SERVER = Path(__file__).parent.parent.parent / "examples" / "hq_server.py"
MLKEM_SERVER = Path(__file__).parent / "mlkem_server.py"
CADDYFILE = """\
{{
    admin off
    auto_https off
    servers {{
        protocols {protocols}
        strict_sni_host insecure_off
    }}
}}
https://{site}:{port} {{
    bind {bind}
    tls {cert} {key} {{
        {tls}
    }}
    root * {root}
    {directives}
    file_server
}}
"""
_numbers = itertools.count()


def aioquic_command(
    identity: Identity, *, host: str, port: int, root: Path | None, options: Sequence[str] = ()
) -> Command:
    """The command line of examples/hq_server.py."""
    files = () if root is None else ("--root", root)
    where = ("--host", host, "--port", str(port))
    keys = ("--certificate", identity.cert_file, "--key", identity.key_file)
    return [sys.executable, HQ_SERVER, *where, *keys, *files, *options]


def gtlsserver_options(
    *,
    retry: bool = False,
    ciphers: str | None = None,
    groups: str | None = None,
    preferred_ipv4: tuple[str, int] | None = None,
) -> list[str]:
    """Options of ngtcp2's server. `ciphers` and `groups` are GnuTLS priority strings; a bare suite
    or group name will do, such as "CHACHA20-POLY1305" or "SECP384R1"."""
    flags = ["--quiet", "--max-dyn-length=1G"]
    if retry:
        flags.append("--validate-addr")
    if ciphers is not None:
        if ":" not in ciphers:
            ciphers = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{ciphers}"
        flags.append(f"--ciphers={ciphers}")
    if groups is not None:
        flags.append(f"--groups={groups if ':' in groups else f'-GROUP-ALL:+GROUP-{groups}'}")
    if preferred_ipv4 is not None:
        flags.append(f"--preferred-ipv4-addr={preferred_ipv4[0]}:{preferred_ipv4[1]}")
    return flags


def _work_file(identity: Identity, name: str, suffix: str) -> Path:
    name = f"{name}-{os.getpid()}-{next(_numbers)}{suffix}"
    return identity.cert_file.parent / name


def _ca_file(identity: Identity) -> Path:
    return identity.cert_file.parent / "ca.pem"


@asynccontextmanager
async def aioquic_server(
    identity: Identity,
    *,
    host: str = "127.0.0.1",
    root: Path | None = None,
    alpn: Sequence[str] = ("hq-interop",),
    options: Sequence[str] = (),
) -> AsyncIterator[Server]:
    """examples/hq_server.py on top of aioquic; see there for its commands and `options`."""

    names = [part for name in alpn for part in ("--alpn", name)]

    def command(port: int) -> Command:
        more = [*names, *options]
        return aioquic_command(identity, host=host, port=port, root=root, options=more)

    log_file = _work_file(identity, "aioquic", ".log")
    async with running(command, host=host, ca_file=_ca_file(identity), log_file=log_file) as server:
        yield server


@asynccontextmanager
async def mlkem_server(identity: Identity, *, retry: bool = False) -> AsyncIterator[Server]:
    """qh3's server, which chooses X25519MLKEM768 where it is offered first; it echoes streams."""

    def command(port: int) -> Command:
        keys = ("--certificate", identity.cert_file, "--key", identity.key_file)
        flags = ("--retry",) if retry else ()
        return [sys.executable, MLKEM_SERVER, "--port", str(port), *keys, *flags]

    host, log_file = "127.0.0.1", _work_file(identity, "mlkem", ".log")
    async with running(command, host=host, ca_file=_ca_file(identity), log_file=log_file) as server:
        yield server


@asynccontextmanager
async def gtlsserver(
    identity: Identity,
    *,
    host: str = "127.0.0.1",
    root: Path | None = None,
    retry: bool = False,
    ciphers: str | None = None,
    groups: str | None = None,
    preferred_ipv4: tuple[str, int] | None = None,
    options: Sequence[str] = (),
) -> AsyncIterator[Server]:
    """ngtcp2's server (ALPN h3). `/N` without a file of that name answers with N bytes.

    For `ciphers` and `groups` see `gtlsserver_options`. A client that sent no share of the group
    gets a HelloRetryRequest.
    """
    path = program("gtlsserver")
    flags = gtlsserver_options(
        retry=retry, ciphers=ciphers, groups=groups, preferred_ipv4=preferred_ipv4
    )
    flags += options
    flags.append(f"--htdocs={root or identity.cert_file.parent}")

    def command(port: int) -> Command:
        return [path, *flags, host, str(port), identity.key_file, identity.cert_file]

    log_file = _work_file(identity, "gtlsserver", ".log")
    async with running(command, host=host, ca_file=_ca_file(identity), log_file=log_file) as server:
        yield server


@asynccontextmanager
async def caddy(
    identity: Identity,
    *,
    host: str = "127.0.0.1",
    root: Path | None = None,
    protocols: str = "h1 h2 h3",
    directives: str = "",
    tls: str = "",
) -> AsyncIterator[Server]:
    """Caddy's file server. It sends `disable_active_migration`.

    It does not compare the name in TLS with HTTP's: its QUIC does not tell it the former.
    `protocols` are the versions of HTTP; `directives` are lines of a Caddyfile for the site, `tls`
    those of its `tls` directive.
    """
    path = program("caddy")
    config = _work_file(identity, "caddy", ".conf")

    def command(port: int) -> Command:
        text = CADDYFILE.format(
            site="localhost",
            port=port,
            protocols=protocols,
            directives=directives,
            tls=tls,
            bind=host,
            cert=identity.cert_file,
            key=identity.key_file,
            root=root or identity.cert_file.parent,
        )
        config.write_text(text)
        return [path, "run", "--config", config, "--adapter", "caddyfile"]

    home = str(identity.cert_file.parent)
    env = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
    async with running(
        command,
        host=host,
        ca_file=_ca_file(identity),
        log_file=config.with_suffix(".log"),
        env=env,
        wait=wait_until_it_answers if "h3" in protocols else wait_until_it_accepts,
    ) as server:
        yield server
