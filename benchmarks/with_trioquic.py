"""The exchange through trioquic."""

import trio

import trioquic

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


async def upload(stream: trioquic.Stream, size: int) -> None:
    whole, rest = divmod(size, len(CHUNK))
    for _ in range(whole):
        await stream.send_all(CHUNK)
    await stream.send_all(CHUNK[:rest])


async def main(task: Task) -> None:
    async with trioquic.open_connection(
        task.host,
        task.port,
        alpn=[task.alpn],
        server_name=SERVER_NAME,
        tls=trioquic.TLSConfig(ca_file=task.ca_file),
        transport=trioquic.TransportConfig(max_data=MAX_DATA, max_stream_data=MAX_STREAM_DATA),
    ) as conn:
        if task.opening is not None:
            control = await conn.open_send_stream()
            await control.send_all(task.opening)
        answer = Answer(task)
        watch = Watch()
        stream = await conn.open_stream()
        await stream.send_all(task.request)
        if task.direction == "upload":
            await upload(stream, task.size)
        await stream.send_eof()
        async for chunk in stream:
            answer.feed(bytes(chunk))
        watch.stop()
        answer.check()


if __name__ == "__main__":
    trio.run(main, parse_task())
