"""The knobs of a policy: what they mean, which values are refused, and which networks they allow.

What is decided by them is in `_decide.py` and `_settled.py`; `MigrationPolicy` is both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Final, Self

from .. import _checks, networks
from .._address.pairs import KINDS
from .._address.policy_table import DEFAULT_POLICY
from ..addresses import AddressPair, AddressPolicy

_LOOPBACK: Final = "loopback"
_TUNNEL: Final = "tunnel"
_UNKNOWN: Final = "other"


# without slots, so that a subclass that is no dataclass may have attributes of its own
@dataclass(frozen=True, kw_only=True)
class Knobs:
    """What an application chooses; `MigrationPolicy` has the units."""

    enabled: bool = _checks.checked(True, _checks.flag)
    """False: the connection stays on the path of its handshake; `add_path` and `migrate` raise
    `MigrationNotAllowedError`, and nothing happens by itself."""
    automatic: bool = _checks.checked(True, _checks.flag)
    """False: only the application moves the connection, with `migrate` and `migrate_to`."""
    only_interfaces: Sequence[str] = _checks.checked((), _checks.names(empty=True))
    """*Only these*: names of the interfaces that may be used, in the order of preference; no other
    is, also not to begin on. Empty: all."""
    interfaces: Sequence[str] = _checks.checked((), _checks.names(empty=True))
    """*These first*: names of interfaces in the order of preference, before all others. (*Start
    here* is `open_connection(interface=...)`.)"""
    # Without any kind nothing could be used; enabled=False says that, if it is meant.
    kinds: Sequence[str] = _checks.checked(KINDS, _checks.names(networks.KINDS, empty=False))
    """Kinds of networks; a kind that is missing is not used, also not to begin on, unless an
    interface is named. If nothing else leads to the server, a connection may begin on a network of
    kind `other` all the same, as nobody knows what that is. Another order than the default's comes
    before the metrics of the system's routes, which come before the default's."""
    leave_tunnel: bool = _checks.checked(False, _checks.flag)
    """Whether a connection may leave a tunnel (a VPN) for a network outside it. False: where the
    system sends packets to the server through a tunnel, only tunnels are used, also while there is
    none: the connection waits for it."""
    tunnel_only: bool = _checks.checked(False, _checks.flag)
    """Whether to use nothing but tunnels, also to begin: without one there is no connection. For
    who connects again after a connection in a tunnel was lost (`Connection.in_tunnel`)."""
    not_tunnels: Sequence[str] = _checks.checked((), _checks.names(empty=True))
    """Names of interfaces that are tunnels and hide nobody, such as a DSL line's `ppp0`: a
    connection may leave them, and beside a VPN they are outside."""
    metered: bool = _checks.checked(True, _checks.flag)
    """Whether metered networks may be used at all, also to begin, unless the connection is told to
    start there; they come after those that are not."""
    address_policy: AddressPolicy = _checks.checked(DEFAULT_POLICY, _checks.instance(AddressPolicy))
    """What RFC 6724 leaves to the application, for the order of the server's addresses and for ours
    on each network, at the beginning and for each move: the policy table, public or temporary
    addresses, home or care-of addresses (`trioquic.addresses.AddressPolicy`)."""
    start_interfaces: int | None = _checks.checked(None, _checks.whole(1, 256))
    """From where to connect at first (RFC 8305). None: from where the system sends packets, and if
    there is no connection after `TransportConfig.attempt_delay`, beside that from every other
    interface that may be used, one after the other, metered ones last; the first to complete the
    handshake stays. 1: only from where the system sends packets. A larger number: from so many
    interfaces in the order of preference, each in its turn from the beginning."""
    move_after: int = _checks.checked(1, _checks.whole(0, infinite=True))
    """PTOs without an answer, and with nothing else heard, after which the connection moves to a
    validated standby path before that has answered again, or to the one port that is silent where
    others have met somebody else. Before, it goes where an answer comes from first. Infinity:
    always so."""
    degraded_after: int = _checks.checked(3, _checks.whole(1, 1 << 16))
    """PTOs in a row without an answer after which the active path counts as degraded, and the
    connection moves to a path that was asked and has not answered either, if no other has."""
    standby: int = _checks.checked(1, _checks.whole(0, 256))
    """How many other paths to keep validated, so that a failover costs no validation."""
    standby_interval: float = _checks.checked(25.0, _checks.number(0.1, never=inf))
    """Seconds after which a standby path is challenged again, 0.1 at least: before a NAT forgets
    it. Infinity: never."""
    metered_standby_interval: float = _checks.checked(inf, _checks.number(0.1, never=inf))
    """The same on a metered network; infinity: it is validated once."""
    move_back_after: float = _checks.checked(1.0, _checks.number(infinite=True))
    """Seconds a better network must have been validated before the connection returns to it. Each
    return within five minutes doubles it, up to 128 s. Infinity: never."""
    switches_per_minute: int = _checks.checked(5, _checks.whole(0))
    """How often a minute the connection may leave a path for its silence, so that two bad networks
    cause no flapping."""
    no_path_timeout: float = _checks.checked(inf, _checks.number(infinite=True))
    """Seconds to wait without any path before `NoPathError`; the idle timeout bounds it anyway.
    Infinity: only that."""
    return_grace: float = _checks.checked(0.3, _checks.number(infinite=True))
    """Seconds to wait for the network in use to come back, as after the flap of a tunnel or a new
    lease of its address, where other networks are there, but the server forbids migration or gave
    no connection ID for them: then the end, with `NoPathError`. All that time the health is
    `WAITING`, so who watches it (`trioquic.httpx`, `trioquic fetch`) goes on elsewhere at once."""
    use_preferred_address: bool = _checks.checked(True, _checks.flag)
    """Whether to move to the server's preferred address (RFC 9000 section 9.6), and to ask both
    addresses from a new network (section 9.6.3). False: it is ignored."""
    new_port: bool = _checks.checked(True, _checks.flag)
    """Whether to try another port when the path is silent and there is no other network: a NAT or
    firewall may have forgotten the old one."""
    linger: float = _checks.checked(3.0, _checks.number(unit="of PTOs"))
    """How long a path that was left is still listened to, in PTOs of that path, so that packets
    that were under way are not lost."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)
        self._check_subclasses()
        if self.tunnel_only and self.leave_tunnel:
            raise ValueError("tunnel_only and leave_tunnel contradict each other")
        named = (*self.only_interfaces, *self.interfaces)
        if self.tunnel_only and _TUNNEL not in self.kinds and not named:
            raise ValueError("tunnel_only needs 'tunnel' among kinds, or a tunnel that is named")

    def _check_subclasses(self) -> None:
        """A knob in the body of a class that is no dataclass would be ignored without a word."""
        names = {field.name for field in fields(self)}
        for cls in type(self).__mro__:
            knob = next((name for name in vars(cls) if name in names), None)
            if knob is not None and "__dataclass_fields__" not in vars(cls):
                raise TypeError(
                    f"{cls.__name__}.{knob} is ignored: write {cls.__name__}({knob}=...), or make "
                    f"it a field, with @dataclass(frozen=True, kw_only=True) and an annotation"
                )

    def inside(self, beside: Iterable[str] = ()) -> Self:
        """The same for who was in a tunnel, and must stay in one (`tunnel_only`) that is none of
        those `beside` it."""
        return replace(
            self,
            tunnel_only=True,
            leave_tunnel=False,
            kinds=self.kinds if _TUNNEL in self.kinds else (*self.kinds, _TUNNEL),
            not_tunnels=tuple(dict.fromkeys((*self.not_tunnels, *beside))),
        )

    def is_tunnel(self, interface: networks.Interface) -> bool:
        """Whether the interface is a tunnel, as far as the application knows."""
        return interface.kind == _TUNNEL and interface.name not in self.not_tunnels

    def wants(self, interface: str | None, kind: str, metered: bool | None) -> bool:
        """Whether a network of this kind may be used; who names an interface knows its kind."""
        return self.why_not(interface, kind, metered) is None

    def why_not(self, interface: str | None, kind: str, metered: bool | None) -> str | None:
        """Which field forbids a network like this, and what for; None if it may be used."""
        if metered and not self.metered:
            return f"metered=False: {interface}"
        if kind in self.kinds or interface in (*self.only_interfaces, *self.interfaces):
            return None
        return f"kinds: {interface} is {kind}"

    def limits(self, interfaces: Iterable[networks.Interface]) -> bool:
        """Whether any of these networks may not be used, so that packets must not go wherever the
        system sends them."""
        return any(
            not self.wants(interface.name, interface.kind, interface.metered)
            for interface in interfaces
            if interface.up and interface.addresses and interface.kind != _LOOPBACK
        )

    def to_begin(self, pairs: Sequence[AddressPair]) -> list[AddressPair]:
        """Those that a connection may begin on, in the same order. Systems do not tell what every
        network is: such ones do where nothing else does."""
        wanted = [pair for pair in pairs if self.wants(pair.interface, pair.kind, pair.metered)]
        return wanted or [
            pair for pair in pairs if pair.kind == _UNKNOWN and (self.metered or not pair.metered)
        ]
