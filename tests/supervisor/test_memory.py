"""What the supervisor remembers is true, and bounded."""

from math import inf

import pytest

from trioquic._runtime.supervisor.memory import Memory, PathNotes, Way


def way(number: int) -> Way:
    return f"192.0.2.{number}", "wlan0", ("198.51.100.1", 4433)


@pytest.mark.parametrize("event", ["on_validated", "on_active"])
def test_a_path_that_was_silent_has_not_answered_all_the_time(event: str) -> None:
    """Also if the connection moved there because its network was back: it is not known to answer,
    so that the silence of the preferred address says nothing yet (RFC 9000 section 9.6.3)."""
    notes = PathNotes()
    notes.on_silent(no_way=False, now=10.0)
    getattr(notes, event)(12.0)
    assert (notes.silent_since, notes.silence_ended) == (inf, 12.0)


def test_only_the_last_ones_are_remembered() -> None:
    memory = Memory()
    for number in range(200):
        memory.rest(way(number), 0.0)
        # it fails again and again
        memory.rest(way(0), number * 100.0)
        memory.on_stranger(way(number), 0.0)
        memory.on_network((None, way(number)[0]))
        memory.on_switched(float(number))
        memory.on_returned(float(number))
    ways = [way(number) for number in range(200)]
    assert sum(memory.rests(one, 0.5) for one in ways) == 64
    assert memory.rests(way(0), 199 * 100.0 + 1.0)
    assert sum(memory.misled(one) for one in ways) == 64
    assert sum(memory.was_on((None, one[0])) for one in ways) == 64
    assert memory.was_on((None, way(199)[0]))
    assert len(memory.switches(-1e9)) == len(memory.returns(-1e9)) == 64


def test_strangers_speak_for_a_silent_port_until_the_connection_was_there_in_vain() -> None:
    """Once is too short at times: the old path answers, and the server hears that one again. A new
    port there is no new reason for hope: who makes one silent can do so to all."""
    memory = Memory()
    memory.on_visit(way(0))
    assert not memory.is_beside_strangers(way(0))
    memory.on_stranger(way(0), 0.0)
    memory.on_stranger(way(1), 0.0)
    memory.on_visit(way(0))
    assert memory.is_beside_strangers(way(0))
    memory.on_visit(way(0))
    memory.on_stranger(way(0), 1.0)
    assert not memory.is_beside_strangers(way(0))
    assert memory.is_beside_strangers(way(1))
    memory.on_answer(way(0))
    assert memory.is_beside_strangers(way(0))


def test_what_carries_the_connection_is_asked_again_sooner() -> None:
    pauses: dict[bool, list[float]] = {}
    for in_use in (True, False):
        notes = PathNotes()
        for _ in range(8):
            notes.on_unanswered(in_use, 100.0)
            pauses.setdefault(in_use, []).append(notes.retry_at - 100.0)
        notes.on_recovered(100.0)
        notes.on_unanswered(in_use, 100.0)
        assert notes.retry_at - 100.0 == pauses[in_use][0]
    assert pauses[True] == [0.25, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert pauses[False] == [1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0, 16.0]


@pytest.mark.parametrize("end", ["silent", "unanswered", "away"])
def test_since_when_a_path_works(end: str) -> None:
    notes = PathNotes()
    for now in (1.0, 2.0):
        notes.on_validated(now)
    assert (notes.works_since, notes.proven_at) == (1.0, 2.0)
    match end:
        case "silent":
            notes.on_silent(False, 3.0)
        case "unanswered":
            notes.on_unanswered(False, 3.0)
        case _:
            notes.on_standing(True, usable=False, doubtful=False)
    assert notes.works_since == inf
    notes.on_validated(4.0)
    assert notes.works_since == 4.0
