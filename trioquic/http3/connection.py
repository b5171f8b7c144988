"""HTTP/3 on an open QUIC connection (RFC 9114)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakSet

import trio

from .. import Connection, StopSendingError, Stream, _checks
from .._construction import NoPublicConstructor, create
from .._groups import hidden_nursery
from .errors import ErrorCode, HTTP3Error, PeerError
from .exchange import Exchange
from .fields import TEXT, HeaderTypes, check_length, completed, pseudo_fields, request_fields
from .origin import check_authority, check_origin
from .outbox import Outbox
from .peer_streams import PeerStreams
from .priority import PRIORITY, Priority
from .request import Request
from .response import Content, Response, checked_content, respond
from .settings import HTTP3Config, PeerSettings, check_transport
from .state import ConnectionState
from .url import parse_url

_QUIC: Final = _checks.instance(Connection)
_CONFIG: Final = _checks.instance(HTTP3Config)
# Those that carry HTTP/3, or did.
_taken: WeakSet[Connection] = WeakSet()


class HTTP3Connection(metaclass=NoPublicConstructor, made_by="open_http3"):
    """Requests to one server over one QUIC connection, any number at once; see `open_http3`."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state

    def __repr__(self) -> str:
        state = "open" if self.available else "ending"
        return f"<HTTP3Connection {state}, {self.active_requests} requests>"

    @property
    def quic(self) -> Connection:
        """The QUIC connection below, for its paths and statistics."""
        return self._state.quic

    @property
    def available(self) -> bool:
        """Whether new requests can be made: no GOAWAY came, nothing failed."""
        return self._state.available

    @property
    def active_requests(self) -> int:
        """Requests under way."""
        return len(self._state.requests)

    @property
    def peer_settings(self) -> PeerSettings | None:
        """What the server has said about itself; None until it has."""
        return self._state.settings

    async def wait_settings(self) -> PeerSettings:
        """Wait for the server's SETTINGS (RFC 9114 section 7.2.4). Raises what ended the connection
        if that comes first. Cancellation leaves nothing behind."""
        await self._state.settings_known.wait()
        if self._state.settings is None:
            raise self._state.end_error()
        return self._state.settings

    async def wait_closed(self) -> Exception:
        """Wait until this connection is of no use any more: it failed, the QUIC connection is over,
        or the server is going away and the last request is done. Returns the cause, which is what
        new requests raise from then on: `HTTP3ConnectionError`, what ended the QUIC connection, or
        `RequestRejectedError`. Cancellation leaves nothing behind."""
        await self._state.over.wait()
        return self._state.refusal or self._state.end_error()

    async def open_request(
        self,
        method: str,
        scheme: str,
        authority: str,
        path: str,
        headers: HeaderTypes = (),
        *,
        priority: Priority | None = None,
        protocol: str | None = None,
        end: bool = False,
        early_data: bool = False,
        any_origin: bool = False,
    ) -> Request:
        """Send a request's headers and return the request, to send its content and receive the
        response. `end`: it has no content. Waits until the server allows one more stream.

        With `early_data`, the request does not wait for the handshake on a connection that can send
        early data, see `trioquic.Connection.open_stream`. Who records it can send it again, so it
        is for safe methods (RFC 8470 section 4). A server may answer with 425 (Too Early): that is
        a response like others, and the request may be made once more without `early_data`.

        `protocol` makes an Extended CONNECT (RFC 9220) and waits for the server's SETTINGS.

        The host in `authority` must be one for which the server was authenticated, see
        `trioquic.Connection.authenticates`; `any_origin` sends the request whatever the server is
        (RFC 9114 section 3.3). The authority of a plain CONNECT is no origin.

        Raises `NotAuthoritativeError` for another host, `RequestRejectedError` after a GOAWAY,
        `FieldSectionTooLargeError` if the server would refuse the headers, `HTTP3Error` if it knows
        no Extended CONNECT, ValueError for what HTTP does not allow, and what ended the connection.
        Cancelled, the request was given up.
        """
        _checks.check(PRIORITY, "priority", priority)
        for name, value in (("early_data", early_data), ("any_origin", any_origin), ("end", end)):
            _checks.check(_checks.flag, name, value)
        fields = pseudo_fields(method, scheme, authority, path, protocol) + request_fields(headers)
        length = check_length(fields, 0 if end else None)
        if priority is not None:
            fields.append((b"priority", priority.field_value))
        is_tunnel = method == "CONNECT" and protocol is None
        check_authority(authority, fields, is_tunnel=is_tunnel)
        state = self._state
        with state.while_available():
            if not any_origin and not is_tunnel:
                await check_origin(state.quic, authority)
            stream = await self._open_stream(protocol, early_data)
        request = create(Request, state, stream, method, length)
        state.enter(stream.stream_id, request)
        try:
            state.check_available()  # the wait may have been long
            if priority is not None:
                stream.set_priority(priority.urgency, incremental=priority.incremental)
            await request.send_headers(fields, end=end)
        except BaseException as error:
            request.cancel()
            if isinstance(error, PeerError):
                raise state.fail(error) from error
            raise
        return request

    async def _open_stream(self, protocol: str | None, early_data: bool) -> Stream:
        state = self._state
        if protocol is not None and not (await self.wait_settings()).enable_connect_protocol:
            raise HTTP3Error("the server knows no Extended CONNECT (RFC 9220)")
        await state.encoder_stream.wait_for_room()
        try:
            return await state.quic.open_stream(early_data=early_data)
        except trio.ClosedResourceError:
            if state.ended:
                raise state.end_error() from None
            raise

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes = (),
        content: Content | None = None,
        priority: Priority | None = None,
        early_data: bool = False,
        any_origin: bool = False,
    ) -> AsyncGenerator[Response]:
        """A request and the response to it: `async with http.request("GET", url) as response`.

        `content` is sent while the response is read; an exception that an iterable raises cancels
        the request and comes out of the block. Leaving the block cancels what is not complete.
        Who is named in `url` (RFC 7617) is sent as an Authorization field, if `headers` has none.
        `early_data`, `any_origin` and errors are those of `open_request` and `Request`.
        """
        _checks.check(TEXT, "url", url)
        target, sent = parse_url(url), checked_content(content)
        request = await self.open_request(
            method,
            "https",
            target.authority,
            target.path,
            completed(request_fields(headers), target.authorization, sent),
            priority=priority,
            end=sent is None,
            early_data=early_data,
            any_origin=any_origin,
        )
        async with respond(Exchange(request, self.quic), sent, target.url) as response:
            yield response


