"""Every order of events around the preferred address ends as RFC 9000 says (docs/paths.md)."""

import pytest
import trio
import trio.testing

from tests import sim_server
from tests.preferred.never import faults
from tests.preferred.orders import BESIDE, ORDERS, Order, is_sampled
from tests.preferred.rules import End, verdict
from tests.preferred.world import giving, started

PLAYED = [
    pytest.param(order, id=str(order), marks=() if is_sampled(order) else pytest.mark.series)
    for order in (*ORDERS, *BESIDE)
]


@pytest.mark.parametrize("order", PLAYED)
async def test_each_order_ends_as_the_rfc_says(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    monkeypatch.setattr(sim_server, "_Quic", giving(order.ids.value))
    expected = verdict(order).outcome
    async with started(order) as run:
        await run.prepare()
        await run.play()
        outcome = run.outcome()
        if expected.end is not End.NONE and expected.server is not None:
            await run.revive()
    assert str(outcome) == str(expected)
    assert expected.asked in (None, outcome.asked)
    assert run.done or expected.end is not End.NONE
    assert faults(run) == []
