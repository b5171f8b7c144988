"""QUIC version 2 and version negotiation (RFC 9369, RFC 9368), with aioquic's server."""

import pytest
import trio
import trio.testing
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import (
    QuicTransportParameters,
    QuicVersionInformation,
    encode_quic_version_negotiation,
)

import trioquic
from tests.sim_server import ServerOptions, pattern
from trioquic import TransportConfig

from .world import dial, get, phone_world, server_side

V1, V2 = 1, 0x6B3343CF
Clock = trio.testing.MockClock


def speaks(*versions: int) -> ServerOptions:
    """A server that speaks these, preferred first."""

    def configure(configuration: QuicConfiguration) -> None:
        configuration.supported_versions = list(versions)

    return ServerOptions(configure=configure)


def says(versions: tuple[int, ...], information: QuicVersionInformation | None) -> ServerOptions:
    """A server that says something else of versions in its parameters than it does."""
    options = speaks(*versions)

    def change(parameters: QuicTransportParameters) -> None:
        parameters.version_information = information

    options.parameters = change
    return options


@pytest.mark.parametrize(
    ("server", "client", "expected"),
    [
        ((V1,), ("v1", "v2"), "v1"),
        ((V1, V2), ("v1", "v2"), "v1"),
        ((V2, V1), ("v1",), "v1"),
        # compatible negotiation: this server takes the client's favourite
        ((V1, V2), ("v2", "v1"), "v2"),
        ((V1,), ("v2", "v1"), "v1"),
        ((V2,), ("v2",), "v2"),
        # incompatible negotiation: a new attempt
        ((V2,), ("v1", "v2"), "v2"),
        ((V1,), ("v2",), None),
    ],
)
async def test_the_version_that_comes_of_it(
    autojump_clock: Clock, server: tuple[int, ...], client: tuple[str, ...], expected: str | None
) -> None:
    transport = TransportConfig(versions=client)
    if expected is None:
        async with phone_world(speaks(*server)) as world:
            with pytest.raises(trioquic.VersionError):
                async with dial(world, transport=transport):
                    pytest.fail("no version in common")
        return
    async with phone_world(speaks(*server)) as world, dial(world, transport=transport) as conn:
        assert conn.version == expected
        assert await get(conn, 100_000) == pattern(100_000)
        await conn.wait_handshake_confirmed()
        assert conn.update_keys()
        await conn.migrate(interface="wwan0")
        assert await get(conn, 1000) == pattern(1000)
        assert server_side(world).quic._version == {"v1": V1, "v2": V2}[expected]
        assert conn.statistics().key_updates == 1


@pytest.mark.parametrize("versions", [("v1", "v2"), ("v2", "v1")])
@pytest.mark.parametrize("seed", range(6))
async def test_negotiation_on_a_bad_link(
    autojump_clock: Clock, versions: tuple[str, ...], seed: int
) -> None:
    """The packet that says which version it is may be lost, late or doubled."""
    bad = {"loss": 0.25, "duplicate": 0.2, "reorder": 0.3}
    transport = TransportConfig(versions=versions)
    async with phone_world(speaks(V1, V2), seed=seed, wifi=bad) as world:
        async with dial(world, transport=transport) as conn:
            assert conn.version == versions[0]
            assert await get(conn, 20_000) == pattern(20_000)


async def test_a_retry_is_of_the_version_of_the_first_packet(autojump_clock: Clock) -> None:
    options = speaks(V1, V2)
    options.retry = True
    async with phone_world(options) as world:
        for versions in (["v2", "v1"], ["v2"], ["v1"]):
            async with dial(world, transport=TransportConfig(versions=versions)) as conn:
                assert conn.peer.retry
                assert conn.version == versions[0]


@pytest.mark.parametrize(
    ("versions", "information"),
    [
        # it answers in version 2 and does not say so, or says another
        ((V2, V1), None),
        ((V2, V1), QuicVersionInformation(chosen_version=V1, available_versions=[V1, V2])),
        ((V1,), QuicVersionInformation(chosen_version=V2, available_versions=[V1, V2])),
        # it sent a Version Negotiation packet, and would have spoken the version all the same
        ((V2,), QuicVersionInformation(chosen_version=V2, available_versions=[V1, V2])),
        ((V2,), None),
    ],
)
async def test_version_information_that_does_not_agree(
    autojump_clock: Clock, versions: tuple[int, ...], information: QuicVersionInformation | None
) -> None:
    # a Version Negotiation packet away from the favourite is what is suspicious
    transport = TransportConfig(versions=["v1", "v2"] if versions == (V2,) else ["v2", "v1"])
    async with phone_world(says(versions, information)) as world:
        with pytest.raises(trioquic.VersionError) as caught:
            async with dial(world, transport=transport):
                pytest.fail("the versions do not agree")
        assert caught.value.code == 0x11


async def test_what_is_said_of_other_versions_does_not_matter(autojump_clock: Clock) -> None:
    """A server without the extension, and one that knows versions of the future."""
    future = QuicVersionInformation(chosen_version=V1, available_versions=[0x1A2A3A4A, 99, V1])
    for information in (None, future):
        async with phone_world(says((V1,), information)) as world, dial(world) as conn:
            assert conn.version == "v1"


async def test_a_forged_version_negotiation_does_not_lead_to_another_version(
    autojump_clock: Clock,
) -> None:
    """Somebody near the client says that the server speaks version 2 only. It speaks both and
    prefers version 1; its authenticated parameters give the forgery away."""
    async with phone_world(speaks(V1, V2), ipv6=False) as world:
        forged = False
        real_receive = world.server._receive

        async def near(nursery: trio.Nursery, data: bytes, peer: tuple[str, int, int]) -> None:
            nonlocal forged
            if not forged:
                forged = True
                size = data[5]
                dcid, scid = data[6 : 6 + size], data[7 + size : 7 + size + data[6 + size]]
                await world.server.send(
                    encode_quic_version_negotiation(
                        source_cid=dcid, destination_cid=scid, supported_versions=[V2]
                    ),
                    peer,
                )
                return
            await real_receive(nursery, data, peer)

        world.server._receive = near  # type: ignore[method-assign]
        with pytest.raises(trioquic.VersionError) as caught:
            async with dial(world, transport=TransportConfig(versions=["v1", "v2"])):
                pytest.fail("it was led astray")
        assert caught.value.code == 0x11


@pytest.mark.parametrize("versions", [[], ["v3"], ["v1", "v1"], "v1"])
def test_versions_that_are_none(versions: list[str]) -> None:
    with pytest.raises((ValueError, TypeError)):
        TransportConfig(versions=versions)
