"""Every field of every class of configuration, with everything that it cannot be.

What a row takes is tried, not repeated: each value of a list of slips is given to each field, and
either the object is made, and then holds what its annotation says, or one sentence that begins with
the field's name says what is wanted.
"""

import math
import re
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pytest

import trioquic
from trioquic import MigrationPolicy, TLSConfig, TransportConfig, _checks, networks
from trioquic.addresses import AddressPolicy, PolicyRow, PolicyTable
from trioquic.http3 import HTTP3Config, PoolLimits, Priority
from trioquic.sessions import _shelf
from trioquic.testing import LinkProfile

# the core has its own configuration classes, which these fill
pytestmark = pytest.mark.plain

LIMITS = {"across_networks": True, "per_server": 4, "most": 100, "token_lifetime": 1.0}
# each class with the arguments it needs
CLASSES: list[tuple[type[Any], dict[str, Any]]] = [
    (TLSConfig, {}),
    (TransportConfig, {}),
    (MigrationPolicy, {}),
    (HTTP3Config, {}),
    (Priority, {}),
    (PoolLimits, {}),
    (LinkProfile, {}),
    (networks.Interface, {"name": "eth0"}),
    (networks.InterfaceAddress, {"address": "192.0.2.1", "prefix_length": 24}),
    (networks.Route, {"remote": "192.0.2.1", "interface": "eth0"}),
    (AddressPolicy, {}),
    (PolicyTable, {"rows": (PolicyRow(prefix="::/0", precedence=1, label=1),)}),
    (PolicyRow, {"prefix": "::/0", "precedence": 1, "label": 1}),
    (_shelf.Limits, LIMITS),
]
SLIPS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    1 << 62,
    10**5000,
    0.5,
    1.7,
    -0.5,
    1e300,
    math.inf,
    -math.inf,
    math.nan,
    1j,
    "",
    "wlan0",
    "wi-fi",
    "a\0b",
    b"",
    b"wlan0",
    bytearray(32),
    [],
    [""],
    ["wi-fi"],
    [b"wifi"],
    [None],
    [7],
    {"wifi": 1},
    {"wifi"},
    ("wifi", "wifi"),
    object(),
    int,
    Path("x"),
]


def each_field() -> list[Any]:
    return [
        pytest.param(kind, arguments, field.name, id=f"{kind.__name__}.{field.name}")
        for kind, arguments in CLASSES
        for field in fields(kind)
        if field.init
    ]


@pytest.mark.parametrize("kind", [kind for kind, _ in CLASSES])
def test_every_field_has_a_row(kind: type[Any]) -> None:
    assert list(_checks.rows_of(kind)) == [field.name for field in fields(kind) if field.init]


def test_another_default_of_a_subclass_is_checked_too() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Restless(MigrationPolicy):
        standby: int = 2
        patience: str = "none"

    assert Restless(patience="").standby == 2
    with pytest.raises(TypeError, match="standby must be an integer, not float"):
        Restless(standby=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "arguments", "name"), each_field())
def test_a_slip_is_told_when_the_object_is_made(
    kind: type[Any], arguments: dict[str, Any], name: str
) -> None:
    wanted = typing.get_type_hints(kind)[name]
    refused = 0
    for slip in SLIPS:
        try:
            made = kind(**{**arguments, name: slip})
        except (TypeError, ValueError) as error:
            refused += 1
            said = str(error)
            assert name in said, (slip, said)
            assert "\n" not in said and len(said) < 250, said
        else:
            assert fits(getattr(made, name), wanted), (slip, getattr(made, name))
    assert refused > len(SLIPS) // 2


