"""The network interfaces of this machine, or of a world that the application supplies.

A `NetworkSource` says which interfaces there are and when that has changed. A connection takes the
system's (`trioquic.system_networks`) unless `open_connection(networks=...)` names another: a phone
application that hears from its platform what no library can see, or a simulated network. Such an
application feeds a `ManualNetworks`, or implements the two methods of `NetworkSource` itself.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args, runtime_checkable
from weakref import WeakKeyDictionary

import trio

from . import _checks

InterfaceKind = Literal["ethernet", "wifi", "cellular", "loopback", "tunnel", "other"]
"""What an interface is, as far as anybody can tell."""

KINDS: tuple[InterfaceKind, ...] = get_args(InterfaceKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceAddress:
    """One IP address of an interface, in its canonical form, without a zone.

    `prefix_length` is that of its network, in bits. The flags are IPv6's, and False where nobody
    knows: `temporary` (RFC 8981), `deprecated` (its preferred lifetime is over), `tentative` (the
    system has not yet made sure that it is unique, or it is not; it cannot be used), `home` (a
    mobile node's home address, RFC 6275). Raises ValueError for what is no address.
    """

    address: str
    prefix_length: int
    deprecated: bool = False
    temporary: bool = False
    tentative: bool = False
    home: bool = False

    def __post_init__(self) -> None:
        _checks.check_fields(self, _ADDRESS)
        parsed = ipaddress.ip_address(self.address.partition("%")[0])
        if not 0 <= self.prefix_length <= parsed.max_prefixlen:
            raise ValueError(f"{self.address} cannot have a prefix of {self.prefix_length} bits")
        object.__setattr__(self, "address", str(parsed))

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.address).version


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network interface. `index` is the system's number for it, None where there is none.

    `up`: packets can pass (it is switched on and has a carrier). `metered`: traffic costs, None if
    unknown. `name` is what `open_connection(interface=...)` takes. Raises ValueError for an empty
    name and for a `kind` that is not in `KINDS`, TypeError for wrong types.
    """

    name: str
    index: int | None = None
    kind: InterfaceKind = "other"
    up: bool = True
    metered: bool | None = None
    addresses: tuple[InterfaceAddress, ...] = ()

    def __post_init__(self) -> None:
        _checks.check_fields(self, _INTERFACE)


_ADDRESS: Final[_checks.Table] = {
    "address": _checks.text,
    "prefix_length": _checks.whole(0, 128),
    "deprecated": _checks.flag,
    "temporary": _checks.flag,
    "tentative": _checks.flag,
    "home": _checks.flag,
}
_INTERFACE: Final[_checks.Table] = {
    "name": _checks.text,
    "index": _checks.optional(_checks.whole(0)),
    "kind": _checks.one_of(KINDS),
    "up": _checks.flag,
    "metered": _checks.optional(_checks.flag),
    "addresses": _checks.several(InterfaceAddress),
}


@runtime_checkable
class NetworkSource(Protocol):
    """Where the interfaces come from, and the news of them.

    Who watches does this, best without a checkpoint between the snapshot and `wait_changed`::

        while True:
            act_on(source.snapshot())
            await source.wait_changed()

    One source may serve several connections at the same time, so it must wake every task that
    waits. The methods are called from trio's thread.
    """

    def snapshot(self) -> tuple[Interface, ...]:
        """All interfaces as they are now, also those that are down.

        Must not block for long (a few milliseconds at most), and must not raise: a source that
        cannot tell at the moment repeats its last answer.
        """
        ...

    async def wait_changed(self) -> None:
        """Return when the snapshot may differ from what it was at the time of the call, or when
        something else has changed that lets packets pass now, such as a route.

        To return without need is allowed but costs work; to miss a change is not allowed: one
        that happens at any time after the call, even before its first checkpoint, ends the wait.
        May be cancelled at any time and called again.
        """
        ...


class ManualNetworks:
    """A source that the application feeds: what it is told in `update` is what there is.

    Call `update` from trio's thread (from others with `trio.from_thread.run_sync`) whenever the
    platform reports something. No wake-up is missed, whatever a task does between two calls:
    `wait_changed` returns at once if there was an update since the task's last `wait_changed`
    returned (before the first of them: since its first `snapshot`).
    """

    def __init__(self, interfaces: Iterable[Interface] = ()) -> None:
        self._interfaces = _checked(interfaces)
        self._version = 0
        # Each task has its own place, so that none takes away another's wake-up.
        self._seen: WeakKeyDictionary[trio.lowlevel.Task, int] = WeakKeyDictionary()
        self._news = trio.Event()

    def __repr__(self) -> str:
        return f"<ManualNetworks {' '.join(i.name for i in self._interfaces)}>"

    @property
    def version(self) -> int:
        """How many updates have changed something."""
        return self._version

    def update(self, interfaces: Iterable[Interface]) -> bool:
        """Replace all interfaces; whether that changed anything. Wakes those who wait if it did.

        Raises ValueError if two interfaces have the same name, TypeError for what is none.
        """
        checked = _checked(interfaces)
        if checked == self._interfaces:
            return False
        self._interfaces = checked
        self.notify()
        return True

    def notify(self) -> None:
        """Wake those who wait although the interfaces are the same: for instance, there is a
        route again."""
        self._version += 1
        self._news.set()
        self._news = trio.Event()

    def snapshot(self) -> tuple[Interface, ...]:
        """What the last `update` said."""
        if trio.lowlevel.in_trio_task():
            self._seen.setdefault(trio.lowlevel.current_task(), self._version)
        return self._interfaces

    async def wait_changed(self) -> None:
        """Wait for an update that this task has not seen. Cancelled, it remains unseen."""
        task = trio.lowlevel.current_task()
        if self._seen.setdefault(task, self._version) == self._version:
            await self._news.wait()
        else:
            await trio.lowlevel.checkpoint()
        self._seen[task] = self._version


def _checked(interfaces: Iterable[Interface]) -> tuple[Interface, ...]:
    result = tuple(interfaces)
    names = set()
    for interface in result:
        if not isinstance(interface, Interface):
            raise TypeError(f"{interface!r} is no Interface")
        if interface.name in names:
            raise ValueError(f"two interfaces are called {interface.name!r}")
        names.add(interface.name)
    return result
