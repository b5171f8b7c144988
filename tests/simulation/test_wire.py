"""The checks of every run can fail: each breach of a rule is planted into a run and found.

The packets are sealed with the run's own keys, as a client that breaks the rule would.
"""

from dataclasses import replace

import pytest

import trioquic
from tests.peer.keys import KeyStore
from tests.peer.packets import APPLICATION, seal
from tests.peer.wire import encode_new_token, encode_version_negotiation
from tests.sim_server import PORT
from tests.sim_world import CELLULAR, PREFERRED, SERVER, WIFI
from tests.simulation.case import Case, Change, Job, Outcome
from tests.simulation.play import run
from tests.simulation.scenarios import SCENARIOS, problems
from tests.simulation.told import contradictions
from tests.simulation.wire import open_packets, violations
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.packets import encode_short_header
from trioquic.testing import Record

SCENARIO = SCENARIOS["travel-outages"]
STRANGER = bytes(8)
PING = bytes([fr.PING])
CHALLENGE = fr.encode_path_data(fr.PATH_CHALLENGE, b"new data") + bytes(1162)


@pytest.fixture(scope="module")
def journey() -> tuple[Case, Outcome]:
    """A run in which nothing is wrong: Wi-Fi goes and the phone moves to cellular."""
    case = Case(
        jobs=(Job(kind="download", size=100_000),),
        wifi={"rate": 1e6},
        changes=(Change(at=0.3, interface="wlan0", what="down"),),
        policy=trioquic.MigrationPolicy(),
    )
    outcome = run(case, "a journey")
    assert problems(SCENARIO, case, outcome) == []
    assert [e for _, e in outcome.events if isinstance(e, trioquic.Migrated)]
    return case, outcome


def forge(
    outcome: Outcome,
    payload: bytes,
    *,
    source: tuple[str, int],
    destination: tuple[str, int],
    connection_id: bytes = STRANGER,
    number: int = 5000,
) -> Outcome:
    """The same run with one more packet of the phone's at its end."""
    keys = KeyStore()
    line = next(li for li in outcome.secrets.splitlines() if li.startswith("CLIENT_TRAFFIC"))
    secret = bytes.fromhex(line.split()[2])
    keys.install(APPLICATION, {32: 0x1301, 48: 0x1302}[len(secret)], secret, secret)
    header = encode_short_header(connection_id, number, 4, 0, 0)
    packet = seal(keys.read[APPLICATION].generation(0), header, 4, number, payload)
    last = mine(outcome)[-1]
    record = replace(last, source=source, destination=destination, payload=packet, size=len(packet))
    return replace_records(outcome, (*outcome.records, record))


def replace_records(outcome: Outcome, records: tuple[Record, ...]) -> Outcome:
    return replace(outcome, records=records)


def mine(outcome: Outcome) -> list[Record]:
    return [record for record in outcome.records if record.host == "phone"]


def short(outcome: Outcome, address: str) -> Record:
    """The first 1-RTT packet from an address."""
    return next(
        r for r in mine(outcome) if r.source[0] == address and r.payload and r.payload[0] < 0x80
    )


