"""Keys, tickets and tokens for the tests of stores."""

import time
from typing import Any

from trioquic.sessions import AddressToken, Resumption, SessionKey

HOUR = 3600.0
DAY = 24 * HOUR


def key(**changes: Any) -> SessionKey:
    """A key that differs from the others in what is said."""
    fields: dict[str, Any] = {
        "server_name": "server.example",
        "port": 443,
        "version": 1,
        "network": "wlan0/192.0.2.7",
        "trust": "aa",
    }
    return SessionKey(**{**fields, **changes})


OTHER_KEYS = [
    key(server_name="other.example"),
    key(port=8443),
    key(version=0x6B3343CF),
    key(network="wwan0/203.0.113.7"),
    key(trust="bb"),
]
"""One for each part that differs."""


def token(name: str = "token", age: float = 0.0) -> AddressToken:
    return AddressToken(token=name.encode(), received_at=time.time() - age)


def ticket(name: str = "ticket", age: float = 0.0, **changes: Any) -> Resumption:
    now = time.time()
    fields: dict[str, Any] = {
        "ticket": name.encode() + b"\x00\xff",
        "secret": bytes(range(32)),
        "cipher_suite": 0x1301,
        "age_add": 0xFFFFFFFF,
        "issued_at": now - age,
        "expires_at": now - age + DAY,
        "alpn": "h3",
        "peer_certificates": (b"\x30leaf", b"\x30ca"),
        "transport_parameters": b"\x01\x02\x67\x10",
        "early_data": True,
        "authenticated_at": now - age - 60.0,
    }
    return Resumption(**{**fields, **changes})
