"""How a connection begins: `check`, versions, suites, groups, Retry, tickets of an earlier one."""

import json
import sys
from typing import Any, Final

import trio

import trioquic
from tests.real.test_sessions import Attentive
from tests.servers.kinds import HQ
from tests.servers.place import Wish
from trioquic.config import CIPHER_SUITES

from .bench import HOST, NAME, Bench, Site
from .outcome import Lacking

SMALL: Final = 10_000
_MIGRATION_FAILED: Final = 3
_HANDSHAKE_FAILURE: Final = 0x100 + 40
_ML_KEM: Final = "X25519MLKEM768"
_REQUESTS: Final = 20
_TICKETS_COME_WITHIN: Final = 5.0


async def check(bench: Bench) -> str:
    """`trioquic check`, as a user calls it."""
    async with bench.serving() as site:
        where = (f"{HOST}:{site.server.port}", "--server-name", NAME, "--alpn", site.kind.alpn)
        options = ("--cafile", str(site.server.ca_file), "--json")
        command = [sys.executable, "-m", "trioquic", "check", *where, *options]
        process = await trio.run_process(command, capture_stdout=True, check=False)
    found = json.loads(process.stdout)
    ids = f"{found['connection_ids']} connection IDs"
    if not found.get("migration_allowed", True):
        assert process.returncode == _MIGRATION_FAILED, found
        return f"{ids}; it forbids migration"
    holds = found["peer"]["active_connection_id_limit"]
    text = f"{ids}, holds {holds} of ours; {_moves_told(found)}"
    assert process.returncode == 0, f"exit code {process.returncode}: {text}"
    return text


def _moves_told(found: dict[str, Any]) -> str:
    """How often the server followed, and why not more often."""
    moves, first = found["moves_in_a_row"], found["new_port"]
    if moves is not None:
        stopped = found["stopped_by"]
        return f"{moves} moves in a row" + (f", then: {stopped}" if stopped else "")
    if first is None or first["worked"]:
        return f"the connection was lost: {found['error']}"
    return f"it does not follow to a new port: {first['reason']}"


async def versions(bench: Bench) -> str:
    """Each version of QUIC alone, then both: does the server change to version 2?"""
    name, content = bench.file(SMALL)
    spoken = []
    async with bench.serving() as site:
        for version in ("v1", "v2"):
            try:
                async with site.talk(transport={"versions": [version]}) as talk:
                    assert await talk.get(name) == content
            except trioquic.VersionError:
                assert version != "v1"
            else:
                spoken.append(version)
        async with site.talk(transport={"versions": ["v2", "v1"]}) as talk:
            assert await talk.get(name) == content
            return f"{' and '.join(spoken)}; offered both, it takes {talk.conn.version}"


async def suites(bench: Bench) -> str:
    """Each cipher suite alone."""
    name, content = bench.file(SMALL)
    spoken, refused = [], []
    async with bench.serving() as site:
        for suite in CIPHER_SUITES:
            try:
                async with site.talk(tls={"cipher_suites": [suite]}) as talk:
                    assert talk.conn.cipher_suite == suite
                    assert await talk.get(name) == content
                spoken.append(suite)
            except trioquic.HandshakeError as error:
                if error.code != _HANDSHAKE_FAILURE:
                    raise
                refused.append(suite)
    assert spoken
    return f"without {', '.join(refused)}" if refused else ""


async def ml_kem(bench: Bench) -> str:
    """The default offer has shares of X25519MLKEM768 and x25519, and is two datagrams long."""
    name, content = bench.file(SMALL)
    async with bench.serving() as site:
        async with site.talk() as talk:
            assert await talk.get(name) == content
            chosen = talk.conn.group
        if chosen == _ML_KEM:
            return ""
        try:
            async with site.talk(tls={"groups": [_ML_KEM]}) as talk:
                assert await talk.get(name) == content
        except trioquic.HandshakeError as error:
            if error.code != _HANDSHAKE_FAILURE:
                raise
            text = f"it does not know the group, and takes {chosen} of the two"
            raise Lacking(text) from None
    return f"it knows the group, and takes {chosen} where it has the choice"


async def hello_retry_request(bench: Bench) -> str:
    """A server that wants a group of which we have sent no share. Those without a setting for that
    are offered one group that they do not know, with a share, and another one."""
    name, content = bench.file(SMALL)
    configurable = bench.kind.alpn != HQ
    wish = Wish(group="secp384r1") if configurable else Wish()
    groups = {} if configurable else {"groups": ["secp384r1", "secp256r1"]}
    async with bench.serving(wish) as site, site.talk(tls=groups) as talk:
        assert talk.conn.group == ("secp384r1" if configurable else "secp256r1"), talk.conn.group
        assert await talk.get(name) == content
    return ""


async def retry(bench: Bench) -> str:
    """A server that validates addresses first."""
    name, content = bench.file(SMALL)
    async with bench.serving(Wish(retry=True)) as site, site.talk() as talk:
        assert talk.conn.peer.retry
        assert await talk.get(name) == content
    return ""


async def _visit(
    site: Site, name: str, content: bytes, sessions: Attentive, *, early: bool = False
) -> tuple[bool, trioquic.EarlyData]:
    """Some requests at once. Whether the session was resumed, and what came of early data."""
    async with site.talk(sessions=sessions, early_data=early) as talk:
        right: list[bool] = []

        async def one() -> None:
            right.append(await talk.get(name, early_data=early) == content)

        async with trio.open_nursery() as nursery:
            for _ in range(_REQUESTS if early else 1):
                nursery.start_soon(one)
        assert all(right)
        with trio.move_on_after(_TICKETS_COME_WITHIN):
            await sessions.has_kept()
        return talk.conn.resumed, talk.conn.early_data


async def resumption(bench: Bench) -> str:
    """Twice, as the second ticket comes from a resumed session."""
    name, content = bench.file(SMALL)
    sessions = Attentive()
    async with bench.serving() as site:
        seen = [(await _visit(site, name, content, sessions))[0] for _ in range(3)]
    if not any(seen):
        raise Lacking("it gives no tickets")
    assert seen == [False, True, True], seen
    return ""


async def early_data(bench: Bench) -> str:
    """Twenty requests before the handshake is complete."""
    name, content = bench.file(SMALL)
    sessions = Attentive()
    async with bench.serving() as site:
        await _visit(site, name, content, sessions)
        resumed, early = await _visit(site, name, content, sessions, early=True)
    if early is trioquic.EarlyData.NONE:
        raise Lacking("its tickets are not for early data" if resumed else "it gives no tickets")
    assert (resumed, early) == (True, trioquic.EarlyData.ACCEPTED), (resumed, early)
    return ""


async def early_data_refused(bench: Bench) -> str:
    """The server has been started anew and does not know its tickets: all is sent once more."""
    name, content = bench.file(SMALL)
    sessions = Attentive()
    async with bench.serving() as site:
        await _visit(site, name, content, sessions)
        await site.kill()
        await site.begin()
        resumed, early = await _visit(site, name, content, sessions, early=True)
    if early is trioquic.EarlyData.NONE:
        raise Lacking("there are no tickets for early data")
    if early is trioquic.EarlyData.ACCEPTED:
        raise Lacking("it knows its tickets again after a restart, and takes early data")
    assert not resumed
    return ""
