"""The handshake as the client sees it (RFC 8446 appendix A.1).

Early data changes nothing in it: QUIC has no EndOfEarlyData message (RFC 9001 section 8.3).

The table has a row for each message a well-behaved server may send in a state. Whatever is not in
it is answered with unexpected_message, so the table is the only place that knows the order.
"""

from typing import Final

from ..machine import Label


class TlsState(Label):
    START = "start"
    WAIT_SERVER_HELLO = "wait for ServerHello"
    WAIT_SECOND_SERVER_HELLO = "wait for ServerHello after HelloRetryRequest"
    WAIT_ENCRYPTED_EXTENSIONS = "wait for EncryptedExtensions"
    WAIT_CERTIFICATE_OR_REQUEST = "wait for Certificate or CertificateRequest"
    WAIT_CERTIFICATE = "wait for Certificate"
    WAIT_CERTIFICATE_VERIFY = "wait for CertificateVerify"
    WAIT_FINISHED = "wait for Finished"
    CONNECTED = "connected"
    FAILED = "failed"


class TlsInput(Label):
    START = "start"
    HELLO_RETRY_REQUEST = "HelloRetryRequest"
    SERVER_HELLO = "ServerHello"
    ENCRYPTED_EXTENSIONS = "EncryptedExtensions"
    RESUMED_EXTENSIONS = "EncryptedExtensions of a resumed session"
    CERTIFICATE_REQUEST = "CertificateRequest"
    CERTIFICATE = "Certificate"
    CERTIFICATE_VERIFY = "CertificateVerify"
    FINISHED = "Finished"
    NEW_SESSION_TICKET = "NewSessionTicket"


class EarlyData(Label):
    """What becomes of data that is sent before the server has answered (RFC 8446 section 2.3)."""

    NONE = "none was offered"
    """None could be sent, or none was wanted."""
    OFFERED = "offered"
    """It can be sent, and the server has not answered yet."""
    ACCEPTED = "accepted"
    """The server has read it, and might have read it more than once."""
    REJECTED = "rejected"
    """The server has not read it. It is sent once more, protected as everything else."""


TABLE: Final[dict[tuple[TlsState, TlsInput], TlsState]] = {
    (TlsState.START, TlsInput.START): TlsState.WAIT_SERVER_HELLO,
    (TlsState.WAIT_SERVER_HELLO, TlsInput.HELLO_RETRY_REQUEST): TlsState.WAIT_SECOND_SERVER_HELLO,
    (TlsState.WAIT_SERVER_HELLO, TlsInput.SERVER_HELLO): TlsState.WAIT_ENCRYPTED_EXTENSIONS,
    # A second HelloRetryRequest has no row: RFC 8446 section 4.1.4 wants unexpected_message.
    (TlsState.WAIT_SECOND_SERVER_HELLO, TlsInput.SERVER_HELLO): TlsState.WAIT_ENCRYPTED_EXTENSIONS,
    (
        TlsState.WAIT_ENCRYPTED_EXTENSIONS,
        TlsInput.ENCRYPTED_EXTENSIONS,
    ): TlsState.WAIT_CERTIFICATE_OR_REQUEST,
    # The ticket's secret authenticates the server: no Certificate follows, and none is asked for.
    (TlsState.WAIT_ENCRYPTED_EXTENSIONS, TlsInput.RESUMED_EXTENSIONS): TlsState.WAIT_FINISHED,
    (TlsState.WAIT_CERTIFICATE_OR_REQUEST, TlsInput.CERTIFICATE_REQUEST): TlsState.WAIT_CERTIFICATE,
    (TlsState.WAIT_CERTIFICATE_OR_REQUEST, TlsInput.CERTIFICATE): TlsState.WAIT_CERTIFICATE_VERIFY,
    (TlsState.WAIT_CERTIFICATE, TlsInput.CERTIFICATE): TlsState.WAIT_CERTIFICATE_VERIFY,
    (TlsState.WAIT_CERTIFICATE_VERIFY, TlsInput.CERTIFICATE_VERIFY): TlsState.WAIT_FINISHED,
    (TlsState.WAIT_FINISHED, TlsInput.FINISHED): TlsState.CONNECTED,
    (TlsState.CONNECTED, TlsInput.NEW_SESSION_TICKET): TlsState.CONNECTED,
}
