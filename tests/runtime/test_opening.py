"""How connections come to be: addresses in turn, typed failures, and nothing left behind."""

import inspect
import socket
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import trioquic
import trioquic.config
from tests.sim_server import NAME, PORT, Credentials, ServerOptions, credentials, pattern, serve
from tests.sim_world import CELLULAR, SERVER, SERVER6, WIFI
from tests.sim_world import World as SimWorld
from tests.tls import der, pki
from trioquic import MigrationPolicy, TLSConfig, TransportConfig

from .world import dial, get, open_sockets, phone_world, server_side

DEAD = "198.51.100.99"


async def expect_failure(
    world: SimWorld, kind: type[trioquic.HandshakeError], host: str = NAME, **more: Any
) -> trioquic.HandshakeError:
    with pytest.raises(trioquic.HandshakeError) as caught:
        async with dial(world, host, **more):
            raise AssertionError("connected")
    assert type(caught.value) is kind
    assert open_sockets(world) == 0
    return caught.value


async def test_the_block_is_entered_when_the_handshake_is_complete(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        start = trio.current_time()
        async with dial(world) as conn:
            # one round trip of 50 ms, not two: complete, and not yet confirmed
            assert trio.current_time() - start < 0.075
            assert not conn.handshake_confirmed
            await conn.wait_handshake_confirmed()
            assert conn.handshake_confirmed
            assert conn.alpn == "hq-interop"
            assert conn.cipher_suite in trioquic.config.CIPHER_SUITES
            assert conn.group == "x25519"
            assert len(conn.peer_certificates) == 1
            assert await get(conn, 100_000)
        assert open_sockets(world) == 0


@pytest.mark.parametrize("host", [SERVER, SERVER6])
async def test_an_address_as_host(autojump_clock: trio.testing.MockClock, host: str) -> None:
    async with phone_world() as world:
        async with dial(world, host, server_name=NAME) as conn:
            assert conn.active_path is not None
            assert conn.active_path.remote == (host, PORT)


async def test_a_dead_first_address_falls_through(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        world.net.name("two.example", DEAD, SERVER)
        start = trio.current_time()
        transport = TransportConfig(handshake_timeout=3.0)
        async with dial(world, "two.example", server_name=NAME, transport=transport) as conn:
            assert conn.active_path is not None
            assert conn.active_path.remote == (SERVER, PORT)
            # a quarter of a second's head start and the good one's handshake
            assert trio.current_time() - start == pytest.approx(0.3, abs=0.01)
            assert open_sockets(world) == 1


async def test_an_unreachable_first_address_falls_through_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world(ipv6=False) as world:
        world.net.name("two.example", SERVER6, SERVER)
        start = trio.current_time()
        async with dial(world, "two.example", server_name=NAME):
            assert trio.current_time() - start < 0.1


async def test_a_refusing_first_address_falls_through_soon(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        world.net.host("shut").add_interface("eth0", DEAD)
        world.net.name("two.example", DEAD, SERVER)
        start = trio.current_time()
        async with dial(world, "two.example", server_name=NAME):
            assert trio.current_time() - start < 0.5


async def test_a_closed_port_is_told_within_a_second(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        world.net.host("shut").add_interface("eth0", DEAD, delay=0.05)
        start = trio.current_time()
        error = await expect_failure(world, trioquic.HandshakeError, DEAD)
        assert trio.current_time() - start < 1.0
        assert str(error) == f"nothing listens on UDP at {DEAD} port {PORT}"
        assert isinstance(error.__cause__, ConnectionRefusedError)
        assert open_sockets(world) == 0


async def test_several_closed_ports_are_told_within_a_second(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Each is tried as soon as the one before was refused, and all are asked again meanwhile."""
    addresses = [f"198.51.100.{number}" for number in range(90, 95)]
    async with phone_world(ipv6=False) as world:
        world.net.host("shut").add_interface("eth0", *addresses)
        world.net.name("five.example", *addresses)
        start = trio.current_time()
        error = await expect_failure(
            world, trioquic.HandshakeError, "five.example", server_name=NAME
        )
        assert trio.current_time() - start < 1.0
        # over Wi-Fi and over cellular
        assert len(error.attempts) == 10
        assert all("nothing listens on UDP" in str(attempt) for attempt in error.attempts)


def lie(world: SimWorld, *, every: float, until: float) -> None:
    """Somebody says again and again that nobody listens there."""

    async def keep_lying() -> None:
        while trio.current_time() < until:
            await trio.sleep(every)
            for sock in world.phone._ports.sockets:
                if sock._remote is not None:
                    sock._refuse(sock._remote)

    world.phone.start_soon(keep_lying)


async def test_a_refusal_may_be_a_lie(autojump_clock: trio.testing.MockClock) -> None:
    """However often it is told: an answer that comes within 0.75 s outweighs all of them."""
    async with phone_world(ipv6=False) as world:
        far = world.net.host("far")
        far.add_interface("eth0", "198.51.100.60", delay=0.125)
        await far.start(serve, ["198.51.100.60"], PORT, world.server.options)
        lie(world, every=0.02, until=3.0)
        start = trio.current_time()
        async with dial(world, "198.51.100.60", server_name=NAME) as conn:
            assert trio.current_time() - start == pytest.approx(0.3, abs=0.02)
            assert await get(conn, 10_000) == pattern(10_000)


async def test_a_single_refusal_is_not_believed(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ipv6=False) as world:
        lie(world, every=0.01, until=0.01)
        start = trio.current_time()
        error = await expect_failure(
            world,
            trioquic.HandshakeTimeoutError,
            "198.51.100.98",
            transport=TransportConfig(handshake_timeout=4.0),
        )
        assert trio.current_time() - start == pytest.approx(4.0, abs=0.3)
        assert "within 4 s" in str(error)


async def test_all_errors_are_in_the_last_one(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ipv6=False) as world:
        world.net.name("three.example", DEAD, SERVER6, "198.51.100.98")
        error = await expect_failure(
            world,
            trioquic.HandshakeTimeoutError,
            "three.example",
            server_name=NAME,
            migration=trioquic.MigrationPolicy(start_interfaces=1),
        )
        # in the order in which they failed
        assert [type(e) for e in error.attempts] == [
            OSError,
            trioquic.HandshakeTimeoutError,
            trioquic.HandshakeTimeoutError,
        ]
        assert isinstance(error.__cause__, ExceptionGroup)
        assert error.__cause__.exceptions == error.attempts
        assert DEAD in str(error) and "three.example" in str(error)


async def test_one_dead_address_times_out(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        start = trio.current_time()
        error = await expect_failure(
            world,
            trioquic.HandshakeTimeoutError,
            DEAD,
            transport=TransportConfig(handshake_timeout=2.5),
            migration=trioquic.MigrationPolicy(start_interfaces=1),
        )
        assert trio.current_time() - start == pytest.approx(2.5)
        assert "within 2.5 s" in str(error)
        assert error.attempts == (error,)
        assert isinstance(error, TimeoutError)


async def test_a_refusal_is_no_timeout_whatever_else_was(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world(ipv6=False) as world:
        world.net.host("shut").add_interface("eth0", "198.51.100.90")
        world.net.name("two.example", "198.51.100.90", DEAD)
        error = await expect_failure(
            world, trioquic.HandshakeError, "two.example", server_name=NAME
        )
        assert {type(e) for e in error.attempts} == {
            trioquic.HandshakeError,
            trioquic.HandshakeTimeoutError,
        }


async def test_a_certificate_that_is_not_trusted(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        stranger = credentials("elsewhere.example")
        error = await expect_failure(
            world, trioquic.CertificateError, tls=TLSConfig(ca_data=stranger.ca_pem)
        )
        assert error.code == 0x100 + 48
        # the server has answered: its other addresses are not asked
        assert len(error.attempts) == 1
        assert len(world.server.connections) == 1


async def test_a_certificate_for_another_name(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        error = await expect_failure(
            world, trioquic.CertificateError, server_name="elsewhere.example"
        )
        assert "elsewhere.example" in str(error)


async def test_no_common_application_protocol(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        error = await expect_failure(world, trioquic.AlpnError, alpn=["nonsense"])
        assert error.code == 0x178


async def test_no_common_version(autojump_clock: trio.testing.MockClock) -> None:
    def other_version(configuration: object) -> None:
        vars(configuration)["supported_versions"] = [0xFF00001D]

    async with phone_world(ServerOptions(configure=other_version)) as world:
        await expect_failure(world, trioquic.VersionError)


async def test_fingerprint_and_no_verification(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        leaf = world.server.options.credentials.chain[0]
        digest = leaf.fingerprint(hashes.SHA256())
        for tls in (TLSConfig(fingerprint=digest), TLSConfig(verify=False)):
            async with dial(world, server_name="any.example", tls=tls):
                pass
        await expect_failure(world, trioquic.CertificateError, tls=TLSConfig(fingerprint=bytes(32)))


async def test_the_caller_chooses_where_to_start_from(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER, interface="wwan0") as conn:
            assert conn.active_path is not None
            assert conn.active_path.local[0] == CELLULAR
            assert conn.active_path.interface == "wwan0"
            await get(conn, 10_000)
        async with dial(world, local=CELLULAR) as conn:
            assert conn.active_path is not None
            assert conn.active_path.local[0] == CELLULAR
            # the interface that has it, as if that had been named
            assert conn.active_path.interface == "wwan0"
            await conn.wait_handshake_confirmed()
            path = await conn.add_path(local=WIFI)
            assert path.interface == "wlan0"
        with pytest.warns(trioquic.QuicDeprecationWarning, match="use local=..."):
            old = dial(world, local_address=CELLULAR)
        async with old as conn:
            assert conn.active_path is not None
            assert conn.active_path.local[0] == CELLULAR
        # an address that is nobody's, or another interface's
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"local": "192.0.2.99"}, "no interface has the address 192.0.2.99"),
            (
                {"interface": "wwan0", "local": WIFI},
                f"{WIFI} is no address of interface 'wwan0'",
            ),
        ]
        for start, told in wrong:
            with pytest.raises(trioquic.LocalAddressError, match=told):
                async with dial(world, networks=world.phone, **start):
                    pytest.fail("connected from there")


async def test_connect_in_a_nursery_of_the_callers(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        tls = TLSConfig(ca_data=world.server.options.credentials.ca_pem)
        async with trio.open_nursery() as nursery:
            conn = await trioquic.connect(nursery, NAME, PORT, alpn=["hq-interop"], tls=tls)
            assert await get(conn, 1000)
            await conn.aclose()
            assert open_sockets(world) == 0
        # the nursery ends by itself: no task is left
        async with trio.open_nursery() as nursery:
            conn = await trioquic.connect(nursery, NAME, PORT, alpn=["hq-interop"], tls=tls)
            nursery.cancel_scope.cancel()
        assert open_sockets(world) == 0
        with pytest.raises(trio.ClosedResourceError):
            await conn.open_stream()


async def test_a_lost_connection_leaves_the_callers_nursery(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its tasks end by themselves, three PTO after the server's close."""
    async with phone_world() as world:
        tls = TLSConfig(ca_data=world.server.options.credentials.ca_pem)
        async with trio.open_nursery() as nursery:
            conn = await trioquic.connect(nursery, NAME, PORT, alpn=["hq-interop"], tls=tls)
            await conn.wait_handshake_confirmed()
            server_side(world).quic.close(error_code=7)
            server_side(world).flush()
            start = trio.current_time()
        assert trio.current_time() - start < 2
        assert open_sockets(world) == 0
        with pytest.raises(trioquic.PeerClosedError):
            await conn.accept_stream()


async def test_a_failing_connect_leaves_the_callers_nursery_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with trio.open_nursery() as nursery:
            with pytest.raises(trioquic.HandshakeError):
                await trioquic.connect(nursery, DEAD, PORT, alpn=["hq-interop"])
            assert not nursery.child_tasks
            assert open_sockets(world) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03, 0.049])
async def test_cancelled_while_connecting(
    autojump_clock: trio.testing.MockClock, seconds: float
) -> None:
    async with phone_world() as world:
        with trio.move_on_after(seconds) as scope:
            async with dial(world):
                raise AssertionError("connected")
        assert scope.cancelled_caught
        assert open_sockets(world) == 0


async def test_keylog(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    async with phone_world() as world:
        ca = world.server.options.credentials.ca_pem
        for count in (1, 2):
            async with dial(world, tls=TLSConfig(ca_data=ca, keylog_file=path)):
                pass
            assert path.stat().st_mode & 0o077 == 0
            lines = path.read_text().splitlines()
            assert len([x for x in lines if x.startswith("CLIENT_TRAFFIC_SECRET_0 ")]) == count


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file of Linux's")
async def test_a_full_disk_under_the_keylog(autojump_clock: trio.testing.MockClock) -> None:
    """Is no bug, and no reason to end the connection."""
    async with phone_world() as world:
        ca = world.server.options.credentials.ca_pem
        with pytest.warns(RuntimeWarning, match="secrets are missing in /dev/full"):
            async with dial(world, tls=TLSConfig(ca_data=ca, keylog_file="/dev/full")) as conn:
                assert await get(conn, 10)


async def test_small_windows_reach_the_server(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        transport = TransportConfig(
            idle_timeout=7.0,
            initial_max_data=70_000,
            initial_max_stream_data=30_000,
            max_data=70_000,
            max_stream_data=30_000,
            max_streams_bidi=3,
            max_streams_uni=4,
            max_ack_delay=0.011,
        )
        async with dial(world, transport=transport) as conn:
            quic = server_side(world).quic
            assert quic._remote_max_data == 70_000
            assert quic._remote_max_stream_data_bidi_local == 30_000
            assert quic._remote_max_stream_data_uni == 30_000
            assert quic._remote_max_streams_bidi == 3
            assert quic._remote_max_streams_uni == 4
            assert quic._remote_max_idle_timeout == 7.0
            assert len(await get(conn, 500_000)) == 500_000


async def test_names_may_be_international(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(
        ServerOptions(credentials=credentials("xn--bcher-kva.example"))
    ) as world:
        world.net.name("xn--bcher-kva.example", SERVER)
        async with dial(world, "B\u00fccher.example"):
            pass


def test_the_signature_is_the_contract() -> None:
    wanted = (
        "host port alpn server_name tls transport migration networks interface local addresses "
        "sessions early_data local_address"
    ).split()
    assert list(inspect.signature(trioquic.open_connection).parameters) == wanted
    assert list(inspect.signature(trioquic.connect).parameters) == ["nursery", *wanted]
    assert all(hasattr(trioquic, name) for name in trioquic.__all__)


@pytest.mark.parametrize("trust", ["authority", "fingerprint", "nobody"])
async def test_a_certificate_of_the_year_0(
    autojump_clock: trio.testing.MockClock, trust: str
) -> None:
    leaf = pki.issue(NAME, None, pki.key_of("p256"), names=(NAME,))
    year_0 = x509.load_der_x509_certificate(
        der.forge(leaf, leaf, der.dates(b"00000101000000Z", b"99991231235959Z"))
    )
    pem = year_0.public_bytes(serialization.Encoding.PEM)
    server = Credentials(chain=(year_0,), key=leaf.key, ca_pem=pem)
    tls = {
        "authority": TLSConfig(ca_data=pem),
        "fingerprint": TLSConfig(fingerprint=year_0.fingerprint(hashes.SHA256())),
        "nobody": TLSConfig(verify=False),
    }[trust]
    async with phone_world(options=ServerOptions(credentials=server)) as world:
        error = await expect_failure(world, trioquic.CertificateError, tls=tls)
    assert error.code == 0x100 + 42
    # what follows is Python's own sentence, another one since 3.14
    assert "the server's certificate is malformed" in str(error)
    assert ": 'year " in str(error)


async def test_a_closed_port_of_this_machine() -> None:
    """Over real sockets, with the kernel's own messages: they end it, and not the timeout."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    start = trio.current_time()
    with pytest.raises(trioquic.HandshakeError, match=f"listens on UDP at 127.0.0.1 port {port}"):
        async with trioquic.open_connection("127.0.0.1", port, alpn=["x"]):
            pytest.fail("nobody is there")
    # how soon, on a machine that is not busy: the tests in virtual time
    assert 0.5 < trio.current_time() - start < TransportConfig().handshake_timeout


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (MigrationPolicy(only_interfaces=["tun0", "wg0"]), "no interface 'tun0' or 'wg0'"),
        (MigrationPolicy(tunnel_only=True), "there is no tunnel"),
        (MigrationPolicy(tunnel_only=True, only_interfaces=["wlan0"]), "there is no tunnel"),
    ],
)
async def test_no_name_server_is_asked_for_a_connection_that_may_not_be(
    autojump_clock: trio.testing.MockClock, policy: MigrationPolicy, reason: str
) -> None:
    """The question would leave by what is not to be used, and it has the server's name."""
    async with phone_world() as world:
        world.net.set_resolver_delay(5.0)
        began = trio.current_time()
        with pytest.raises(trioquic.LocalAddressError, match=reason):
            async with dial(world, networks=world.phone, migration=policy):
                raise AssertionError("connected")
        assert trio.current_time() == began
        assert open_sockets(world) == 0
