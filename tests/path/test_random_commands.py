"""Commands about paths in any order, and a server that does anything: no table lacks an entry.

A seed decides what the application asks for, what the server sends, and what the network loses. A
step that a table does not know would end the connection with an IllegalTransitionError; here it
fails the test, as does a path whose word for its state is not true.
"""

import random

import pytest

from tests.peer.packets import APPLICATION
from tests.peer.script import PREFERRED_ADDRESS, ServerScript, preferred_address
from tests.peer.world import REMOTE, World
from trioquic._protocol.path.refusal import PathRefusedError
from trioquic._protocol.path.state import PathState
from trioquic._protocol.wire import frames as fr

PREFERRED = ("198.51.100.2", 4433)
ID, TOKEN = b"prefer-1", b"0123456789abcdef"
IN_USE = (PathState.ACTIVE, PathState.DEGRADED)
COMMANDS = """
    add add_preferred add_preferred validate validate stop migrate migrate leap suspend resume
    abandon ping fail_preferred cut cut calm calm write write challenge response new_id retire
    reset done mute
""".split()


class Chaos:
    """One connection and its bad luck."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        choose = self.random.choice
        value = preferred_address((bytes([198, 51, 100, 2]), PREFERRED[1]), ID, TOKEN)
        offered = self.random.random() < 0.7
        script = ServerScript(
            parameters={PREFERRED_ADDRESS: value} if offered else {},
            spare_ids=choose((0, 4, 7)),
            challenge_new_paths=choose((False, True)),
        )
        self.loss = choose((0.0, 0.02, 0.2))
        self.world = World(
            script,
            delay=choose((0.003, 0.02, 0.2)),
            seed=seed,
            idle_timeout=60.0,
            use_preferred_address=choose((False, True, True)),
        )
        if offered:
            self.world.peer.issued[1] = (ID, TOKEN)
        self.added = 1
        if self.random.random() < 0.8:
            self.world.connect()
        self.world.to_client = self.world.to_peer = self._pass

    def _pass(self, _path: int, data: bytes) -> bytes | None:
        return None if self.random.random() < self.loss else data

    def command(self, name: str) -> None:
        world, client, now = self.world, self.world.client, self.world.now
        path = self.random.choice(client.live_paths() or [0])
        if self.random.random() < 0.05:
            path = self.random.randrange(10)
        match name:
            case "add" | "add_preferred":
                self.added += 1
                local = (f"192.0.2.{self.added}", 50000)
                client.add_path(local, REMOTE if name == "add" else PREFERRED)
            case "validate":
                client.validate(path, now)
            case "stop":
                client.stop_validation(path)
            case "migrate" | "leap":
                client.migrate(path, now, unvalidated=name == "leap")
            case "suspend":
                client.suspend(now)
            case "resume":
                client.resume(now)
            case "abandon":
                client.abandon(path, now)
            case "ping":
                client.ping()
            case "fail_preferred":
                client.fail_preferred(PREFERRED, "the test says so")
            case "cut":
                world.cut.add(path)
            case "calm":
                world.cut.clear()
            case "write":
                if (number := client.streams.open(True)) >= 0:
                    client.streams.write(number, bytes(3000))
            case _ if APPLICATION in world.peer.keys.write:
                self.server(name, path)

    def server(self, name: str, path: int) -> None:
        peer = self.world.peer
        match name:
            case "challenge":
                peer.challenge(path)
            case "response":
                peer.send(APPLICATION, fr.encode_path_data(fr.PATH_RESPONSE, bytes(8)), path=path)
            case "new_id":
                peer.issue_id(retire_prior_to=self.random.randrange(max(peer.issued) + 1))
            case "retire" if len(peer.client_ids) > 1:
                oldest, newest = min(peer.client_ids), max(peer.client_ids)
                frame = fr.encode_integers(fr.RETIRE_CONNECTION_ID, oldest)
                peer.send(APPLICATION, frame, path=path, dcid=peer.client_ids[newest][0])
            case "reset":
                _, token = self.random.choice(list(peer.issued.values()))
                peer.send_stateless_reset(token, path)
            case "done":
                peer.send(APPLICATION, bytes([fr.HANDSHAKE_DONE]), path=path)
            case "mute":
                peer.script.answer_challenges = not peer.script.answer_challenges

    def check(self) -> None:
        client = self.world.client
        for path in client.live_paths():
            view = client.path_view(path)
            assert (view.state in IN_USE) is (path == client.active_path)
            assert view.validating or view.state is not PathState.PROBING

    def run(self, commands: int) -> None:
        for _ in range(commands):
            try:
                self.command(self.random.choice(COMMANDS))
            except PathRefusedError:
                pass  # refused, as it may be
            self.check()
            if self.random.random() < 0.7:
                self.world.run_for(self.random.choice((0.001, 0.03, 0.3, 1.5)))
            self.check()
            if self.world.terminated:
                return


@pytest.mark.parametrize("seed", range(40))
def test_no_order_of_commands_and_frames_is_without_an_answer(seed: int) -> None:
    Chaos(seed).run(60)
