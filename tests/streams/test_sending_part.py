"""The sending part's states, RFC 9000 section 3.1."""

import itertools
from collections.abc import Callable

import pytest

from trioquic._protocol.errors import CommandError, IllegalTransitionError
from trioquic._protocol.machine import advance
from trioquic._protocol.streams.sending_part import SEND_TABLE, SendingPart, SendInput, SendState

READY, SEND, DATA_SENT = SendState.READY, SendState.SEND, SendState.DATA_SENT
DATA_RECVD, RESET_SENT, RESET_RECVD = (
    SendState.DATA_RECVD,
    SendState.RESET_SENT,
    SendState.RESET_RECVD,
)

# Section 3.1, figure 2, and what refused early data does to it (RFC 9001 section 4.6.2)
FIGURE = {
    (READY, SendInput.FRAME): SEND,
    (READY, SendInput.RESET): RESET_SENT,
    (SEND, SendInput.FIN): DATA_SENT,
    (SEND, SendInput.RESET): RESET_SENT,
    (DATA_SENT, SendInput.ALL_ACKED): DATA_RECVD,
    (DATA_SENT, SendInput.RESET): RESET_SENT,
    (RESET_SENT, SendInput.RESET_ACKED): RESET_RECVD,
    (READY, SendInput.REFUSED): READY,
    (SEND, SendInput.REFUSED): READY,
    (DATA_SENT, SendInput.REFUSED): READY,
    (RESET_SENT, SendInput.REFUSED): RESET_SENT,
}


@pytest.mark.parametrize(("state", "step"), list(itertools.product(SendState, SendInput)))
def test_every_state_and_input(state: SendState, step: SendInput) -> None:
    if (state, step) in FIGURE:
        assert advance(SEND_TABLE, state, step) is FIGURE[state, step]
    else:
        with pytest.raises(IllegalTransitionError):
            advance(SEND_TABLE, state, step)


def make() -> SendingPart:
    half = SendingPart(limit=100, capacity=100)
    assert half.write(b"0123456789", 0) == 10
    return half


def sent(half: SendingPart) -> None:
    half.on_sent(10, False)


def finished(half: SendingPart) -> None:
    half.finish()
    half.on_sent(10, True)


def acked(half: SendingPart) -> None:
    finished(half)
    half.on_acked(0, 10, True)


def reset(half: SendingPart) -> None:
    half.on_sent(10, False)
    assert half.reset(7)


def reset_acked(half: SendingPart) -> None:
    reset(half)
    half.on_reset_acked()


def nothing(half: SendingPart) -> None:
    pass


STATES: dict[SendState, Callable[[SendingPart], None]] = {
    READY: nothing,
    SEND: sent,
    DATA_SENT: finished,
    DATA_RECVD: acked,
    RESET_SENT: reset,
    RESET_RECVD: reset_acked,
}


def in_state(state: SendState) -> SendingPart:
    half = make()
    STATES[state](half)
    assert half.state is state
    return half


@pytest.mark.parametrize("state", SendState)
def test_reset_in_every_state(state: SendState) -> None:
    half = in_state(state)
    possible = state in (READY, SEND, DATA_SENT)
    assert half.reset(9) == possible
    assert half.state is (RESET_SENT if possible else state)
    if possible:
        assert half.reset_code == 9
        assert not half.has_fresh
        assert not half.has_free
        assert half.buffered == 0


@pytest.mark.parametrize("state", SendState)
def test_write_in_every_state(state: SendState) -> None:
    half = in_state(state)
    if state in (READY, SEND):
        assert half.write(b"x", 0) == 1
    else:
        with pytest.raises(CommandError):
            half.write(b"x", 0)
        assert half.room == 0


@pytest.mark.parametrize("state", SendState)
def test_finish_in_every_state(state: SendState) -> None:
    half = in_state(state)
    if state in (RESET_SENT, RESET_RECVD):
        with pytest.raises(CommandError):
            half.finish()
    else:
        assert half.finish() == (state in (READY, SEND))
        assert not half.finish()


@pytest.mark.parametrize("state", SendState)
def test_terminal_states(state: SendState) -> None:
    half = in_state(state)
    assert half.terminal == (state in (DATA_RECVD, RESET_RECVD))
    assert half.all_acked == half.terminal


@pytest.mark.parametrize("state", [RESET_SENT, RESET_RECVD])
def test_a_late_acknowledgement_or_loss_of_data_changes_nothing_after_a_reset(
    state: SendState,
) -> None:
    half = in_state(state)
    half.on_acked(0, 10, True)
    half.on_lost(0, 10, True)
    assert half.state is state
    assert not half.has_free


def test_the_fin_must_be_acknowledged_too() -> None:
    half = make()
    half.on_sent(10, False)
    half.finish()
    half.on_sent(10, True)
    half.on_acked(0, 10, False)
    assert half.state is DATA_SENT
    assert not half.all_acked
    half.on_acked(10, 10, True)
    assert half.state is DATA_RECVD


def test_the_data_must_be_acknowledged_too() -> None:
    half = make()
    half.on_sent(10, False)
    half.finish()
    half.on_sent(10, True)
    half.on_acked(10, 10, True)
    assert half.state is DATA_SENT
    half.on_acked(5, 10, False)
    assert half.state is DATA_SENT
    half.on_acked(0, 5, False)
    assert half.state is DATA_RECVD


def test_a_lost_fin_goes_again_unless_it_arrived_otherwise() -> None:
    half = in_state(DATA_SENT)
    half.on_lost(10, 10, True)
    assert half.has_free
    half.on_acked(10, 10, True)
    assert not half.has_free
    half.on_lost(10, 10, True)
    assert not half.has_free


def test_capacity_bounds_what_is_taken_and_start_skips_without_copying() -> None:
    half = SendingPart(limit=1000, capacity=16)
    assert half.write(b"0123456789", 2) == 8
    assert half.write(b"0123456789abc", 0) == 8
    assert half.room == 0
    assert half.write(b"x", 0) == 0
    assert half.buffer.slice(0, 16) == b"2345678901234567"
    half.on_sent(16, False)
    half.on_acked(0, 4, False)
    assert half.room == 4
    assert half.write(b"0123456789", 8) == 2


def test_new_bytes_need_the_streams_credit_and_a_lone_fin_does_not() -> None:
    half = SendingPart(limit=4, capacity=100)
    half.write(b"01234567", 0)
    assert half.has_fresh
    assert not half.blocked
    half.on_sent(4, False)
    assert not half.has_fresh
    assert half.blocked
    half.limit = 8
    assert half.has_fresh
    half.on_sent(8, False)
    assert not half.blocked
    half.finish()
    assert half.has_free
    assert not half.has_fresh
