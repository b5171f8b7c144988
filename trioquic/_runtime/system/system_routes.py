"""Who is asked for the system's routes, by the name of the system.

Linux: rtnetlink(7). Windows: the IP Helper API. Others, and Linux where it forbids or fails that:
sockets that are connected, which sends nothing, and tells at least whether the system's choice is a
tunnel. What is not told is None: then every interface counts (`networks.RoutingSource`).
"""

from collections.abc import Callable, Sequence
from functools import partial

from ...networks import Interface, Route
from ...paths import Address
from .interface_binding import bind_by_name, binder_for
from .linux_routes import linux_routes
from .probed_routes import probed_routes
from .windows_routes import windows_routes

AskRoutes = Callable[[Sequence[Interface], Sequence[Address]], tuple[Route, ...] | None]
"""Gets a snapshot and servers (port 0: unknown); the routes to them, or None. Does not raise."""


def route_asker_for(platform: str) -> AskRoutes:
    """Who answers on `sys.platform`."""
    if platform in ("linux", "android"):
        return _linux
    if platform == "win32":
        return windows_routes
    return partial(probed_routes, binder=binder_for(platform))


def _linux(interfaces: Sequence[Interface], servers: Sequence[Address]) -> tuple[Route, ...] | None:
    told = linux_routes(interfaces, servers)
    return probed_routes(interfaces, servers, binder=bind_by_name) if told is None else told
