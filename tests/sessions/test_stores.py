"""What both stores do alike: once, newest first, for the same key, not too many, not too old."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from trioquic.sessions import (
    FileSessions,
    MemorySessions,
    Record,
    SessionKey,
    SessionStore,
    TakenSession,
)

from .records import DAY, HOUR, OTHER_KEYS, key, ticket, token

Make = Callable[..., SessionStore]
NOTHING = TakenSession(None, None)


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def make(**options: Any) -> SessionStore:
        if request.param == "memory":
            return MemorySessions(**options)
        return FileSessions(tmp_path / "sessions.json", **options)

    return make


async def take_all(store: SessionStore, where: SessionKey) -> list[Record]:
    found: list[Record] = []
    while (taken := await store.take(where)) != NOTHING:
        found += [record for record in taken if record is not None]
    return found


async def test_nothing_is_there_at_first(make: Make) -> None:
    assert await make().take(key()) == NOTHING


async def test_each_record_is_given_out_once(make: Make) -> None:
    store = make()
    kept = ticket(), token()
    await store.keep(key(), kept)
    assert await store.take(key()) == kept
    assert await store.take(key()) == NOTHING


async def test_the_newest_comes_first(make: Make) -> None:
    """RFC 9000 section 8.1.3: it is the most likely to be accepted."""
    store = make()
    for age in (30, 10, 20):
        await store.keep(key(), [token(f"{age}", age), ticket(f"{age}", age)])
    assert [r.token for r in [(await store.take(key())).token for _ in range(3)] if r] == [
        b"10",
        b"20",
        b"30",
    ]


@pytest.mark.parametrize("other", OTHER_KEYS)
async def test_another_key_gets_nothing(make: Make, other: SessionKey) -> None:
    store = make()
    kept = ticket(), token()
    await store.keep(key(), kept)
    assert await store.take(other) == NOTHING
    assert await store.take(key()) == kept


@pytest.mark.parametrize("other", OTHER_KEYS)
async def test_across_networks_goes_for_tickets_only(make: Make, other: SessionKey) -> None:
    store = make(across_networks=True)
    kept = ticket(), token()
    await store.keep(key(), kept)
    taken = await store.take(other)
    moved = other.network != key().network
    assert taken == ((kept[0], None) if moved else NOTHING)
    assert await store.take(key()) == ((None, kept[1]) if moved else kept)


async def test_expired_records_are_not_given_out(make: Make) -> None:
    store = make(token_lifetime=HOUR)
    fresh = token("fresh", HOUR - 60), ticket("fresh", DAY - 60)
    await store.keep(key(), [token("stale", HOUR + 1), ticket("stale", DAY + 1), *fresh])
    assert set(await take_all(store, key())) == set(fresh)


async def test_a_record_expires_while_it_is_kept(make: Make) -> None:
    store = make(token_lifetime=0.05)
    await store.keep(key(), [token()])
    await trio.sleep(0.06)
    assert await store.take(key()) == NOTHING


async def test_a_record_from_the_future_waits(make: Make) -> None:
    """The clock was set back: how old the ticket is could not be told to the server."""
    store = make()
    await store.keep(key(), [ticket(age=-HOUR), token(age=-HOUR)])
    assert await store.take(key()) == NOTHING


async def test_a_clock_that_was_slewed_back_costs_nothing(make: Make) -> None:
    store = make()
    records: list[Record] = [ticket(age=-5), token(age=-5)]
    await store.keep(key(), records)
    assert set(await take_all(store, key())) == set(records)


@pytest.mark.parametrize("limits", [{"per_server": 3}, {"most": 3}])
async def test_what_is_from_the_future_keeps_nothing_out(make: Make, limits: Any) -> None:
    """Else nothing would be resumed before the clock has caught up."""
    store = make(**limits)
    await store.keep(key(), [token(f"future {n}", age=-HOUR - n) for n in range(4)])
    fresh = token("now")
    await store.keep(key(), [fresh])
    assert await store.take(key()) == TakenSession(None, fresh)


async def test_the_oldest_of_one_server_go(make: Make) -> None:
    store = make(per_server=3)
    elsewhere = key(server_name="other.example")
    await store.keep(elsewhere, [token("other", 100), ticket("other", 100)])
    for age in range(9, 0, -1):
        # on all its networks together
        where = key(network=f"wlan{age % 2}")
        await store.keep(where, [token(f"{age}", age), ticket(f"{age}", age)])
    left = await take_all(store, key(network="wlan0")) + await take_all(store, key(network="wlan1"))
    assert len(left) == 6
    assert {r.token for r in left if not hasattr(r, "ticket")} == {b"1", b"2", b"3"}
    assert len(await take_all(store, elsewhere)) == 2


async def test_the_oldest_of_all_go(make: Make) -> None:
    store = make(most=5)
    for age in range(10, 0, -1):
        await store.keep(key(port=age), [token(f"{age}", age)])
    left = [age for age in range(1, 11) if (await store.take(key(port=age))).token]
    assert left == [1, 2, 3, 4, 5]


async def test_what_is_put_back_has_its_age(make: Make) -> None:
    store = make()
    await store.keep(key(), [token("old", 20), token("new", 10)])
    taken = (await store.take(key())).token
    assert taken is not None
    await store.keep(key(), [token("newest")])
    await store.keep(key(), [taken])
    names = [r.token for r in await take_all(store, key()) if not hasattr(r, "ticket")]
    assert names == [b"newest", b"new", b"old"]


async def test_the_same_record_is_kept_once(make: Make) -> None:
    store = make()
    kept = token()
    await store.keep(key(), [kept, kept])
    await store.keep(key(), [kept])
    assert await take_all(store, key()) == [kept]


async def test_a_huge_record_is_not_kept(make: Make) -> None:
    store = make()
    await store.keep(key(), [ticket(peer_certificates=(bytes(40_000),)), token("x" * 40_000)])
    assert await store.take(key()) == NOTHING


async def test_cleared(make: Make) -> None:
    store = make()
    await store.keep(key(), [ticket(), token()])
    if isinstance(store, MemorySessions):
        assert len(store) == 2
        store.clear()
        assert len(store) == 0
    else:
        assert isinstance(store, FileSessions)
        await store.clear()
    assert await store.take(key()) == NOTHING


async def test_cancelled_nothing_is_taken(make: Make) -> None:
    store = make()
    kept = ticket(), token()
    await store.keep(key(), kept)
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.take(key())
    assert scope.cancelled_caught
    assert await store.take(key()) == kept


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"across_networks": 1}, TypeError),
        ({"per_server": 0}, ValueError),
        ({"per_server": 1.0}, TypeError),
        ({"most": 513}, ValueError),
        ({"most": True}, TypeError),
        ({"token_lifetime": 0}, ValueError),
        ({"token_lifetime": float("nan")}, ValueError),
        ({"token_lifetime": "1"}, TypeError),
    ],
)
def test_misuse(make: Make, options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        make(**options)


def test_secrets_are_not_shown() -> None:
    assert "secret-token" not in repr(token("secret-token"))
    assert "SECRET" not in repr(ticket(secret=b"SECRET"))
