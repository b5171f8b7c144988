"""What is kept of connections so that the next one starts faster: session tickets and tokens.

A server gives them to a client that comes back: a ticket spares the certificate (RFC 8446 section
2.2), a token the proof of one's address, which may be a whole round trip (RFC 9000 section 8.1.3).
`open_connection(sessions=...)` names the store that connections take them from and put them into;
without one, nothing is kept. docs/sessions.md tells how to use one, and what it gives away.

Whoever sees the same ticket or token twice knows that it is the same client. So each is given out
once, and only on the network that it came from.
"""

from .._protocol.tls.resumption import Resumption
from ._file import FileSessions, SessionFileWarning
from ._memory import MemorySessions
from ._records import AddressToken, Record, SessionKey, SessionStore, TakenSession

__all__ = [
    "AddressToken",
    "FileSessions",
    "MemorySessions",
    "Record",
    "Resumption",
    "SessionFileWarning",
    "SessionKey",
    "SessionStore",
    "TakenSession",
]
