"""The choice of a congestion controller, and one that a user brings (docs/congestion.md)."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trioquic import CongestionControl, TransportConfig
from trioquic._protocol.recovery.choice import Foreign, new_controller
from trioquic._protocol.recovery.congestion import NewReno
from trioquic._protocol.recovery.cubic import Cubic
from trioquic._protocol.space import APPLICATION

from .driver import SIZE, Sender

DOCUMENT = Path(__file__).parents[2] / "docs/congestion.md"


class Noted:
    """A controller that notes how it is called."""

    def __init__(self, max_datagram_size: int) -> None:
        self.window = 10 * max_datagram_size
        self.in_slow_start = True
        self.calls: list[tuple[Any, ...]] = []

    def on_acked(self, size: int, time_sent: float, now: float) -> None:
        self.calls.append(("acked", size, time_sent, now))

    def on_round(self) -> None:
        self.calls.append(("round",))

    def on_rtt_sample(self, latest: float, smoothed: float) -> None:
        self.calls.append(("rtt", latest, smoothed))

    def on_congestion(self, time_sent: float, now: float) -> None:
        self.calls.append(("congestion", time_sent, now))
        self.window //= 2

    def on_persistent_congestion(self) -> None:
        self.calls.append(("persistent",))
        self.window = 1


class Maker:
    """Makes controllers and keeps them."""

    def __init__(self) -> None:
        self.made: list[Noted] = []

    def __call__(self, max_datagram_size: int) -> CongestionControl:
        self.made.append(Noted(max_datagram_size))
        return self.made[-1]


def test_names() -> None:
    assert isinstance(new_controller("cubic", SIZE), Cubic)
    assert isinstance(new_controller("newreno", SIZE), NewReno)
    with pytest.raises(ValueError, match="bbr"):
        new_controller("bbr", SIZE)


def test_each_path_and_each_reset_has_one_of_its_own() -> None:
    maker = Maker()
    sender = Sender(congestion=maker)
    sender.detector.add_path(1)
    assert len(maker.made) == 2
    old = sender.send(3)
    sender.detector._paths[0].reset()
    assert len(maker.made) == 3
    # what was sent before says nothing to the new one, and nothing to the old one any more
    sender.now += 0.1
    sender.ack(*old)
    assert [control.calls for control in maker.made] == [[], [], []]
    new = sender.send(3)
    sender.now += 0.1
    sender.ack(*new)
    assert maker.made[0].calls == maker.made[1].calls == []
    assert maker.made[2].calls[0] == ("round",)


def test_what_it_is_told() -> None:
    maker = Maker()
    sender = Sender(congestion=maker)
    control = maker.made[0]
    sent = sender.send(10)  # fills the window
    sender.now += 0.5
    sender.ack(sent[0], sent[1])
    assert control.calls == [
        ("round",),
        ("acked", SIZE, 100.0, 100.5),
        ("acked", SIZE, 100.0, 100.5),
        ("rtt", 0.5, 0.5),
    ]
    control.calls.clear()
    sender.ack(*sent[2:])  # the same round: all were sent before it began
    assert [call[0] for call in control.calls] == ["acked"] * 8 + ["rtt"]
    control.calls.clear()
    (lonely,) = sender.send()  # a window that is not full
    sender.now += 0.5
    sender.ack(lonely)
    assert control.calls == [("round",), ("rtt", 0.5, 0.5)]
    control.calls.clear()
    more = sender.send(5)
    sender.now += 0.5
    sender.ack(more[4])
    assert [call[0] for call in control.calls] == ["round", "rtt", "congestion"]
    assert control.calls[-1] == ("congestion", 101.0, 101.5)


def test_its_window_is_obeyed_but_for_the_least() -> None:
    maker = Maker()
    sender = Sender(congestion=maker)
    control = maker.made[0]
    assert sender.detector._paths[0].send_budget(sender.now) == 12_000
    path = sender.path.congestion
    path.on_congestion(1.0, 2.0)
    assert path.window == 6_000
    assert path.congestion_events == 1
    path.on_persistent_congestion()
    assert control.window == 1
    assert path.window == 2 * SIZE
    assert path.in_slow_start
    control.in_slow_start = False
    assert not path.in_slow_start


def test_our_own_can_be_brought_like_a_foreign_one() -> None:
    # the interface is enough to do what is done without it
    own, foreign = Sender(), Sender(congestion=Cubic)
    assert isinstance(foreign.path.congestion, Foreign)
    for sender in (own, foreign):
        for _ in range(6):
            sent: list[int] = []
            while sender.detector._paths[0].send_budget(sender.now) > 0:
                sent += sender.send()
            sender.now += 0.1
            sender.ack(*sent[: len(sent) // 2], *sent[len(sent) // 2 + 2 :])
    assert own.path.congestion.congestion_events > 0
    assert foreign.path.congestion.window == own.path.congestion.window
    flights = [sender.path.in_flight[APPLICATION] for sender in (own, foreign)]
    assert flights[0].next_seq == flights[1].next_seq


def test_the_documented_example_works() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    transport: TransportConfig = names["transport"]
    sender = Sender(congestion=transport.congestion)
    assert sender.path.congestion.window == 250_000
    for _ in range(30):
        sent = sender.send(5)
        sender.now += 0.1
        sender.ack(sent[4])
    assert sender.path.packets_lost > 0
    assert sender.path.congestion.window == 250_000


class Half:
    """Not all of it."""

    window = 12_000
    in_slow_start = False

    def on_acked(self, size: int, time_sent: float, now: float) -> None: ...


def broken(max_datagram_size: int) -> CongestionControl:
    raise LookupError("my own mistake")


def windowed(window: object) -> Callable[[int], object]:
    class Odd(Noted):
        def __init__(self, max_datagram_size: int) -> None:
            super().__init__(max_datagram_size)
            self.window = window  # type: ignore[assignment]

    return Odd


@pytest.mark.parametrize(
    ("choice", "kind", "what"),
    [
        ("bbr", ValueError, "'bbr' is none of cubic, newreno"),
        ("", ValueError, "none of cubic"),
        (None, TypeError, "a name or a callable, not NoneType"),
        (3, TypeError, "a name or a callable, not int"),
        (Noted(SIZE), TypeError, "a name or a callable, not Noted"),
        (lambda size: None, TypeError, "NoneType lacks window, in_slow_start, on_acked"),
        (
            lambda size: Half(),
            TypeError,
            "Half lacks on_round, on_rtt_sample, on_congestion, on_persistent_congestion",
        ),
        (Half, TypeError, "argument"),
        (windowed(12_000.0), TypeError, "window must be an integer, not float"),
        (windowed(True), TypeError, "window must be an integer, not bool"),
        (broken, LookupError, "my own mistake"),
    ],
)
def test_nonsense_is_refused_where_it_is_said(
    choice: Any, kind: type[Exception], what: str
) -> None:
    with pytest.raises(kind, match=what):
        TransportConfig(congestion=choice)


@pytest.mark.parametrize("choice", ["cubic", "newreno", Noted])
def test_sense_is_accepted(choice: Any) -> None:
    assert TransportConfig(congestion=choice).congestion == choice
