"""A simulated multi-homed network for testing what a program does when its network changes.

Hosts with several interfaces hang on access links with delay, rate, loss, reordering, duplication
and corruption; links can be cut, NATs rebound, interfaces and addresses taken away, all under
program control, seeded and repeatable. Any trio program that speaks UDP runs on it unmodified, and
under `trio.testing.MockClock(autojump_threshold=0)` in no time at all::

    async with SimulatedNetwork(seed=1) as net:
        net.host("server").add_interface("eth0", "198.51.100.1")
        phone = net.host("phone")
        wifi = phone.add_interface("wlan0", "192.0.2.10", kind="wifi", delay=0.025, loss=0.02)
        phone.add_interface("wwan0", "203.0.113.10", kind="cellular", delay=0.04)
        with phone.as_current():
            async with trioquic.open_connection("198.51.100.1", 4433, networks=phone, ...) as conn:
                ...
                wifi.down()
                ...

Start the server in a task inside `with server.as_current():`. Nothing here is a QUIC server.
"""

from ._host import Host, Interface
from ._link import Link, LinkDirection, LinkOptions, LinkProfile
from ._nat import Nat
from ._network import SimulatedNetwork
from ._record import Datagram, Fate, Filter, Record, Recorder
from ._sockets import SimulatedSocket

__all__ = [
    "Datagram",
    "Fate",
    "Filter",
    "Host",
    "Interface",
    "Link",
    "LinkDirection",
    "LinkOptions",
    "LinkProfile",
    "Nat",
    "Record",
    "Recorder",
    "SimulatedNetwork",
    "SimulatedSocket",
]
