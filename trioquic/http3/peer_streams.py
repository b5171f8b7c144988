"""The server's own streams: control, QPACK's two, and those that must not be (RFC 9114 section 6).

One task accepts them, and each has a task that reads it. Everything that the server may not do on
them ends the connection with the error that the RFC names for it.
"""

from typing import Final

import trio

from .. import ReceiveStream, StreamResetError
from .errors import ErrorCode, PeerError
from .frames import (
    CANCEL_PUSH,
    DATA,
    GOAWAY,
    HEADERS,
    MAX_PUSH_ID,
    PRIORITY_UPDATE_PUSH,
    PRIORITY_UPDATE_REQUEST,
    PUSH_PROMISE,
    RESERVED,
    SETTINGS,
    FrameReader,
    single_varint,
)
from .session import (
    CONTROL_STREAM,
    DECODER_STREAM,
    ENCODER_STREAM,
    ENDINGS,
    PUSH_STREAM,
    Session,
)
from .settings import MOST_SETTINGS, read_settings

_NAMES: Final = {CONTROL_STREAM: "control", ENCODER_STREAM: "encoder", DECODER_STREAM: "decoder"}
# what a client never gets on a control stream (section 7.2; RFC 9218 section 7.2)
_UNEXPECTED: Final = RESERVED | {
    DATA,
    HEADERS,
    PUSH_PROMISE,
    MAX_PUSH_ID,
    PRIORITY_UPDATE_REQUEST,
    PRIORITY_UPDATE_PUSH,
}
# streams that a server may open in all, and one more for each request; reserved types are allowed
_MOST_STREAMS: Final = 64
_MOST_ID_FRAME: Final = 8  # bytes of a frame that is one integer


class PeerStreams:
    """Reads what the server opens."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open: set[int] = set()  # types of the critical streams that are there
        self._accepted = 0

    async def accept(self, nursery: trio.Nursery) -> None:
        """Accept the server's streams until the connection is over."""
        session = self._session
        try:
            while True:
                stream = await session.quic.accept_stream()
                if not isinstance(stream, ReceiveStream):
                    # section 6.1
                    session.fail(
                        PeerError(
                            ErrorCode.H3_STREAM_CREATION_ERROR,
                            "the server opened a bidirectional stream",
                        )
                    )
                    return
                self._count()
                nursery.start_soon(self._read, stream)
        except PeerError as fault:
            session.fail(fault)
        except ENDINGS:
            session.lose()

    def _count(self) -> None:
        """Three streams are all that this client knows a use for. Each other one takes a task, and
        may be five bytes for the server (section 10.5)."""
        self._accepted += 1
        if self._accepted > _MOST_STREAMS + self._session.requests_made:
            raise PeerError(
                ErrorCode.H3_EXCESSIVE_LOAD, "the server opens streams of unknown types without end"
            )

    async def _read(self, stream: ReceiveStream) -> None:
        kind = None
        try:
            frames = FrameReader(stream)
            kind = await frames.varint()
            if kind in _NAMES:
                await self._read_critical(kind, frames)
                raise _closed(kind)
            if kind == PUSH_STREAM:
                # section 4.6: no push ID was ever allowed
                raise PeerError(
                    ErrorCode.H3_ID_ERROR, "the server pushes, which it was not asked to"
                )
            if kind is not None:
                # section 6.2.3: not an error of the connection
                stream.stop(ErrorCode.H3_STREAM_CREATION_ERROR)
        except StreamResetError:
            if kind in _NAMES:
                self._session.fail(_closed(kind))
        except PeerError as fault:
            self._session.fail(fault)
        except ENDINGS:
            self._session.lose()

    async def _read_critical(self, kind: int, frames: FrameReader) -> None:
        if kind in self._open:
            raise PeerError(
                ErrorCode.H3_STREAM_CREATION_ERROR, f"a second {_NAMES[kind]} stream was opened"
            )
        self._open.add(kind)
        if kind == CONTROL_STREAM:
            await self._read_control(frames)
        elif kind == ENCODER_STREAM:
            while data := await frames.unframed():
                self._session.decoder.on_encoder_stream(data)
        else:
            while data := await frames.unframed():
                self._session.encoder.on_decoder_stream(data)

    async def _read_control(self, frames: FrameReader) -> None:
        session = self._session
        kind = await frames.frame()
        if kind is not None and kind != SETTINGS:
            raise PeerError(
                ErrorCode.H3_MISSING_SETTINGS, f"the first frame is of type {kind:#x}, not SETTINGS"
            )
        while kind is not None:
            if kind == SETTINGS:
                if session.settings is not None:
                    raise PeerError(ErrorCode.H3_FRAME_UNEXPECTED, "SETTINGS came a second time")
                session.on_settings(read_settings(await _payload(frames, MOST_SETTINGS)))
            elif kind == GOAWAY:
                payload = await _payload(frames, _MOST_ID_FRAME)
                session.on_goaway(single_varint(payload, "GOAWAY"))
            elif kind == CANCEL_PUSH:
                payload = await _payload(frames, _MOST_ID_FRAME)
                number = single_varint(payload, "CANCEL_PUSH")
                # section 7.2.3: no push ID was ever allowed
                raise PeerError(ErrorCode.H3_ID_ERROR, f"CANCEL_PUSH of push {number}")
            elif kind in _UNEXPECTED:
                raise PeerError(
                    ErrorCode.H3_FRAME_UNEXPECTED, f"frame type {kind:#x} on the control stream"
                )
            else:
                await frames.skip()
            kind = await frames.frame()


async def _payload(frames: FrameReader, most: int) -> bytes:
    if frames.remaining > most:
        code = ErrorCode.H3_FRAME_ERROR if most == _MOST_ID_FRAME else ErrorCode.H3_EXCESSIVE_LOAD
        raise PeerError(code, f"a frame of {frames.remaining} bytes on the control stream")
    return await frames.whole()


def _closed(kind: int | None) -> PeerError:
    name = _NAMES.get(-1 if kind is None else kind, "")
    return PeerError(ErrorCode.H3_CLOSED_CRITICAL_STREAM, f"the server closed its {name} stream")
