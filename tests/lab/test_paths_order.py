"""`trioquic paths` prints the ways in the order of the system's metrics, and none beside a tunnel;
on real interfaces, for both families."""

import json
import subprocess
import sys

import pytest

from .network import ROOT
from .requirements import LAB_ANYWHERE
from .vpn_world import SERVERS

pytestmark = [*LAB_ANYWHERE, pytest.mark.plain]

# Two networks, then the same with their metrics exchanged, then the VPN; what is printed for each.
SCRIPT = """
import json, sys
from tests.cli.run import invoke
from tests.lab.vpn_world import VpnWorld, ip

def show(*arguments):
    return invoke("paths", *arguments).stdout

world = VpnWorld("default")
shown = {}
for name in ("first", "exchanged", "tunnel"):
    if name == "exchanged":
        for what, metrics in (("del", (100, 300)), ("add", (300, 100))):
            for prefix, way in (("", "198.19.%d.1"), ("-6 ", "2001:db8:%d::1")):
                for number, metric in enumerate(metrics):
                    route = f"default via {way % (number + 1)} dev eth{number} metric {metric}"
                    ip([f"{prefix}route {what} {route}"])
    if name == "tunnel":
        world.connect_vpn()
    for host in sys.argv[1:]:
        shown[f"{name} {host}"] = show(host)
        if name != "first":
            shown[f"{name} {host} json"] = show(host, "--json")
shown["leave"] = show(sys.argv[1], "--leave-tunnel")
print(json.dumps(shown))
"""


def order(shown: str) -> list[str]:
    """The interfaces of the lines of the table of candidates, from the first to the last."""
    table = shown.partition("Candidate paths")[2].splitlines()
    return [line.split()[1] for line in table if line.split()[:1] and line.split()[0].isdecimal()]


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    command = [sys.executable, "-c", SCRIPT, *SERVERS.values()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("host", SERVERS.values())
def test_metrics_order_what_is_printed(shown: dict[str, str], host: str) -> None:
    for name, expected in (("first", ["eth0", "eth1"]), ("exchanged", ["eth1", "eth0"])):
        text = shown[f"{name} {host}"]
        assert order(text) == expected, text
        assert "the system's own route, metric 100, before metric 300" in " ".join(text.split())
    pairs = json.loads(shown[f"exchanged {host} json"])["pairs"]
    assert [pair["interface"] for pair in pairs] == ["eth1", "eth0"]


@pytest.mark.parametrize("host", SERVERS.values())
def test_beside_a_tunnel_nothing_is_printed_but_why(shown: dict[str, str], host: str) -> None:
    text = shown[f"tunnel {host}"]
    assert order(text) == ["tun0"], text
    for name in ("eth0", "eth1"):
        assert f"No candidate: {name} to {host}, outside the tunnel" in text
    pairs = json.loads(shown[f"tunnel {host} json"])["pairs"]
    assert [pair["interface"] for pair in pairs] == ["tun0"]
    assert order(shown["leave"]) == ["tun0", "eth1", "eth0"]
