"""Networks that carry no 1200 bytes, where nobody tells how much they carry (RFC 9000 section 14).

Sources of one's own, and systems that do not say. The socket says so when a datagram is refused:
that comes from this machine and not from the network, as datagrams are never fragmented.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, phone_world
from tests.sim_world import CELLULAR, SERVER, World
from trioquic.networks import Interface, Route
from trioquic.testing import Host

from .phone import phone

Clock = trio.testing.MockClock
NARROW = 1000
TOLD = "refuses datagrams of 1200 bytes"


class Untold:
    """The phone's networks, without the sizes of their packets."""

    def __init__(self) -> None:
        self._host: Host | None = None

    def prepare(self, world: World) -> None:
        self._host = world.phone

    @property
    def _inner(self) -> Host:
        assert self._host is not None
        return self._host

    def snapshot(self) -> tuple[Interface, ...]:
        return tuple(replace(interface, mtu=None) for interface in self._inner.snapshot())

    def routes(self, remotes: Sequence[str]) -> tuple[Route, ...] | None:
        return self._inner.routes(remotes)

    async def wait_changed(self) -> None:
        await self._inner.wait_changed()


async def test_a_narrow_network_is_said_to_be_one(autojump_clock: Clock) -> None:
    """It answers no challenge, as none fits; the event and the error say why."""
    stay = trioquic.MigrationPolicy(automatic=False)
    networks = Untold()
    async with phone(networks=networks, prepare=networks.prepare, policy=stay) as here:
        here.world.cellular.mtu = NARROW
        with pytest.raises(trioquic.PathValidationError, match=TOLD):
            await here.conn.migrate(interface="wwan0")
        failed = here.heard(trioquic.ValidationFailed)
        assert TOLD in failed[0].reason
        assert here.conn.active_path is not None
        assert here.conn.active_path.interface == "wlan0"
        # with a larger size it is a network like others
        here.world.cellular.mtu = 1280
        path = await here.conn.migrate(interface="wwan0")
        assert path.local[0] == CELLULAR
        await here.download(10_000)


async def test_what_was_narrow_is_forgotten_with_an_answer(autojump_clock: Clock) -> None:
    """And then it is silent for another reason."""
    stay = trioquic.MigrationPolicy(automatic=False)
    networks = Untold()
    async with phone(networks=networks, prepare=networks.prepare, policy=stay) as here:
        path = await here.conn.add_path(interface="wwan0")
        here.world.cellular.mtu = NARROW
        with pytest.raises(trioquic.PathValidationError, match=TOLD):
            await path.validate()
        here.world.cellular.mtu = 1280
        await path.validate()
        here.world.cellular.link.blackhole()
        with pytest.raises(trioquic.PathValidationError) as caught:
            await path.validate()
        assert TOLD not in str(caught.value)


async def test_a_network_that_becomes_narrow_is_left(autojump_clock: Clock) -> None:
    """Small packets still leave there, and are answered: it does not fall silent."""
    networks = Untold()
    async with phone(networks=networks, prepare=networks.prepare) as here:
        here.world.wifi.mtu = NARROW
        with trio.fail_after(3):
            stream = await here.conn.open_stream()
            await stream.send_all(b"PUT\r\n" + bytes(100_000))
            await stream.send_eof()
            digest = b"".join([bytes(piece) async for piece in stream])
        assert digest.decode().strip() == hashlib.sha256(bytes(100_000)).hexdigest()
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.new.local[0] == CELLULAR
        assert "no way out" in moved.reason


async def test_no_connection_begins_there(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        world.wifi.mtu = world.cellular.mtu = NARROW
        networks = Untold()
        networks.prepare(world)
        began = trio.current_time()
        with pytest.raises(trioquic.HandshakeError) as caught:
            async with dial(world, SERVER, networks=networks):
                pass
        assert trio.current_time() - began < 2
        assert all(TOLD in str(error) for error in caught.value.attempts)
