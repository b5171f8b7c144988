"""Windows' news of changed interfaces, addresses and routes, through the IP Helper API.

`NotifyIpInterfaceChange`, `NotifyUnicastIpAddressChange` and `NotifyRouteChange2` take a function
and call it in a thread of the system's pool. `CancelMibChangeNotify2` returns when no call is under
way any more (ctypes gives up the interpreter's lock meanwhile, so a call under way can end), hence
what was cancelled may be forgotten. The details that come with a call are not read: the snapshot
and the routes that are asked for are the truth.

The library is an argument, so that all this can be tested without Windows.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

from ..system.windows_routes import load_ip_helper

_AF_UNSPEC: Final = 0
_NOTIFICATIONS: Final = (
    "NotifyIpInterfaceChange",
    "NotifyUnicastIpAddressChange",
    "NotifyRouteChange2",
)
# Void; the caller's context, the row that changed, what happened to it
_ARGUMENTS: Final = (None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)


def subscribe(hear: Callable[[], None], library: Any = None) -> Callable[[], None]:
    """Have `hear` called, in any thread, when an interface or address changes; returns what ends
    that. OSError where there is no such library or the system refuses."""
    if library is None:
        library = load_ip_helper()

    def on_change(context: object, row: object, kind: int) -> None:
        hear()

    # other systems have one calling convention only
    function_type = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)
    callback = function_type(*_ARGUMENTS)(on_change)
    # With each handle the function, which must live until the call below has returned.
    subscriptions: list[tuple[ctypes.c_void_p, object]] = []

    def unsubscribe() -> None:
        while subscriptions:
            handle, _ = subscriptions[-1]
            library.CancelMibChangeNotify2(handle)
            subscriptions.pop()

    for name in _NOTIFICATIONS:
        handle = ctypes.c_void_p()
        code = getattr(library, name)(_AF_UNSPEC, callback, None, False, ctypes.byref(handle))
        if code:
            unsubscribe()
            raise OSError(code, f"{name} failed")
        subscriptions.append((handle, callback))
    return unsubscribe
