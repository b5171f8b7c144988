"""Objects that only the library makes cannot be made by a call, and every one is in this table."""

import dataclasses
import enum
import importlib
import inspect
from typing import Any

import pytest
import trio

from trioquic._construction import NoPublicConstructor, create

MODULES = (
    "trioquic trioquic.http3 trioquic.httpx trioquic.anyio trioquic.testing trioquic.sessions"
    " trioquic.networks trioquic.policy"
).split()
MADE_BY = {
    "trioquic": {
        "Connection": "open_connection",
        "DatagramReceipt": "Connection.send_datagram",
        "Path": "Connection.add_path",
        "ReceiveStream": "Connection.accept_stream",
        "SendStream": "Connection.open_send_stream",
        "Stream": "Connection.open_stream",
    },
    "trioquic.http3": {
        "HTTP3Connection": "open_http3",
        "Request": "HTTP3Connection.open_request",
        "Response": "HTTP3Connection.request",
    },
    "trioquic.testing": {
        "Host": "SimulatedNetwork.host",
        "Interface": "Host.add_interface",
        "Link": "Host.add_interface",
        "LinkDirection": "Host.add_interface",
        "Recorder": "SimulatedNetwork.record",
        "SimulatedSocket": "trio.socket.socket",
    },
}
# What an application makes, beside configuration, errors and other plain values.
MADE_BY_CALLS = {
    "trioquic": {"FileSessions", "ManualNetworks", "MemorySessions"},
    "trioquic.http3": {"Client"},
    "trioquic.httpx": {"HTTP3Transport"},
    "trioquic.anyio": {"QuicByteStream", "QuicByteStreamConnectable"},
    "trioquic.sessions": {"FileSessions", "MemorySessions"},
    "trioquic.networks": {"ManualNetworks"},
    "trioquic.testing": {"Nat", "SimulatedNetwork"},
}
ROWS = [(module, name) for module, names in MADE_BY.items() for name in names]


@pytest.mark.parametrize(("module", "name"), ROWS)
def test_a_call_says_what_makes_the_objects(module: str, name: str) -> None:
    kind = getattr(importlib.import_module(module), name)
    for args in ((), (1, 2)):
        with pytest.raises(TypeError, match=f"^{name} objects are made by ") as caught:
            kind(*args)
        assert MADE_BY[module][name] in str(caught.value)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_class_is_one_or_the_other(module: str) -> None:
    public = importlib.import_module(module)
    names = getattr(public, "__all__", None) or vars(public)
    classes = {
        name: value
        for name in names
        if not name.startswith("_")
        and inspect.isclass(value := getattr(public, name))
        and value.__module__.startswith("trioquic")
        and (isinstance(value, NoPublicConstructor) or not is_plain(value))
    }
    internal = {name for name, kind in classes.items() if isinstance(kind, NoPublicConstructor)}
    assert internal == set(MADE_BY.get(module, ()))
    assert set(classes) - internal == MADE_BY_CALLS.get(module, set())


def is_plain(kind: type) -> bool:
    """A value, an error, an interface for type checkers, or a base class without a constructor."""
    return (
        dataclasses.is_dataclass(kind)
        or issubclass(kind, enum.Enum | BaseException | dict)
        or getattr(kind, "_is_protocol", False)
        or kind.__init__ is object.__init__
    )


def test_a_subclass_has_no_public_constructor_either() -> None:
    class Thing(trio.abc.AsyncResource, metaclass=NoPublicConstructor, made_by="nobody"):
        def __init__(self, number: int, *, text: str) -> None:
            self.all = (number, text)

        async def aclose(self) -> None: ...

    class Special(Thing):
        pass

    class Other(Thing, made_by="somebody"):
        pass

    kind: Any
    for kind, maker in ((Thing, "nobody"), (Special, "nobody"), (Other, "somebody")):
        with pytest.raises(TypeError, match=f"{kind.__name__} objects are made by {maker}"):
            kind(1, text="x")
        made = create(kind, 1, text="x")
        assert type(made) is kind and made.all == (1, "x")


def test_create_checks_as_a_call_does() -> None:
    class Abstract(trio.abc.AsyncResource, metaclass=NoPublicConstructor, made_by="nobody"):
        pass

    kind: Any = Abstract
    with pytest.raises(TypeError, match="abstract"):
        create(kind)
