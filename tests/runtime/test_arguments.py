"""Bad input gets a clear, typed error before anything is sent."""

import errno
import socket
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.certificates import Certificates
from tests.sim_world import SERVER, WIFI6
from trioquic import MigrationPolicy, TLSConfig, TransportConfig

from .world import dial, phone_world


@pytest.fixture
def target() -> Any:
    """A UDP socket that must not hear anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock
        with pytest.raises(BlockingIOError):
            sock.recv(65536)


async def refuse(target: socket.socket, **changes: Any) -> Exception:
    """The error of an `open_connection` and of a `connect` with these arguments."""
    arguments: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": target.getsockname()[1],
        "alpn": ["hq-interop"],
        **changes,
    }
    with pytest.raises(Exception) as first:
        async with trioquic.open_connection(**arguments):
            raise AssertionError("connected")
    async with trio.open_nursery() as nursery:
        with pytest.raises(Exception) as second:
            await trioquic.connect(nursery, **arguments)
        assert not nursery.child_tasks
    assert type(first.value) is type(second.value)
    assert str(first.value) == str(second.value)
    return first.value


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"alpn": []}, ValueError, "at least one application protocol"),
        ({"alpn": "h3"}, TypeError, "alpn must be a sequence"),
        ({"alpn": [b"h3"]}, TypeError, "each name in alpn"),
        ({"alpn": [""]}, ValueError, "1 to 255 bytes"),
        ({"alpn": ["x" * 256]}, ValueError, "1 to 255 bytes"),
        ({"port": 0}, ValueError, "port must be from 1 to 65535"),
        ({"port": 65536}, ValueError, "port must be from 1 to 65535"),
        ({"port": -1}, ValueError, "port must be from 1 to 65535"),
        ({"port": "443"}, TypeError, "port must be an integer"),
        ({"port": True}, TypeError, "port must be an integer"),
        ({"host": ""}, ValueError, "no host name"),
        ({"host": "a\0b"}, ValueError, "no host name"),
        ({"host": b"localhost"}, TypeError, "host must be a str"),
        ({"host": "\u0dca.example"}, ValueError, "no host name"),
        ({"server_name": "a b"}, ValueError, "blanks"),
        ({"server_name": "\u0dca.example"}, ValueError, "no host name"),
        ({"local": "localhost"}, ValueError, "must be an IP address"),
        ({"local": "::1"}, ValueError, "differ in IP version"),
        ({"local": ("127.0.0.1", 0)}, TypeError, "local must be a str"),
        ({"local": "127.0.0.1", "local_address": "127.0.0.1"}, TypeError, "the same argument"),
        ({"interface": ""}, ValueError, "interface must be a name"),
        ({"interface": 1}, TypeError, "interface must be a str"),
        ({"tls": {"verify": False}}, TypeError, "tls must be a TLSConfig"),
        ({"transport": 3}, TypeError, "transport must be a TransportConfig"),
        ({"migration": True}, TypeError, "migration must be a MigrationPolicy"),
        ({"networks": []}, TypeError, "networks must have the methods of NetworkSource"),
        ({"sessions": {}}, TypeError, "sessions must have the methods of SessionStore"),
        ({"early_data": True}, ValueError, "early_data needs sessions"),
    ],
)
async def test_misuse(
    target: socket.socket, changes: dict[str, Any], kind: type[Exception], text: str
) -> None:
    error = await refuse(target, **changes)
    assert type(error) is kind
    assert text in str(error)


async def test_an_unknown_host(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        with pytest.raises(socket.gaierror):
            async with dial(world, "nobody.example"):
                raise AssertionError("connected")


async def test_a_host_without_addresses_like_the_local_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        world.net.name("four.example", SERVER)
        wanted = f"local is {WIFI6}, and four.example has no IPv6 address"
        with pytest.raises(trioquic.LocalAddressError, match=wanted):
            async with dial(world, "four.example", local=WIFI6):
                raise AssertionError("connected")
        with pytest.raises(socket.gaierror):
            async with dial(world, "nobody.example", local=WIFI6):
                raise AssertionError("connected")


async def test_an_interface_that_does_not_exist(target: socket.socket) -> None:
    error = await refuse(target, interface="no-such-if0")
    assert isinstance(error, trioquic.LocalAddressError)
    assert isinstance(error, trioquic.QuicError)
    assert isinstance(error, OSError)
    assert error.errno == errno.ENODEV
    assert "no-such-if0" in str(error)


async def test_no_name_server_is_asked_for_a_bad_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    bad: list[dict[str, Any]] = [{"interface": "no-such-if0"}, {"local": "192.0.2.77"}]
    for changes in bad:
        with pytest.raises(trioquic.LocalAddressError):
            async with trioquic.open_connection("some.example", 1, alpn=["h3"], **changes):
                raise AssertionError("connected")


async def test_an_address_that_is_not_ours(target: socket.socket) -> None:
    error = await refuse(target, local="192.0.2.77")
    assert isinstance(error, trioquic.LocalAddressError)
    assert error.errno == errno.EADDRNOTAVAIL
    assert "192.0.2.77" in str(error)


async def test_bad_files(target: socket.socket, tmp_path: Path, certs: Certificates) -> None:
    missing = tmp_path / "missing.pem"
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("this is no certificate")
    identity = certs.client
    cases: list[tuple[TLSConfig, type[Exception], str]] = [
        (TLSConfig(ca_file=missing), FileNotFoundError, "missing.pem"),
        (TLSConfig(ca_file=tmp_path), IsADirectoryError, str(tmp_path)),
        (TLSConfig(ca_file=nonsense), ValueError, "nonsense.pem"),
        (TLSConfig(ca_data=b"nonsense"), ValueError, "ca_data"),
        (TLSConfig(client_cert=missing), FileNotFoundError, "missing.pem"),
        (
            TLSConfig(client_cert=identity.cert_file, client_key=nonsense),
            ValueError,
            "private key",
        ),
        (
            TLSConfig(client_cert=identity.cert_file, client_key=certs.server.key_file),
            ValueError,
            "does not belong",
        ),
        (TLSConfig(keylog_file=tmp_path / "no" / "keys"), FileNotFoundError, "keys"),
    ]
    for tls, kind, text in cases:
        error = await refuse(target, tls=tls)
        assert type(error) is kind
        assert text in str(error)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"ca_file": "a", "verify": False}, ValueError),
        ({"ca_data": b"a", "fingerprint": bytes(32)}, ValueError),
        ({"fingerprint": bytes(32), "verify": False}, ValueError),
        ({"fingerprint": bytes(31)}, ValueError),
        ({"fingerprint": "zz"}, ValueError),
        ({"fingerprint": 7}, TypeError),
        ({"ca_file": 7}, TypeError),
        ({"ca_data": 7}, TypeError),
        ({"verify": 0}, TypeError),
        ({"client_key": "key.pem"}, ValueError),
        ({"cipher_suites": []}, ValueError),
        ({"cipher_suites": ["TLS_RSA_WITH_RC4_128_MD5"]}, ValueError),
        ({"cipher_suites": "TLS_AES_128_GCM_SHA256"}, TypeError),
        ({"cipher_suites": ["TLS_AES_128_GCM_SHA256"] * 2}, ValueError),
        ({"groups": ["x25519", "x25519"]}, ValueError),
        ({"groups": ["secp521r1"]}, ValueError),
    ],
)
def test_tls_config_checks_itself(arguments: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        TLSConfig(**arguments)


def test_a_fingerprint_may_be_written_in_any_usual_form() -> None:
    digest = bytes(range(32))
    colons = ":".join(f"{byte:02X}" for byte in digest)
    for form in (digest, digest.hex(), colons):
        assert TLSConfig(fingerprint=form).fingerprint == digest


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"idle_timeout": -1}, ValueError),
        ({"idle_timeout": float("inf")}, ValueError),
        ({"idle_timeout": "30"}, TypeError),
        ({"keep_alive": float("nan")}, ValueError),
        ({"handshake_timeout": 0}, ValueError),
        ({"max_ack_delay": 16.384}, ValueError),
        ({"initial_max_data": 1 << 62}, ValueError),
        ({"initial_max_data": 1.5}, TypeError),
        ({"initial_max_data": 1000, "max_data": 999}, ValueError),
        ({"initial_max_stream_data": 1000, "max_stream_data": 999}, ValueError),
        ({"max_streams_bidi": (1 << 60) + 1}, ValueError),
        ({"max_streams_uni": True}, TypeError),
        ({"send_buffer": 0}, ValueError),
        ({"max_datagram_size": 1199}, ValueError),
        ({"max_datagram_size": 65_528}, ValueError),
        ({"max_datagram_size": 1500.0}, TypeError),
        ({"path_event_buffer": 0}, ValueError),
    ],
)
def test_transport_config_checks_itself(arguments: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        TransportConfig(**arguments)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"enabled": 1}, TypeError),
        ({"linger": -0.1}, ValueError),
        ({"linger": "3"}, TypeError),
    ],
)
def test_migration_policy_checks_itself(arguments: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        MigrationPolicy(**arguments)


def test_configurations_are_frozen_and_comparable() -> None:
    for kind in (TLSConfig, TransportConfig, MigrationPolicy):
        assert kind() == kind()
        assert hash(kind()) == hash(kind())
        name = next(iter(kind.__dataclass_fields__))
        with pytest.raises(AttributeError):
            setattr(kind(), name, None)


def test_a_start_beside_the_only_interfaces() -> None:
    policy = trioquic.MigrationPolicy(only_interfaces=["wifi0"])
    with pytest.raises(ValueError, match="interface 'cell0' is not among only_interfaces: wifi0"):
        trioquic.open_connection("a.example", 443, alpn=["x"], interface="cell0", migration=policy)
