"""The command line that the examples share: where to, whom to trust, over which networks.

    HOST PORT            a server that speaks hq-interop, such as examples/hq_server.py
    --cafile FILE        the certificates to trust, instead of certifi's roots
    --interface NAME     an interface of this machine, the preferred one first; repeat it
    --network KIND=ADDRESS  a network by its kind and our address in it; repeat it

With `--network` there are these networks and no others, whatever the system says. That is for
trying things out on one machine: 127.0.0.1 and 127.0.0.2 behind examples/relay.py look like the
networks of a phone.
"""

import argparse
from collections.abc import Awaitable, Callable

import trio

import trioquic
from trioquic.networks import KINDS, Interface, InterfaceAddress, InterfaceKind


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the shared options; `doc` is the docstring of the program."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--cafile", dest="tls", type=trust, default=trioquic.TLSConfig())
    parser.add_argument("--interface", dest="interfaces", action="append", default=[])
    parser.add_argument("--network", dest="networks", action="append", type=parse_network)
    return parser


def trust(ca_file: str) -> trioquic.TLSConfig:
    """Trust the roots in this file, and no others."""
    return trioquic.TLSConfig(ca_file=ca_file)


def parse_network(text: str) -> Interface:
    """`wifi=192.0.2.7`"""
    kind, _, address = text.partition("=")
    for known in KINDS:
        if known == kind:
            return make_network(known, address)
    raise argparse.ArgumentTypeError(f"KIND=ADDRESS, and KIND is one of {', '.join(KINDS)}")


def make_network(kind: InterfaceKind, address: str) -> Interface:
    """A network that is called like its kind, with one address of ours. Cellular ones cost."""
    length = 128 if ":" in address else 32
    return Interface(
        name=kind,
        kind=kind,
        metered=kind == "cellular",
        addresses=(InterfaceAddress(address=address, prefix_length=length),),
    )


def chosen_networks(options: argparse.Namespace) -> trioquic.NetworkSource:
    """What `--network` says, else the machine's own interfaces."""
    if options.networks:
        return trioquic.ManualNetworks(options.networks)
    return trioquic.system_networks()


def first_interface(options: argparse.Namespace) -> str | None:
    """Where the connection starts; None leaves that to the system."""
    names = options.interfaces or [network.name for network in options.networks or ()]
    return names[0] if names else None


def run(
    main: Callable[[argparse.Namespace], Awaitable[None]], options: argparse.Namespace
) -> str | None:
    """Run a program to its end; what ended it early, for `sys.exit`: a line, not a traceback.

    Nurseries raise groups, so several things may have gone wrong at once.
    """
    lines: list[str] = []
    try:
        # Ctrl-C ends the program, and not just the task that runs at that moment
        trio.run(main, options, restrict_keyboard_interrupt_to_checkpoints=True)
    except* (trioquic.QuicError, OSError) as group:
        lines = [f"{type(error).__name__}: {error}" for error in _leaves(group)]
    except* KeyboardInterrupt:
        lines = ["interrupted"]
    return "; ".join(lines) or None


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
