"""The exchange through aioquic's client, with the flow-control windows that trioquic gets."""

import asyncio
from typing import cast

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamDataReceived

from .exchange import (
    CHUNK,
    MAX_DATA,
    MAX_STREAM_DATA,
    SERVER_NAME,
    Answer,
    Task,
    Watch,
    parse_task,
)

REQUEST_STREAM = 0


class Client(QuicConnectionProtocol):
    """Below aioquic's stream readers and writers, which would only add to its time."""

    answer: Answer
    done: "asyncio.Future[None]"

    def begin(self, task: Task) -> None:
        self.answer = Answer(task)
        self.done = asyncio.get_running_loop().create_future()
        upload = task.direction == "upload"
        self._quic.send_stream_data(REQUEST_STREAM, task.request, end_stream=not upload)
        if upload:
            whole, rest = divmod(task.size, len(CHUNK))
            for _ in range(whole):
                self._quic.send_stream_data(REQUEST_STREAM, CHUNK)
            self._quic.send_stream_data(REQUEST_STREAM, CHUNK[:rest], end_stream=True)
        self.transmit()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived) and event.stream_id == REQUEST_STREAM:
            self.answer.feed(event.data)
            if event.end_stream:
                self.done.set_result(None)
        elif isinstance(event, ConnectionTerminated) and not self.done.done():
            self.done.set_exception(ConnectionError(event.reason_phrase))


async def main(task: Task) -> None:
    configuration = QuicConfiguration(
        alpn_protocols=[task.alpn],
        server_name=SERVER_NAME,
        max_data=MAX_DATA,
        max_stream_data=MAX_STREAM_DATA,
    )
    configuration.load_verify_locations(str(task.ca_file))
    async with connect(
        task.host, task.port, configuration=configuration, create_protocol=Client
    ) as protocol:
        client = cast("Client", protocol)
        if task.opening is not None:
            stream_id = client._quic.get_next_available_stream_id(is_unidirectional=True)
            client._quic.send_stream_data(stream_id, task.opening)
        watch = Watch()
        client.begin(task)
        await client.done
        watch.stop()
        client.answer.check()


if __name__ == "__main__":
    asyncio.run(main(parse_task()))
