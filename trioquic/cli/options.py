"""Options that several commands have, and what their values must be.

What the library would refuse, too, is refused here where that names the option, which is called
otherwise than the argument.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import click

from .. import Interface, TLSConfig
from .._checks import LONGEST

Option: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class Seconds(click.FloatRange):
    """A time, above 0."""

    def __init__(self) -> None:
        super().__init__(0, LONGEST, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """NaN is in every range, as it compares false."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no time", param, ctx)
        return seconds


def named(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """For options whose values are names of something that need not be there yet."""
    for name in value if isinstance(value, tuple) else (value,):
        if name is not None and (not name or "\0" in name):
            raise click.BadParameter(f"{name!r} is no name", ctx, parameter)
    return value


def _names(option: str, parameter: str, text: str) -> Option:
    """An option that may come any number of times."""
    return click.option(option, parameter, multiple=True, metavar="NAME", callback=named, help=text)


cafile: Option = click.option(
    "--cafile",
    metavar="FILE",
    callback=named,
    help="Trust the certificates in this file (PEM) instead of the public authorities'.",
)
insecure: Option = click.option(
    "--insecure", is_flag=True, help="Accept any certificate. Nobody knows who answers then."
)
prefer_interfaces: Option = _names(
    "--prefer-interface", "prefer_interfaces", "Use these first, in this order. Repeatable."
)
only_interfaces: Option = _names(
    "--only-interface", "only_interfaces", "Use only these, in this order. Repeatable."
)
leave_tunnel: Option = click.option(
    "--leave-tunnel", is_flag=True, help="Allow networks outside the VPN that the system uses."
)
not_tunnels: Option = _names(
    "--not-tunnel", "not_tunnels", "This interface is no VPN (a DSL line on ppp0). Repeatable."
)


def as_json(text: str) -> Option:
    """`--json`"""
    return click.option("--json", "as_json", is_flag=True, help=text)


def interfaces(text: str) -> Option:
    """`--interface NAME`, any number of times."""
    return _names("--interface", "interfaces", text)


def unknown_interfaces(names: Iterable[str], interfaces: Iterable[Interface]) -> list[str]:
    """What to tell the user of names that no interface has: one that will come, or a slip."""
    known = {interface.name for interface in interfaces}
    return [f"there is no interface {name!r}" for name in dict.fromkeys(names) if name not in known]


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
