"""Whole transfers with loss, reordering, repetition, small windows: exact bytes, no hang."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams.harness import Packet, config, limits, make, send
from trioquic._protocol.errors import BadPacketError, CommandError
from trioquic._protocol.streams.reassembly import Reassembly
from trioquic._protocol.streams.table import StreamTable

CONTENT = random.Random(4).randbytes(1 << 16)


def content(number: int, size: int) -> bytes:
    return CONTENT[number : number + size]


class Receiver:
    """The peer as a receiver: reassembles, checks limits, gives credit as it likes."""

    def __init__(self, table: StreamTable, window: int) -> None:
        self.table = table
        self.window = window
        self.streams: dict[int, Reassembly] = {}
        self.output: dict[int, bytes] = {}
        self.ends: dict[int, int] = {}
        self.highest: dict[int, int] = {}

    def receive(self, packet: Packet) -> None:
        for name, number, *fields in packet.frames:
            if name != "STREAM":
                continue
            offset, data, fin = fields
            assert data == content(number, 1 << 20)[offset : offset + len(data)]
            end = offset + len(data)
            self.highest[number] = max(self.highest.get(number, 0), end)
            if fin:
                assert self.ends.setdefault(number, end) == end
            stream = self.streams.setdefault(number, Reassembly())
            stream.add(offset, data)
            self.output[number] = self.output.get(number, b"") + stream.take(1 << 20)
            assert self.highest[number] <= self.limit(number, before=True)
        assert sum(self.highest.values()) <= self.data_limit
        self.credit()

    data_limit = 0

    def limit(self, number: int, before: bool = False) -> int:
        return len(self.output.get(number, b"")) + self.window

    def credit(self) -> None:
        for number in self.streams:
            if len(self.output[number]) < self.ends.get(number, 1 << 60):
                self.table.on_max_stream_data_untrusted(number, self.limit(number))
        self.data_limit = sum(map(len, self.output.values())) + 2 * self.window
        self.table.on_max_data_untrusted(self.data_limit)


@settings(max_examples=60)
@given(
    st.integers(0, 1 << 32),
    st.lists(st.integers(0, 9000), min_size=1, max_size=6),
    st.sampled_from([50, 2000, 1 << 20]),
    st.sampled_from([0.0, 0.3]),
)
def test_sending(seed: int, sizes: list[int], window: int, loss: float) -> None:
    rng = random.Random(seed)
    ours = config()
    ours.send_buffer = rng.choice([200, 3000, 1 << 20])
    table = make(ours, limits(data=2 * window, stream=window))
    peer = Receiver(table, window)
    peer.data_limit = 2 * window
    numbers = [table.open(rng.random() < 0.5) for _ in sizes]
    left = dict(zip(numbers, sizes, strict=True))
    written = dict.fromkeys(numbers, 0)
    flying: list[Packet] = []
    for _step in range(20_000):
        for number in list(left):
            data = content(number, written[number] + left[number])
            taken = table.write(number, data, written[number])
            written[number] += taken
            left[number] -= taken
            if not left[number]:
                table.finish(number)
                del left[number]
        if rng.random() < 0.1:
            table.set_priority(rng.choice(numbers), rng.randrange(8), rng.random() < 0.5)
        if table.has_pending() and len(flying) < 20:
            flying.append(send(table, rng.randrange(40, 1300)))
            assert flying[-1].frames
        elif not flying:
            break
        if flying and rng.random() < 0.6:
            packet = flying[rng.randrange(len(flying))]
            fate = rng.random()
            if fate < loss:
                packet.lost()
                flying.remove(packet)
            elif fate < 0.9:
                peer.receive(packet)
                packet.acked()
                flying.remove(packet)
            else:
                # a copy arrives, or it arrives although it was thought lost
                peer.receive(packet)
                packet.lost()
    assert not left
    assert peer.output == {n: content(n, s) for n, s in zip(numbers, sizes, strict=True)}
    assert peer.ends == dict(zip(numbers, sizes, strict=True))
    assert all(table.all_acked(number) for number in numbers)
    assert table.drained


@settings(max_examples=60)
@given(
    st.integers(0, 1 << 32),
    st.lists(st.integers(0, 9000), min_size=1, max_size=6),
    st.sampled_from([50, 2000, 1 << 20]),
)
def test_receiving(seed: int, sizes: list[int], window: int) -> None:
    rng = random.Random(seed)
    table = make(config(data=2 * window, stream=window, streams=3))
    numbers = [1 + 4 * index for index in range(len(sizes))]
    sizes_of = dict(zip(numbers, sizes, strict=True))
    stream_limits = dict.fromkeys(numbers, window)
    data_limit = 2 * window
    may_open = 3
    sent = dict.fromkeys(numbers, 0)
    waiting: list[tuple[int, int, int]] = []  # number, low, high
    finished: set[int] = set()
    output = dict.fromkeys(numbers, b"")
    ended: set[int] = set()
    for _step in range(20_000):
        # the peer sends something new within its limits
        for number in numbers[:may_open]:
            size = sizes_of[number]
            room = min(stream_limits[number] - sent[number], data_limit - sum(sent.values()))
            step = min(room, size - sent[number], rng.randrange(1, 1300))
            if number not in finished and (step > 0 or sent[number] == size):
                waiting.append((number, sent[number], sent[number] + step))
                sent[number] += step
                if sent[number] == size:
                    finished.add(number)
        # some of it arrives, in any order, cut, repeated
        rng.shuffle(waiting)
        for number, low, high in waiting[: rng.randrange(1, 8)]:
            cut = rng.randint(low, high)
            for a, b in ((cut, high), (low, cut), (low, high)):
                fin = b == sizes_of[number] and number in finished
                table.on_stream_untrusted(number, a, content(number, b)[a:], fin)
            if rng.random() < 0.8:
                waiting.remove((number, low, high))
        for event in table.poll_events():
            number = getattr(event, "stream_id", 0)
            if number in ended or not table.readable(number):
                continue
            output[number] += table.read(number, rng.randrange(1, 5000), 0.0, 0.0)
            while table.readable(number) and not table.at_end(number):
                output[number] += table.read(number, rng.randrange(1, 5000), 0.0, 0.0)
            if table.at_end(number):
                ended.add(number)
        while table.has_pending():
            packet = send(table)
            for name, *fields in packet.frames:
                if name == "MAX_DATA":
                    data_limit = max(data_limit, fields[0])
                elif name == "MAX_STREAM_DATA":
                    stream_limits[fields[0]] = max(stream_limits[fields[0]], fields[1])
                elif name == "MAX_STREAMS_BIDI":
                    may_open = max(may_open, fields[0])
            if rng.random() < 0.3:
                packet.lost()
            else:
                packet.acked()
        for number in list(ended):
            if number in table._streams:
                table.reset(number, 0)
        if len(ended) == len(numbers):
            break
    assert output == {number: content(number, sizes_of[number]) for number in numbers}
    for number, low, high in waiting:
        table.on_stream_untrusted(number, low, content(number, high)[low:], False)
    while table.has_pending():
        send(table).acked()
    assert not table._streams
    assert table._window.consumed == table._window.received == sum(sizes)


@pytest.mark.parametrize("seed", range(20))
def test_random_frames_do_no_more_than_refuse(seed: int) -> None:
    """A peer that sends anything at all meets BadPacketError or nothing."""
    rng = random.Random(seed)
    table = make(
        config(data=5000, stream=2000, streams=3), limits(data=3000, stream=900, streams=3)
    )
    for _ in range(4000):
        number = rng.choice([*range(12), (1 << 62) - 1])
        value = rng.choice([0, 1, rng.randrange(3000), (1 << 62) - 1])
        try:
            match rng.randrange(16):
                case 0 | 1 | 2:
                    data = bytes(rng.randrange(300))
                    table.on_stream_untrusted(number, rng.randrange(2200), data, rng.random() < 0.1)
                case 3:
                    table.on_reset_stream_untrusted(number, value, rng.randrange(2200))
                case 4:
                    table.on_stop_sending_untrusted(number, value)
                case 5:
                    table.on_max_stream_data_untrusted(number, value)
                case 6:
                    table.on_max_data_untrusted(value)
                case 7:
                    table.on_stream_data_blocked_untrusted(number, value)
                case 8:
                    table.on_max_streams_untrusted(rng.random() < 0.5, rng.randrange(20))
                case 9:
                    table.open(rng.random() < 0.5)
                case 10:
                    table.write(number, bytes(rng.randrange(800)))
                case 11:
                    table.finish(number)
                case 12:
                    table.read(number, rng.randrange(1, 900), 0.0, 0.01)
                case 13:
                    table.reset_code(number)
                case 14:
                    table.stop_sending(number, value)
                case _:
                    table.reset(number, value)
        except (BadPacketError, CommandError):
            pass
        for packet in [send(table, 300)] if table.has_pending() else []:
            assert packet.frames
            if rng.random() < 0.5:
                packet.lost()
            if rng.random() < 0.7:
                packet.acked()
        table.poll_events()
    assert len(table._streams) < 50