def test_every_packet_can_be_opened(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    packets = open_packets(mine(outcome), outcome.secrets)
    assert len(packets) > 20
    assert any(packet.probing for packet in packets)
    assert any(not packet.probing for packet in packets)
    assert violations(case, outcome) == []


def test_04_an_id_on_two_paths(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    used = short(outcome, WIFI)
    assert used.payload is not None
    there = short(outcome, CELLULAR)
    forged = forge(
        outcome,
        CHALLENGE,
        source=there.source,
        destination=there.destination,
        connection_id=used.payload[1:9],
    )
    assert ["several paths" in text for text in violations(case, forged)] == [True]


def test_19_a_strange_address(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    forged = forge(outcome, CHALLENGE, source=(WIFI, 50000), destination=(PREFERRED, PORT))
    assert violations(case, forged) == [f"packets to {{'{PREFERRED}'}}"]
    assert violations(replace(case, preferred=PREFERRED), forged) == []


def test_01_another_path_before_confirmation(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    late = replace(outcome, confirmed_at=outcome.records[-1].time + 1)
    assert {text.partition(") ")[2] for text in violations(case, late)} >= {
        "before the handshake was confirmed"
    }


@pytest.mark.parametrize("used", [False, True])
def test_02_a_forbidden_probe(journey: tuple[Case, Outcome], used: bool) -> None:
    """Once the preferred address is in use it is no longer forbidden."""
    case, outcome = journey
    forbidding = replace(case, disable_active_migration=True, preferred=PREFERRED)
    if used:
        first = mine(outcome)[0]
        there = (PREFERRED, PORT)
        moved = forge(outcome, PING, source=first.source, destination=there, number=0)
        packet = replace(moved.records[-1], time=first.time)
        outcome = replace_records(outcome, (first, packet, *outcome.records[1:]))
    found = [text for text in violations(forbidding, outcome) if "forbade" in text]
    assert bool(found) is not used


def test_14_more_than_a_probe(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    ping = forge(outcome, PING, source=(CELLULAR, 50000), destination=(SERVER, PORT))
    assert ["carried data unasked" in text for text in violations(case, ping)] == [True]
    probe = forge(outcome, CHALLENGE, source=(CELLULAR, 50000), destination=(SERVER, PORT))
    assert violations(case, probe) == []


def test_08_and_09_bad_probes(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    small = forge(outcome, CHALLENGE[:100], source=(CELLULAR, 1), destination=(SERVER, PORT))
    assert ["challenge in" in text for text in violations(case, small)] == [True]
    packets = open_packets(mine(outcome), outcome.secrets)
    data = next(packet.all(fr.PATH_CHALLENGE)[0] for packet in packets if packet.probing)
    again = fr.encode_path_data(fr.PATH_CHALLENGE, data) + bytes(1162)
    twice = forge(outcome, again, source=(CELLULAR, 1), destination=(SERVER, PORT))
    assert ["2 times" in text for text in violations(case, twice)] == [True]


@pytest.mark.parametrize("frame", [encode_new_token(b"a token"), bytes([fr.HANDSHAKE_DONE])])
def test_frames_that_only_servers_send(journey: tuple[Case, Outcome], frame: bytes) -> None:
    case, outcome = journey
    there = mine(outcome)[-1]
    forged = forge(outcome, frame, source=there.source, destination=there.destination)
    assert violations(case, forged) == [f"{frame[0]:#x} from a client"]


def test_packets_that_only_servers_send(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    negotiation = encode_version_negotiation(b"theirs", b"ours", (1,))
    record = replace(mine(outcome)[0], payload=negotiation, size=len(negotiation))
    forged = replace_records(outcome, (*outcome.records, record))
    assert "Version Negotiation from a client" in violations(case, forged)


def without(outcome: Outcome, kind: type[trioquic.PathEvent]) -> Outcome:
    return replace(outcome, events=[e for e in outcome.events if not isinstance(e[1], kind)])


def test_events_that_contradict_what_happened(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    at, moved = next(e for e in outcome.events if isinstance(e[1], trioquic.Migrated))
    assert isinstance(moved, trioquic.Migrated)
    assert contradictions(case, outcome) == []
    assert violations(case, without(outcome, trioquic.Migrated)), "a move that was not told"
    for planted in (
        replace(moved, old=moved.new, reason=""),
        trioquic.PathRecovered(path=moved.new),
        trioquic.WaitingForPath(deadline=0.0),
    ):
        told = [*outcome.events, (at, planted)]
        assert contradictions(case, replace(outcome, events=told)), planted


def test_errors_that_nothing_explains(journey: tuple[Case, Outcome]) -> None:
    case, outcome = journey
    lost = replace(outcome, errors=[trioquic.IdleTimeoutError("")])
    assert problems(SCENARIO, case, lost)
    doomed = replace(case, ends_in=trioquic.NoPathError)
    assert problems(SCENARIO, doomed, lost), "the wrong one"
    assert not problems(SCENARIO, replace(case, ends_in=trioquic.IdleTimeoutError), lost)
