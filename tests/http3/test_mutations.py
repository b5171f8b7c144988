"""Damaged responses and control streams: whatever comes, only typed errors leave a request."""

import random

import pylsqpack
import pytest
import trio
import trio.testing

import trioquic
from trioquic import http3

from .scripts import DATA, OK, TRAILERS, frame, headers
from .world import CONTROL, SETTINGS, URL, Script, http_world

Clock = trio.testing.MockClock
FIELDS = [(b":status", b"200"), (b"x-kind", b"one that is repeated"), (b"content-length", b"6")]
ENDINGS = (http3.HTTP3Error, trioquic.ConnectionLostError)


def dynamic() -> tuple[bytes, list[bytes]]:
    """An encoder stream, and sections that need it."""
    encoder = pylsqpack.Encoder()
    updates = encoder.apply_settings(4096, 16)
    sections = []
    for number in range(4):
        more, section = encoder.encode(4 * number, FIELDS)
        updates += more
        sections.append(frame(0x01, section))
    return updates, sections


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One to three bytes changed, taken out or put in."""
    text = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text))
        match chance.randrange(3):
            case 0:
                text[at] = chance.randrange(256)
            case 1 if len(text) > 1:
                del text[at]
            case _:
                text.insert(at, chance.randrange(256))
    return bytes(text)


@pytest.mark.parametrize("seed", range(60))
async def test_only_typed_errors(autojump_clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    updates, sections = dynamic()
    control = CONTROL + SETTINGS + frame(0x21, b"x")
    streams = [control, b"\x02" + updates]
    which = chance.randrange(3)
    if which < 2:
        streams[which] = damaged(streams[which], chance)
    responses = [
        b"".join((headers((b":status", b"103")), OK, DATA, DATA, TRAILERS)),
        *(section + DATA + DATA for section in sections),
    ]
    if which == 2:
        responses = [damaged(response, chance) for response in responses]

    def greeting(script: Script) -> None:
        for stream in streams:
            script.uni(stream)

    def answer(script: Script, stream_id: int) -> None:
        script.quic.send_stream_data(stream_id, responses[stream_id // 4], True)

    outcomes: list[str] = []
    async with http_world(greeting=greeting, answer=answer) as world, world.connect() as http:
        for _ in responses:
            try:
                with trio.move_on_after(5) as scope:
                    async with http.request("GET", URL + "/") as response:
                        await response.read(max_bytes=10_000)
                outcomes.append("late" if scope.cancelled_caught else "whole")
            except ENDINGS as error:
                outcomes.append(type(error).__name__)
        await trio.sleep(1)
    # nothing else came out, of the requests or of the block,
    assert len(outcomes) == len(responses)
