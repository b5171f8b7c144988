"""Next hops that routes name by number: replacing one is news although no route changes."""

import json
import subprocess
import sys

import pytest

from tests.lab.network import ROOT
from tests.lab.requirements import LAB_ANYWHERE

pytestmark = [*LAB_ANYWHERE, pytest.mark.plain]

SERVER = ("198.51.100.1", 443)
NAMESPACE = f"""
import json
from tests.lab.relay import configure, enter_new_namespace, make_device
enter_new_namespace()
devices = [make_device(name) for name in ("one", "two")]
# without it the kernel tells of each route that a next hop carries along
with open("/proc/sys/net/ipv4/nexthop_compat_mode", "w") as file:
    file.write("0")
configure([
    "link set lo up",
    "link set one up",
    "link set two up",
    "address add 192.0.2.2/24 dev one",
    "address add 192.0.3.2/24 dev two",
    "nexthop add id 1 dev one",
    "route add default nhid 1",
])
import trio
import trio.testing
import trioquic


async def main():
    networks = trioquic.system_networks()
    chosen = []

    def look():
        chosen.extend(r.interface for r in networks.routes_to([{SERVER}]) if r.chosen)

    networks.snapshot()
    with trio.move_on_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(networks.wait_changed)
            await trio.testing.wait_all_tasks_blocked()
            # for what there was to hear of the devices
            await trio.sleep(0.1)
            look()
            configure(["nexthop replace id 1 dev two"])
        look()
    print(json.dumps(chosen))


trio.run(main)
"""


def test_a_next_hop_that_is_replaced_is_news() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NAMESPACE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if 'Object "nexthop" is unknown' in done.stderr or "nexthop_compat_mode" in done.stderr:
        pytest.skip("next hops are too new for this system")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["one", "two"]
