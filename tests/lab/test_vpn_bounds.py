"""The series by hand, `make vpn-lab`, fail when a bound does not hold."""

import sys
from collections.abc import Callable

import pytest
import trio

from . import vpn, vpn_attacks, vpn_fallback

pytestmark = pytest.mark.plain
GOOD = vpn.Result(
    setup="default",
    connections=2,
    complete=1,
    waits=3,
    preferred=1,
    inside=1,
    named=1,
    kept=1,
    early=1,
    entered=1,
)


@pytest.mark.parametrize(
    "worse",
    [
        {},
        {"outside": 1},
        {"inside": 0},
        {"complete": 0},
        {"waits": 2},
        {"preferred": 0},
        {"kept": 0},
        {"strays": 1},
        {"entered": 0},
        {"late": 1},
    ],
    ids=str,
)
def test_connections_through_a_vpn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], worse: dict[str, int]
) -> None:
    """Whichever of the setups it is."""
    found = {"default": GOOD, "halves": vpn.Result(**{**vars(GOOD), "setup": "halves", **worse})}
    monkeypatch.setattr(vpn, "run_apart", lambda setup, count: found[setup])
    monkeypatch.setattr(sys, "argv", ["vpn", "--setups", "halves,default"])
    assert _code(vpn.main) == bool(worse)
    assert capsys.readouterr().err.count("BROKEN in halves: ") == bool(worse)


@pytest.mark.parametrize("worse", [{}, {"outside": 1}, {"loads": 1}, {"lost": 2}], ids=str)
def test_attacks(monkeypatch: pytest.MonkeyPatch, worse: dict[str, int]) -> None:
    outcome = {"opened": 3, "loads": 3, "inside": 1, **worse}
    monkeypatch.setattr(
        vpn_attacks, "run_apart", lambda name: vpn_attacks.Outcome(attack=name, **outcome)
    )
    monkeypatch.setattr(sys, "argv", ["vpn_attacks"])
    assert _code(vpn_attacks.main) == bool(worse)


@pytest.mark.parametrize("outside", [0, 1])
def test_the_fallback(monkeypatch: pytest.MonkeyPatch, outside: int) -> None:
    good, gone = "200 HTTP/1.1", "ConnectError: the tunnel is gone"
    found = {"answers": [good, gone, good], "outside": outside, "inside": 1}
    monkeypatch.setattr(trio, "run", lambda run: found)
    assert _code(vpn_fallback.main) == outside


def _code(main: Callable[[], None]) -> object:
    """With which the process ends."""
    try:
        main()
    except SystemExit as ended:
        return ended.code
    return 0
