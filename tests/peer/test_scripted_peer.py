"""The scripted peer behaves like a server when it is not told otherwise, in every variation."""

import pytest

from tests.attacks.expect import goes_on
from tests.peer.script import ServerScript
from tests.peer.tls_server import P256, P384, X25519, TlsScript
from tests.peer.world import World
from trioquic._protocol.events import HandshakeCompleted
from trioquic._protocol.wire import frames as fr


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
@pytest.mark.parametrize("group", [X25519, P256, P384])
def test_cipher_suites_and_groups(suite: int, group: int) -> None:
    """Groups without a key share in the first ClientHello take a HelloRetryRequest."""
    retry = None if group == X25519 else group
    tls = TlsScript(cipher_suite=suite, groups=(group,), retry_group=retry, cookie=b"c" * 40)
    world = World(ServerScript(tls=tls)).connect()
    (event,) = world.seen(HandshakeCompleted)
    assert (event.cipher_suite, event.group) == (suite, group)
    assert len(world.peer.tls.client_hellos) == (1 if retry is None else 2)
    goes_on(world)


@pytest.mark.parametrize("length", [0, 1, 4, 8, 20])
@pytest.mark.parametrize("retry", [False, True])
def test_connection_ids_of_any_length(length: int, retry: bool) -> None:
    spare = 4 if length == 8 else 0
    world = World(ServerScript(cid=b"x" * length, retry=retry, spare_ids=spare)).connect()
    assert world.peer.packets[-1].dcid == b"x" * length
    goes_on(world)


def test_a_certificate_is_asked_for_and_none_is_there() -> None:
    world = World(ServerScript(tls=TlsScript(request_certificate=True))).connect()
    assert len(world.peer.tls.client_certificates) == 1
    goes_on(world)


def test_everything_the_client_sends_is_read() -> None:
    world = World().connect()
    assert not world.peer.undecryptable
    assert world.peer.frames(fr.CRYPTO, space=0)
    assert world.peer.frames(fr.CRYPTO, space=1)
    assert world.peer.frames(fr.NEW_CONNECTION_ID, space=2)
    assert all(
        len(d.data) >= 1200 for d in world.peer.datagrams if any(p.space == 0 for p in d.packets)
    )