def fits(value: object, wanted: Any) -> bool:
    """Whether a value is what an annotation says; bool is no number."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal:
        return value in parts
    if parts and origin in (Sequence, tuple):
        return isinstance(value, tuple) and all(fits(one, parts[0]) for one in value)
    if origin is Callable:
        return callable(value)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is not None:
        return isinstance(value, origin)
    if wanted in (int, float):
        infinite = wanted is int and value == math.inf  # a number of times without an end
        good = isinstance(value, int) or (wanted is float and isinstance(value, float))
        return infinite or (good and not isinstance(value, bool) and value == value)
    return isinstance(value, wanted) if isinstance(wanted, type) else value is None


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        # what a user wrote, and lost the failover by
        (
            lambda: MigrationPolicy(kinds=["wi-fi"]),
            ValueError,
            "kinds: 'wi-fi' is none of ethernet, wifi, cellular,",
        ),
        (lambda: MigrationPolicy(kinds=[]), ValueError, "kinds is empty"),
        (
            lambda: MigrationPolicy(interfaces="wlan0"),
            TypeError,
            "interfaces must be a sequence of names, not str (write ['wlan0'])",
        ),
        (lambda: MigrationPolicy(standby=0.5), TypeError, "standby must be an integer, not float"),  # type: ignore[arg-type]
        (
            lambda: MigrationPolicy(start_interfaces=0),
            ValueError,
            "start_interfaces must be from 1 to 256, not 0",
        ),
        (
            lambda: MigrationPolicy(start_interfaces=1.7),  # type: ignore[arg-type]
            TypeError,
            "start_interfaces must be an integer, not float",
        ),
        (
            lambda: MigrationPolicy(linger=math.inf),
            ValueError,
            "linger must be at least 0 and at most 1e+15, not inf",
        ),
        # what would be a flood, or would never begin
        (
            lambda: MigrationPolicy(standby_interval=0),
            ValueError,
            "standby_interval must be at least 0.1 (infinity: never), not 0",
        ),
        (
            lambda: MigrationPolicy(metered_standby_interval=0.01),
            ValueError,
            "metered_standby_interval must be at least 0.1 (infinity: never), not 0.01",
        ),
        (
            lambda: TransportConfig(keep_alive=1e-6),
            ValueError,
            "keep_alive must be at least 0.1 and at most 1e+15 (0: never), not 1e-06",
        ),
        (
            lambda: TransportConfig(attempt_delay=0.009),
            ValueError,
            "attempt_delay must be at least 0.01 and at most 1e+15, not 0.009",
        ),
        (
            lambda: TransportConfig(initial_max_data=0),
            ValueError,
            "initial_max_data must be from 1 to 2**62 - 1, not 0",
        ),
        (
            lambda: TransportConfig(initial_max_stream_data=0),
            ValueError,
            "initial_max_stream_data must be from 1 to 2**62 - 1, not 0",
        ),
        (
            lambda: TransportConfig(max_ack_delay=16.384),
            ValueError,
            "max_ack_delay must be above 0 and below 16.384, not 16.384",
        ),
        (
            lambda: TransportConfig(max_data=10**5000),
            ValueError,
            "max_data must be from 0 to 2**62 - 1, not that large a number",
        ),
        (lambda: TLSConfig(verify="no"), TypeError, "verify must be a bool, not str"),  # type: ignore[arg-type]
        (lambda: LinkProfile(loss=True), TypeError, "loss must be a number, not bool"),
        (
            lambda: networks.Interface(name="eth0", addresses=["192.0.2.1"]),  # type: ignore[arg-type]
            TypeError,
            "each of addresses must be an InterfaceAddress, not str",
        ),
        (
            lambda: MigrationPolicy(address_policy=True),  # type: ignore[arg-type]
            TypeError,
            "address_policy must be an AddressPolicy, not bool",
        ),
        (
            lambda: PolicyRow(prefix="2001:db8::1/32", precedence=1, label=1),
            ValueError,
            "prefix must be like 2001:db8::/32 or 10.0.0.0/8: 2001:db8::1/32 has host bits set",
        ),
        (
            lambda: PolicyTable((PolicyRow(prefix="::/1", precedence=1, label=1),)),
            ValueError,
            "rows must have one for ::/0",
        ),
        (
            lambda: AddressPolicy(table=PolicyTable),  # type: ignore[arg-type]
            TypeError,
            "table must be a PolicyTable, not type",
        ),
    ],
)
def test_what_is_said(make: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}"):
        make()


def test_what_the_documentation_promises_is_taken() -> None:
    MigrationPolicy(move_after=math.inf, standby_interval=math.inf, kinds=("loopback",))  # type: ignore[arg-type]
    assert MigrationPolicy(interfaces=["a", "b"]).interfaces == ("a", "b")
    assert hash(networks.Interface(name="x", addresses=[])) is not None  # type: ignore[arg-type]
    assert TransportConfig(idle_timeout=0, max_datagram_size=1200).idle_timeout == 0
    assert MigrationPolicy(standby_interval=0.1).metered_standby_interval == math.inf
    assert [TransportConfig(keep_alive=time).keep_alive for time in (0, 0.1)] == [0, 0.1]


def test_a_policy_of_the_users_own_may_have_fields_of_its_own() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Mine(trioquic.MigrationPolicy):
        wish: object = None

    assert Mine(wish=7).wish == 7
    with pytest.raises(ValueError, match="start_interfaces"):
        Mine(start_interfaces=0)
