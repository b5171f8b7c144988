"""Options that several commands have."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from .. import TLSConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def cafile(command: Command) -> Command:
    """`--cafile FILE`"""
    text = "Trust the certificates in this file (PEM) instead of the public authorities'."
    return click.option("--cafile", type=click.Path(exists=True, dir_okay=False), help=text)(
        command
    )


def insecure(command: Command) -> Command:
    """`--insecure`"""
    text = "Accept any certificate. Nobody knows who answers then."
    return click.option("--insecure", is_flag=True, help=text)(command)


def as_json(text: str) -> Callable[[Command], Command]:
    """`--json`"""
    return click.option("--json", "as_json", is_flag=True, help=text)


def interfaces(text: str) -> Callable[[Command], Command]:
    """`--interface NAME`, any number of times."""
    return click.option("--interface", "interfaces", multiple=True, metavar="NAME", help=text)


def prefer_interfaces(command: Command) -> Command:
    """`--prefer-interface NAME`, any number of times."""
    text = "Use these first, in this order. Repeatable."
    return click.option(
        "--prefer-interface", "prefer_interfaces", multiple=True, metavar="NAME", help=text
    )(command)


def only_interfaces(command: Command) -> Command:
    """`--only-interface NAME`, any number of times."""
    text = "Use only these, in this order. Repeatable."
    return click.option(
        "--only-interface", "only_interfaces", multiple=True, metavar="NAME", help=text
    )(command)


def leave_tunnel(command: Command) -> Command:
    """`--leave-tunnel`"""
    text = "Allow networks outside the VPN that the system uses."
    return click.option("--leave-tunnel", is_flag=True, help=text)(command)


@contextmanager
def refused() -> Iterator[None]:
    """What the library refuses, such as a name twice, is the user's slip."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def tls_config(cafile: str | None, insecure: bool, keylog: str | None = None) -> TLSConfig:
    """The trust that the options ask for."""
    if cafile is not None and insecure:
        raise click.UsageError("--cafile and --insecure exclude each other")
    return TLSConfig(ca_file=cafile, verify=not insecure, keylog_file=keylog)
