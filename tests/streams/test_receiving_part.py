"""The receiving part's states, RFC 9000 section 3.2, and final sizes, section 4.5."""

import itertools
from collections.abc import Callable

import pytest

from tests.streams.harness import refused
from trioquic._protocol.errors import (
    FINAL_SIZE_ERROR,
    FLOW_CONTROL_ERROR,
    IllegalTransitionError,
)
from trioquic._protocol.machine import advance
from trioquic._protocol.streams.receiving_part import (
    RECEIVE_TABLE,
    ReceiveInput,
    ReceiveState,
    ReceivingPart,
)

RECV, SIZE_KNOWN, DATA_RECVD = (
    ReceiveState.RECV,
    ReceiveState.SIZE_KNOWN,
    ReceiveState.DATA_RECVD,
)
DATA_READ, RESET_RECVD, RESET_READ = (
    ReceiveState.DATA_READ,
    ReceiveState.RESET_RECVD,
    ReceiveState.RESET_READ,
)

# Section 3.2, figure 3, without the two steps it calls optional
FIGURE = {
    (RECV, ReceiveInput.FIN): SIZE_KNOWN,
    (RECV, ReceiveInput.RESET): RESET_RECVD,
    (SIZE_KNOWN, ReceiveInput.ALL_DATA): DATA_RECVD,
    (SIZE_KNOWN, ReceiveInput.RESET): RESET_RECVD,
    (DATA_RECVD, ReceiveInput.READ_ALL): DATA_READ,
    (RESET_RECVD, ReceiveInput.RESET_SEEN): RESET_READ,
}


@pytest.mark.parametrize(("state", "step"), list(itertools.product(ReceiveState, ReceiveInput)))
def test_every_state_and_input(state: ReceiveState, step: ReceiveInput) -> None:
    if (state, step) in FIGURE:
        assert advance(RECEIVE_TABLE, state, step) is FIGURE[state, step]
    else:
        with pytest.raises(IllegalTransitionError):
            advance(RECEIVE_TABLE, state, step)


def started(half: ReceivingPart) -> None:
    assert half.on_data_untrusted(0, b"01234", False) == 5


def size_known(half: ReceivingPart) -> None:
    started(half)
    assert half.on_data_untrusted(8, b"89", True) == 5


def complete(half: ReceivingPart) -> None:
    size_known(half)
    assert half.on_data_untrusted(5, b"567", False) == 0


def read(half: ReceivingPart) -> None:
    complete(half)
    assert half.data.take(100) == b"0123456789"
    half.note_end_seen()


def reset(half: ReceivingPart) -> None:
    started(half)
    assert half.on_reset_untrusted(7, 10) == 5


def reset_read(half: ReceivingPart) -> None:
    reset(half)
    half.note_end_seen()


STATES: dict[ReceiveState, Callable[[ReceivingPart], None]] = {
    RECV: started,
    SIZE_KNOWN: size_known,
    DATA_RECVD: complete,
    DATA_READ: read,
    RESET_RECVD: reset,
    RESET_READ: reset_read,
}


def in_state(state: ReceiveState) -> ReceivingPart:
    half = ReceivingPart(100, 100)
    STATES[state](half)
    assert half.state is state
    return half


KNOWS_SIZE = [SIZE_KNOWN, DATA_RECVD, DATA_READ, RESET_RECVD, RESET_READ]


@pytest.mark.parametrize("state", ReceiveState)
def test_a_repeated_frame_in_every_state(state: ReceiveState) -> None:
    half = in_state(state)
    before = half.data.ready - half.data.read
    assert half.on_data_untrusted(0, b"01234", False) == 0
    assert half.state is state
    assert half.data.ready - half.data.read == before


@pytest.mark.parametrize("state", ReceiveState)
def test_a_reset_in_every_state(state: ReceiveState) -> None:
    half = in_state(state)
    half.on_reset_untrusted(9, 10)
    if state in (RECV, SIZE_KNOWN):
        assert half.state is RESET_RECVD
        assert half.reset_code == 9
    else:
        assert half.state is state
        assert half.reset_code == (7 if state in (RESET_RECVD, RESET_READ) else None)


@pytest.mark.parametrize("state", KNOWS_SIZE)
def test_data_beyond_the_final_size(state: ReceiveState) -> None:
    with refused(FINAL_SIZE_ERROR):
        in_state(state).on_data_untrusted(9, b"9a", False)


@pytest.mark.parametrize("size", [9, 11])
@pytest.mark.parametrize("state", KNOWS_SIZE)
def test_a_final_size_that_changes(state: ReceiveState, size: int) -> None:
    with refused(FINAL_SIZE_ERROR):
        in_state(state).on_data_untrusted(size, b"", True)
    with refused(FINAL_SIZE_ERROR):
        in_state(state).on_reset_untrusted(7, size)


def test_a_final_size_below_what_was_received() -> None:
    with refused(FINAL_SIZE_ERROR):
        in_state(RECV).on_data_untrusted(4, b"", True)
    with refused(FINAL_SIZE_ERROR):
        in_state(RECV).on_reset_untrusted(0, 4)


def test_a_final_size_equal_to_what_was_received() -> None:
    half = in_state(RECV)
    assert half.on_data_untrusted(5, b"", True) == 0
    assert half.state is DATA_RECVD


def test_an_empty_stream() -> None:
    half = ReceivingPart(0, 0)
    assert half.on_data_untrusted(0, b"", True) == 0
    assert half.state is DATA_RECVD
    assert half.at_end
    assert half.readable


def test_data_beyond_the_limit_of_the_stream() -> None:
    half = ReceivingPart(10, 10)
    assert half.on_data_untrusted(0, b"0123456789", False) == 10
    with refused(FLOW_CONTROL_ERROR):
        half.on_data_untrusted(10, b"a", False)
    with refused(FLOW_CONTROL_ERROR):
        half.on_reset_untrusted(0, 11)


@pytest.mark.parametrize("state", ReceiveState)
def test_readable_and_at_end(state: ReceiveState) -> None:
    half = in_state(state)
    assert half.readable
    assert half.at_end == (state is DATA_READ)
    assert half.accepts_data == (state is RECV)


def test_nothing_to_read() -> None:
    half = ReceivingPart(10, 10)
    assert not half.readable
    half.on_data_untrusted(1, b"1", True)
    assert not half.readable
    assert not half.at_end


@pytest.mark.parametrize("state", ReceiveState)
def test_a_stopped_half_is_done_when_its_size_is_known(state: ReceiveState) -> None:
    half = in_state(state)
    half.stop_code = 1
    assert half.done == (state is not RECV)
    assert not half.readable


def test_abandoned_bytes_are_counted_once() -> None:
    half = in_state(RECV)
    assert half.abandon() == 5
    assert half.abandon() == 0
    assert half.data.take(100) == b""


def test_the_end_is_not_seen_before_the_data_is_read() -> None:
    half = in_state(DATA_RECVD)
    half.data.take(9)
    half.note_end_seen()
    assert half.state is DATA_RECVD
    half.data.take(1)
    half.note_end_seen()
    assert half.state is DATA_READ


def test_no_number_of_gaps_is_too_many() -> None:
    """attacks 35: loss on the way may do the same as malice, so it ends nothing."""
    window = 1 << 14
    half = ReceivingPart(window, window)
    for offset in range(1, window, 2):
        half.on_data_untrusted(offset, b"x", offset == window - 1)
    assert not half.readable
    for offset in range(0, window, 2):
        half.on_data_untrusted(offset, b"o", False)
    assert half.data.take(window) == b"ox" * (window // 2)
    assert half.at_end
