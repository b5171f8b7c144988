"""Two programs write the same file at once: what each kept is there, what one took is gone."""

import subprocess
import sys
from pathlib import Path

import trio

import trioquic
from trioquic.sessions import FileSessions

from .records import key, token

ROUNDS = 15
PROGRAM = """
import sys, time, trio
from trioquic.sessions import AddressToken, FileSessions, SessionKey

path, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def key(server):
    return SessionKey(
        server_name=server, port=443, version=1, network="wlan0/192.0.2.7", trust="aa"
    )

async def main():
    store = FileSessions(path, per_server=100)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(rounds):
        record = AddressToken(token=f"{name} {number}".encode(), received_at=time.time())
        await store.keep(key("of-" + name), [record])
        taken = await store.take(key("shared"))
        if taken.token is not None:
            print(taken.token.token.decode(), flush=True)

trio.run(main)
"""


async def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    store = FileSessions(path, per_server=100)
    shared = [token(f"{number}", number / 1000) for number in range(2 * ROUNDS)]
    await store.keep(key(server_name="shared"), shared)
    root = Path(trioquic.__file__).parent.parent
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, path, name, str(ROUNDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for name in ("one", "two")
    ]
    outputs: dict[int, str] = {}

    def finish(number: int) -> None:
        outputs[number] = programs[number].communicate("go\n", timeout=60)[0]

    for program in programs:
        assert program.stdout is not None
        assert await trio.to_thread.run_sync(program.stdout.readline) == "ready\n"
    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(trio.to_thread.run_sync, finish, number)
    assert [program.returncode for program in programs] == [0, 0]
    taken = [line for output in outputs.values() for line in output.splitlines()]
    # every one was given to one of them
    assert sorted(map(int, taken)) == list(range(2 * ROUNDS))
    for name in ("one", "two"):
        for number in reversed(range(ROUNDS)):
            found = (await store.take(key(server_name=f"of-{name}"))).token
            assert found is not None
            assert found.token == f"{name} {number}".encode()
