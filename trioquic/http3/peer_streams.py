"""The server's own streams: control, QPACK's two, and those that must not be (RFC 9114 section 6).

One task accepts them, and each has a task that reads it. Everything that the server may not do on
them ends the connection with the error that the RFC names for it.
"""

from contextlib import suppress
from typing import Final

import trio

from .. import ReceiveStream, StreamResetError
from .errors import ErrorCode, PeerError
from .frames import CANCEL_PUSH, DEFINED, GOAWAY, SETTINGS, FrameReader, single_varint
from .settings import MOST_SETTINGS, read_settings
from .state import CONTROL_STREAM, DECODER_STREAM, ENCODER_STREAM, PUSH_STREAM, ConnectionState

_NAMES: Final = {CONTROL_STREAM: "control", ENCODER_STREAM: "encoder", DECODER_STREAM: "decoder"}
# streams that a server may open in all, and one more for each request; reserved types are allowed
_MOST_STREAMS: Final = 64
_MOST_ID_FRAME: Final = 8  # bytes of a frame that is one integer


class PeerStreams:
    def __init__(self, state: ConnectionState, nursery: trio.Nursery) -> None:
        self._state = state
        self._nursery = nursery
        self._open: set[int] = set()  # types of the critical streams that are there
        self._accepted = 0

    async def accept(self) -> None:
        """Accept the server's streams until the connection is over, and until all that had come on
        them before was read: it may be that requests were not processed."""
        async with trio.open_nursery() as readers:
            with self._state.failing():
                await self._accept(readers)
        self._state.lose()

    async def _accept(self, readers: trio.Nursery) -> None:
        while True:
            stream = await self._state.quic.accept_stream()
            if not isinstance(stream, ReceiveStream):
                text = "the server opened a bidirectional stream (section 6.1)"
                raise PeerError(ErrorCode.H3_STREAM_CREATION_ERROR, text)
            self._count()
            readers.start_soon(self._read, stream)

    def _count(self) -> None:
        """Three streams are all that this client knows a use for. Each other one takes a task, and
        may be five bytes for the server (section 10.5)."""
        self._accepted += 1
        if self._accepted > _MOST_STREAMS + self._state.requests_made:
            text = "the server opens streams of unknown types without end"
            raise PeerError(ErrorCode.H3_EXCESSIVE_LOAD, text)

    async def _read(self, stream: ReceiveStream) -> None:
        with self._state.failing():
            frames = FrameReader(stream)
            try:
                kind = await frames.varint()
            except StreamResetError:
                return
            if kind in _NAMES:
                with suppress(StreamResetError):
                    await self._read_critical(kind, frames)
                text = f"the server closed its {_NAMES[kind]} stream"
                raise PeerError(ErrorCode.H3_CLOSED_CRITICAL_STREAM, text)
            if kind == PUSH_STREAM:
                # section 4.6: no push ID was ever allowed
                raise PeerError(ErrorCode.H3_ID_ERROR, "a push, which the server was not asked for")
            if kind is not None:
                # section 6.2.3: not an error of the connection
                stream.stop(ErrorCode.H3_STREAM_CREATION_ERROR)

    async def _read_critical(self, kind: int, frames: FrameReader) -> None:
        if kind in self._open:
            text = f"a second {_NAMES[kind]} stream was opened"
            raise PeerError(ErrorCode.H3_STREAM_CREATION_ERROR, text)
        self._open.add(kind)
        if kind == CONTROL_STREAM:
            await self._read_control(frames)
        elif kind == ENCODER_STREAM:
            while data := await frames.unframed():
                self._state.decoder.on_encoder_stream(data)
        else:
            while data := await frames.unframed():
                self._state.encoder.on_decoder_stream(data)

    async def _read_control(self, frames: FrameReader) -> None:
        state = self._state
        kind = await frames.frame()
        if kind is not None and kind != SETTINGS:
            text = f"the first frame is of type {kind:#x}, not SETTINGS"
            raise PeerError(ErrorCode.H3_MISSING_SETTINGS, text)
        while kind is not None:
            if kind == SETTINGS:
                if state.settings is not None:
                    raise PeerError(ErrorCode.H3_FRAME_UNEXPECTED, "SETTINGS came a second time")
                state.on_settings(read_settings(await _payload(frames, MOST_SETTINGS)))
            elif kind == GOAWAY:
                payload = await _payload(frames, _MOST_ID_FRAME)
                if state.on_goaway(single_varint(payload, "GOAWAY")):
                    self._nursery.start_soon(state.reject_unprocessed)
            elif kind == CANCEL_PUSH:
                payload = await _payload(frames, _MOST_ID_FRAME)
                number = single_varint(payload, "CANCEL_PUSH")
                # section 7.2.3: no push ID was ever allowed
                raise PeerError(ErrorCode.H3_ID_ERROR, f"CANCEL_PUSH of push {number}")
            elif kind in DEFINED:
                # section 7.2; RFC 9218 section 7.2
                text = f"frame type {kind:#x} on the control stream"
                raise PeerError(ErrorCode.H3_FRAME_UNEXPECTED, text)
            else:
                await frames.skip()
            kind = await frames.frame()


async def _payload(frames: FrameReader, most: int) -> bytes:
    if frames.remaining > most:
        code = ErrorCode.H3_FRAME_ERROR if most == _MOST_ID_FRAME else ErrorCode.H3_EXCESSIVE_LOAD
        raise PeerError(code, f"a frame of {frames.remaining} bytes on the control stream")
    return await frames.whole()
