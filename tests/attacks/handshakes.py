"""Handshakes that are cut short, resumed, or refused, for the tests of attacks 9 to 18."""

import dataclasses

from tests.attacks.expect import closed_with, goes_on, released
from tests.peer.packets import HANDSHAKE, INITIAL
from tests.peer.script import ServerScript
from tests.peer.tls_server import TlsScript
from tests.peer.world import World

# TLS alerts (RFC 8446 section 6)
UNEXPECTED_MESSAGE = 10
BAD_CERTIFICATE, CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN = 42, 45, 46
ILLEGAL_PARAMETER, UNKNOWN_CA, DECODE_ERROR, DECRYPT_ERROR = 47, 48, 50, 51
MISSING_EXTENSION, NO_APPLICATION_PROTOCOL = 109, 120


def silent() -> World:
    """The client has sent its first flight; the server knows what it would answer."""
    world = World(ServerScript(send_crypto=False, acknowledge=False))
    world.run_until(lambda: world.peer.tls.output)
    return world


def half_open(space: int) -> World:
    """A client that has the keys of `space` and has heard nothing in it."""
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    if space == HANDSHAKE:
        level, hello = world.peer.tls.output[0]
        assert level == INITIAL
        world.peer.send_crypto(INITIAL, hello)
        world.settle()
    return world


def resume(world: World) -> None:
    """The server goes on as if nothing had happened, and so does the client."""
    world.peer.script.send_crypto = world.peer.script.acknowledge = True
    world.peer.send_flight()
    world.connect()
    goes_on(world)


def refused(script: ServerScript, code: int) -> World:
    world = World(script)
    world.run_until(lambda: world.terminated)
    world.settle()
    closed_with(world, code)
    assert not released(world), "nothing is usable of a server that is not what it says"
    return world


def with_tls(**changes: object) -> ServerScript:
    return ServerScript(tls=dataclasses.replace(TlsScript(), **changes))  # type: ignore[arg-type]
