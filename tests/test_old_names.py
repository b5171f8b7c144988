"""Every old name that goes on for one release still works, and warns: one row for each.

Its row goes with it, when its release has come (docs/stability.md).
"""

from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock

import pytest

import trioquic
from trioquic import policy
from trioquic._runtime.opening.arguments import either_local

OLD: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "'x25519mlkem768' in TLSConfig.groups is deprecated .* use 'X25519MLKEM768'": (
        lambda: trioquic.TLSConfig(groups=["x25519mlkem768", "x25519"]),
        lambda: trioquic.TLSConfig(groups=["X25519MLKEM768", "x25519"]),
    ),
    "^PathFailed is deprecated .* use ValidationFailed and PathClosed": (
        lambda: trioquic.PathFailed,
        lambda: trioquic.PathClosed.__base__,
    ),
    "trioquic.policy.What is deprecated .* use trioquic.policy.Trigger": (
        lambda: policy.What,
        lambda: policy.Trigger,
    ),
    "PolicyEvent.what is deprecated .* use PolicyEvent.trigger": (
        lambda: policy.PolicyEvent(trigger=policy.Trigger.TIME).what,
        lambda: policy.Trigger.TIME,
    ),
    r"^open_connection\(local_address=...\) is deprecated .* use local=...": (
        lambda: either_local(None, "192.0.2.1"),
        lambda: either_local("192.0.2.1", None),
    ),
}


@pytest.mark.parametrize("text", OLD)
def test_the_old_one_is_the_new_one_with_a_warning(text: str) -> None:
    old, new = OLD[text]
    with pytest.warns(trioquic.QuicDeprecationWarning, match=text) as caught:
        found = old()
    assert found == new()
    assert {(one.filename, one.lineno) for one in caught} == {
        (__file__, old.__code__.co_firstlineno)
    }


@pytest.mark.parametrize("fact", ["complete", "confirmed"])
async def test_the_old_wait_is_the_new_one_with_a_warning(fact: str) -> None:
    old = {"complete": "wait_handshake", "confirmed": "wait_confirmed"}[fact]
    new = f"wait_handshake_{fact}"
    conn: Any = AsyncMock(spec=trioquic.Connection)
    text = f"^Connection.{old} is deprecated .* use Connection.{new}$"
    with pytest.warns(trioquic.QuicDeprecationWarning, match=text) as caught:
        await getattr(trioquic.Connection, old)(conn)
    getattr(conn, new).assert_awaited_once_with()
    assert {one.filename for one in caught} == {__file__}
