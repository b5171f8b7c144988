"""What a server's name stands for, each family's answer as it comes (RFC 8305 section 3).

The resolver is asked for both families at once, and the race begins when there is something to
begin with: with IPv6 addresses at once, with IPv4 alone after 50 ms, in which those of IPv6 may
still come. Addresses that come later join the race.

Where there is a tunnel (a VPN) both answers are waited for: whether packets to any of the addresses
take it decides whether the others may be tried at all (`ways.py`).
"""

import errno
import math
import socket
from collections.abc import Callable
from typing import Final

import trio

from ..._protocol.tls.config import is_address
from ..._resolver import resolve, some_of_each_family
from ...errors import LocalAddressError
from ...paths import Address
from ..endpoints import ip_version
from ..sockets.binding import with_named_zone
from ..sockets.sockets import Remote, remote_of
from .arguments import Plan
from .ways import servers_of

_RESOLUTION_DELAY: Final = 0.05
# preferred first
_FAMILIES: Final = (socket.AF_INET6, socket.AF_INET)


class Lookup:
    """One question to the resolver, which may be answered in two parts."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._found: dict[int, list[Remote]] = {}
        # what `begin` raises if there is no address; kept no longer than that, as it refers to this
        # object by the frames of its traceback
        self._error: Exception | None = None
        self._begun = False
        # the families that are asked for, each in a task
        self._pending: dict[int, trio.CancelScope] = {}
        self._news = trio.Event()
        self._listener: Callable[[], None] | None = None

    @property
    def remotes(self) -> list[Remote]:
        """The addresses that are known, in the resolver's order, the preferred family's first; a
        bounded number of each family."""
        return list(dict.fromkeys(remote for part in self._found.values() for remote in part))

    @property
    def complete(self) -> bool:
        """Whether no more addresses are to come."""
        return not self._pending

    def others_than(self, server: Remote) -> list[Address]:
        """What else the name stands for, as far as that is known; nothing where the application
        says where a connection begins."""
        if self._plan.named:
            return []
        own = servers_of([server])
        return [other for other in servers_of(self.remotes) if other not in own]

    async def begin(self, nursery: trio.Nursery) -> None:
        """Ask, and wait until there is enough to begin with; the rest is waited for in the nursery,
        until `close`. Raises what the resolver raises, LocalAddressError if all addresses are of
        another family than the application's own. Cancelled, nothing is asked any more."""
        plan = self._plan
        if plan.addresses or plan.local is not None or is_address(plan.host):
            for host in some_of_each_family(plan.addresses, ip_version) or (plan.host,):
                self._found.setdefault(socket.AF_UNSPEC, []).extend(await _look_up(host, plan))
            return
        self._found = {family: [] for family in _FAMILIES}
        self._pending = {family: trio.CancelScope() for family in _FAMILIES}
        for family, scope in self._pending.items():
            nursery.start_soon(self._ask, family, scope)
        try:
            await self._wait_for_enough()
            if not self.remotes:
                # a question that was cancelled has no answer, whatever the other one has
                await trio.lowlevel.checkpoint_if_cancelled()
                if self._error is not None:
                    raise self._error
        except BaseException:
            self.close()
            raise
        finally:
            self._begun = True
            self._error = None

    def tell(self, listener: Callable[[], None]) -> None:
        """Call this when there are more addresses, and when no more are to come."""
        if self._pending:
            self._listener = listener

    def close(self) -> None:
        """Nobody needs the rest any more."""
        self._listener = None
        for scope in self._pending.values():
            scope.cancel()

    async def _ask(self, family: int, scope: trio.CancelScope) -> None:
        plan = self._plan
        try:
            with scope:
                self._found[family] = await _addresses_of(plan.host, plan, family)
        except Exception as error:
            if not self._begun and (
                self._error is None or _how_final(error) < _how_final(self._error)
            ):
                self._error = error
        finally:
            del self._pending[family]
            self._news.set()
        if self._listener is not None:
            self._listener()
        if not self._pending:
            # whoever listens holds this object
            self._listener = None

    async def _wait_for_enough(self) -> None:
        patience = math.inf
        while self._pending and not (self._found[socket.AF_INET6] and not self._may_be_inside()):
            if self._found[socket.AF_INET] and not self._may_be_inside():
                patience = _RESOLUTION_DELAY
            self._news = trio.Event()
            with trio.move_on_after(patience) as waiting:
                await self._news.wait()
            if waiting.cancelled_caught:
                return

    def _may_be_inside(self) -> bool:
        """Whether the addresses that are not known yet may be reached through a tunnel."""
        policy = self._plan.migration
        if policy.leave_tunnel or self._plan.named:
            return False
        interfaces = self._plan.networks.snapshot()
        return any(interface.up and policy.is_tunnel(interface) for interface in interfaces)


def _how_final(error: Exception) -> int:
    """A question that could not be asked may be answered the next time: that is no "unknown"."""
    if isinstance(error, socket.gaierror):
        return 0 if error.errno == socket.EAI_AGAIN else 1
    return -1


async def _addresses_of(host: str, plan: Plan, family: int) -> list[Remote]:
    """What the resolver knows of a host. Raises socket.gaierror."""
    # the resolver knows the forms of addresses, too, zones among them
    found = await resolve(host, plan.port, family=family, kind=socket.SOCK_DGRAM)
    zone = host.partition("%")[2]
    remotes = [
        remote_of(entry[0], entry[4])
        for entry in found
        # a family that Python was built without has a number in place of an address
        if entry[0] in _FAMILIES and isinstance(entry[4][0], str)
    ]
    if zone:
        # as the application calls it; the resolver tells a number
        remotes = [remote._replace(zone=zone) if remote.zone else remote for remote in remotes]
    return [with_named_zone(remote, plan.networks) for remote in remotes]


async def _look_up(host: str, plan: Plan) -> list[Remote]:
    """The same, of the family of `local` if there is one. Raises LocalAddressError if the host has
    addresses of the other family only."""
    if plan.local is None:
        return await _addresses_of(host, plan, socket.AF_UNSPEC)
    own = socket.AF_INET6 if ip_version(plan.local) == 6 else socket.AF_INET
    try:
        return await _addresses_of(host, plan, own)
    except socket.gaierror as unknown:
        try:
            await _addresses_of(host, plan, socket.AF_UNSPEC)
        except socket.gaierror:
            raise unknown from None
        text = f"local is {plan.local}, and {host} has no IPv{ip_version(plan.local)} address"
        raise LocalAddressError(errno.EAFNOSUPPORT, text) from unknown
