"""An address that means something on one link only: its zone picks the interface (RFC 4007)."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.programs import needs

from .network import ROOT
from .requirements import LAB_ANYWHERE

pytestmark = [*LAB_ANYWHERE, needs("gtlsserver"), pytest.mark.plain]
THERE = ["zone0", "fe80::1", "fe80::9%zone0"]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.zones"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_connection_stays_on_the_link_of_its_server(told: dict[str, Any]) -> None:
    """The same address on another link is another host: no path leads there, however long the
    connection has none."""
    core = told["core"]
    assert core["begun"] == core["after"] == THERE
    assert set(core["opened"]) <= {"zone0"}
    assert core["waiting"]


def test_a_zone_may_be_written_as_a_number(told: dict[str, Any]) -> None:
    interface, local, remote = told["number"]
    assert [interface, local] == THERE[:2]
    assert remote.startswith("fe80::9%")


@pytest.mark.parametrize("written", ["name", "number"])
def test_an_interface_that_is_made_anew_is_the_same_link(
    told: dict[str, Any], written: str
) -> None:
    """It has the same name and another number, which the zone means from then on."""
    again = told[f"made anew, {written}"]
    before, after = again["numbers"]
    assert before != after
    assert again["path"] == ["zone0", "fe80::3", "fe80::9%zone0"]


def test_another_interface_than_the_zones_is_refused(told: dict[str, Any]) -> None:
    assert "fe80::9%zone0 is on interface 'zone0', and not on 'zone1'" in told["other interface"]


@pytest.mark.parametrize(("client", "good"), [("http3", 200), ("httpx", 200), ("fetch", 0)])
def test_urls_with_a_zone(told: dict[str, Any], client: str, good: int) -> None:
    """RFC 6874; the certificate has the address without it."""
    assert told[client] == [good, 1000]
