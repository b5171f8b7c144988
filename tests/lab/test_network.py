"""The lab itself: its delays are right, its links obey, and it leaves nothing behind."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from .lines import Lines
from .network import ROOT, Lab, Passage, linkable_ids, open_lab
from .plan import CELLULAR, PORT, PREFERRED, SERVER, WIFI, LinkPlan
from .requirements import LAB

pytestmark = LAB

# Two small programs, for inside the namespaces: one sends back what comes, the other measures.
ECHO = f"""
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", {PORT}))
print("1", flush=True)
while True:
    data, address = sock.recvfrom(2048)
    sock.sendto(data, address)
"""
PING = """
import json, socket, sys, time
interface, server, port, count, patience = sys.argv[1:]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
sock.settimeout(float(patience))
times = []
for number in range(int(count)):
    question = number.to_bytes(100, "big")
    sent = time.monotonic()
    sock.sendto(question, (server, int(port)))
    try:
        while sock.recv(2048) != question:
            pass  # the answer to an earlier one
    except OSError:
        continue
    times.append(time.monotonic() - sent)
print(json.dumps({"times": times}))
"""
# A question with its headers.
PING_SIZE = 128
# Seconds for an answer that has to come, however busy the machine, and for one that should not.
EXPECTED = 10.0
UNEXPECTED = 0.3


async def ping(
    lab: Lab,
    link: LinkPlan,
    *,
    count: int,
    server: str = SERVER,
    patience: float = EXPECTED,
) -> list[float]:
    """Round-trip times of those that came back."""
    arguments = (link.name, server, str(PORT), str(count), str(patience))
    command = [sys.executable, "-c", PING, *arguments]
    async with Lines.of(lab.inside(lab.client_space, command)) as output:
        answer = await output.next()
        times: list[float] = answer["times"]
        return times


def echo(lab: Lab) -> list[str]:
    return lab.inside(lab.server_space, [sys.executable, "-c", ECHO])


async def test_links_delay_by_half_a_round_trip() -> None:
    """How late the relay itself is on this machine is measured: `late`, beside each result."""
    async with open_lab() as lab, Lines.of(echo(lab)) as server:
        await server.next()
        for link in (WIFI, CELLULAR):
            assert min(await ping(lab, link, count=20)) >= link.rtt
            passages = [p for p in await lab.passages() if p.link == link.name]
            assert [p.way for p in passages] == ["up", "down"] * 20
            delay = link.rtt / 2 + PING_SIZE * 8 / (link.megabits * 1e6)
            assert [p.due - p.at for p in passages] == pytest.approx([delay] * 40)
            assert all(p.arrived >= p.due for p in passages)
        server.kill()


async def test_links_obey() -> None:
    async with open_lab() as lab, Lines.of(echo(lab)) as server:
        await server.next()
        await lab.silence(WIFI.name)
        assert await ping(lab, WIFI, count=2, patience=UNEXPECTED) == []
        assert len(await ping(lab, CELLULAR, count=2)) == 2
        await lab.tell("deliver", WIFI.name)
        assert len(await ping(lab, WIFI, server=PREFERRED, count=2)) == 2
        await lab.tell("block", WIFI.name, PREFERRED)
        assert await ping(lab, WIFI, server=PREFERRED, count=2, patience=UNEXPECTED) == []
        assert len(await ping(lab, WIFI, count=2)) == 2
        await lab.tell("loss", CELLULAR.name, "0.5")
        answered = await ping(lab, CELLULAR, count=12, patience=UNEXPECTED)
        assert 0 < len(answered) < 12

        passages = await lab.passages()
        fates = {(p.link, p.destination[0], p.fate) for p in passages if p.way == "up"}
        assert (WIFI.name, SERVER, "silent") in fates
        assert (WIFI.name, PREFERRED, "blocked") in fates
        assert (CELLULAR.name, SERVER, "lost") in fates
        assert {p.source[0] for p in passages if p.way == "up"} == {WIFI.client, CELLULAR.client}
        server.kill()


async def test_interfaces_really_go_and_come() -> None:
    async with open_lab() as lab:
        for change, expected in (
            (lab.down, "state DOWN"),
            (lab.up, f"inet {WIFI.client}"),
            (lab.lose_address, ""),
            (lab.regain_address, f"inet {WIFI.client}"),
        ):
            await change(WIFI.name)
            while expected not in await show(lab) or (not expected and "inet" in await show(lab)):
                await trio.lowlevel.checkpoint()


async def show(lab: Lab) -> str:
    command = lab.inside(lab.client_space, ["ip", "address", "show", WIFI.name])
    result = await trio.run_process(command, capture_stdout=True)
    return result.stdout.decode()


def test_linkable_ids_are_found() -> None:
    def sent(link: LinkPlan, name: str) -> Passage:
        source, server = (link.client, 1), (SERVER, PORT)
        return Passage(0.0, 0.0, 0.0, link.name, "up", source, server, 40, name, "delivered")

    assert linkable_ids([sent(WIFI, "a"), sent(WIFI, "a"), sent(CELLULAR, "b")]) == {}
    assert list(linkable_ids([sent(WIFI, "a"), sent(CELLULAR, "a")])) == ["a"]


VICTIM = """
import trio
from tests.lab.network import open_lab

async def main():
    async with open_lab() as lab:
        sleeper = await trio.lowlevel.open_process(lab.inside(lab.client_space, ["sleep", "1000"]))
        print(lab.relay.pid, lab.shell.pid, sleeper.pid, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_nothing_is_left_of_a_run_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        left = [int(word) for word in victim.stdout.readline().split()]
        assert all(alive(process) for process in left)
        handles = [os.pidfd_open(process) for process in left]
        victim.kill()
    for process, handle in zip(left, handles, strict=True):
        assert select.select([handle], [], [], EXPECTED)[0], process
        os.close(handle)


def alive(process: int) -> bool:
    """Whether there is such a process that is more than a zombie."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


# Has opened the namespace, and is not inside yet.
ENTRANT = """
import os, sys, time
space = os.open(sys.argv[1], os.O_RDONLY)
print("1", flush=True)
time.sleep(1000)
"""


async def test_nobody_is_left_who_was_about_to_enter() -> None:
    async with open_lab() as lab:
        command = [sys.executable, "-c", ENTRANT, lab.client_space]
        entrant = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        assert entrant.stdout is not None
        assert await entrant.stdout.receive_some()
    try:
        assert entrant.poll() == -signal.SIGKILL
    finally:
        entrant.kill()
        await entrant.wait()


@pytest.mark.parametrize("way", ["leaves", "raises"])
async def test_nothing_is_left_of_a_block_that_ends(way: str) -> None:
    with suppress(KeyError):
        async with open_lab() as lab:
            processes = [lab.relay.pid, lab.shell.pid]
            if way == "raises":
                raise KeyError
    assert not any(alive(process) for process in processes)