@asynccontextmanager
async def open_http3(
    connection: Connection,
    config: HTTP3Config = HTTP3Config(),  # noqa: B008 - frozen
) -> AsyncGenerator[HTTP3Connection]:
    """Speak HTTP/3 on a QUIC connection opened with `alpn=["h3"]`, and close it at the end.

    A QUIC connection carries HTTP/3 once. Leaving the block normally cancels the requests that are
    not complete and closes the QUIC connection with H3_NO_ERROR, gracefully; leaving it by an
    exception or a cancellation closes at once. What ended the connection before that is what its
    requests raise, after what had come of their responses was read. The first request can be sent
    without waiting for the server's SETTINGS (RFC 9114 section 7.2.4.2).

    A connection that was opened with `early_data` need not have completed its handshake: requests
    that say so are sent as early data, the others wait.

    Raises ValueError for a connection on which another protocol was agreed, that has carried HTTP/3
    already, or on which the server may open less than three unidirectional streams.
    """
    _checks.check(_QUIC, "connection", connection)
    _checks.check(_CONFIG, "config", config)
    _take(connection)
    state = ConnectionState(connection, config)
    async with hidden_nursery("trioquic.http3") as nursery:
        for outbox in state.outboxes:
            nursery.start_soon(_send, state, outbox)
        nursery.start_soon(PeerStreams(state, nursery).accept)
        nursery.start_soon(_close_on_fault, state)
        try:
            yield create(HTTP3Connection, state)
            if not connection.closed:
                # else it is not this side that ends them: what has come of the responses is there
                for request in list(state.requests.values()):
                    request.cancel()
            await connection.aclose(ErrorCode.H3_NO_ERROR)
        except BaseException:
            await _close_now(state)
            raise
        finally:
            # the tasks that would find out are cancelled
            state.lose()


def _take(connection: Connection) -> None:
    """RFC 9114 section 3.1: the protocol is chosen by ALPN. Section 6.2.1: there is one control
    stream of each side. Section 6.2: the server has two more."""
    if connection.alpn != "h3":
        text = f"the connection speaks {connection.alpn!r}, not HTTP/3: open it with alpn=['h3']"
        raise ValueError(text)
    if connection in _taken:
        raise ValueError("the connection has carried HTTP/3 already; open another one")
    check_transport(connection.transport)
    _taken.add(connection)


async def _send(state: ConnectionState, outbox: Outbox) -> None:
    """One of our own streams, which lives as long as the connection.

    It may begin as early data: SETTINGS, and what QPACK says, do no harm when they come again.
    """
    with state.failing():
        try:
            await outbox.run(await state.quic.open_send_stream(early_data=True))
        except StopSendingError:
            text = "the server stopped reading a stream it needs"
            raise PeerError(ErrorCode.H3_CLOSED_CRITICAL_STREAM, text) from None


async def _close_on_fault(state: ConnectionState) -> None:
    await state.failed.wait()
    await _close_now(state)


async def _close_now(state: ConnectionState) -> None:
    """Close the QUIC connection without waiting for anything to be delivered."""
    fault = state.fault or PeerError(ErrorCode.H3_NO_ERROR, "")
    with trio.CancelScope(shield=True) as scope:
        scope.cancel()
        await state.quic.aclose(fault.code, fault.reason)
