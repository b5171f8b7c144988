"""What the caller wants of the handshake; checked here, so that nothing is sent for a bad wish."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field

from ..crypto.keys import CIPHER_SUITES
from .certificates import ClientCertificate
from .key_exchange import GROUPS
from .verify import Verification


@dataclass(slots=True, eq=False)
class TlsClientConfig:
    """One connection's or many connections' TLS settings; never changed after construction.

    `server_name` is a DNS name in its ASCII form or an IP address as text. `alpn` is in the order
    of preference, and so are `cipher_suites` and `groups`.
    `keylog` gets lines in the NSS format, without a line feed.
    """

    server_name: str | None
    alpn: tuple[str, ...]
    verification: Verification
    cipher_suites: tuple[int, ...] = CIPHER_SUITES
    groups: tuple[int, ...] = GROUPS
    client_certificate: ClientCertificate | None = None
    keylog: Callable[[str], None] | None = None
    alpn_bytes: tuple[bytes, ...] = field(init=False)
    # for the server_name extension; empty for addresses (RFC 6066 section 3)
    sni: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.alpn_bytes = encode_alpn(self.alpn)
        self.sni = b""
        if self.server_name is not None:
            self.server_name = normal_name(self.server_name)
            if not is_address(self.server_name):
                self.sni = self.server_name.encode("ascii")
        self.verification.check_server_name(self.server_name)


def normal_name(server_name: str) -> str:
    """Without the final dot of a fully qualified name, and without the zone of an address."""
    if is_address(server_name):
        return server_name.partition("%")[0]
    name = server_name.removesuffix(".")
    if not name.isascii():
        raise ValueError(f"server name {server_name!r} is not in its ASCII (IDNA) form")
    labels = name.split(".")
    if len(name) > 253 or not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"server name {server_name!r} is no DNS name")
    if any(char <= " " or char == "\x7f" for char in name):
        raise ValueError(f"server name {server_name!r} has blanks or control characters")
    return name


def is_address(server_name: str) -> bool:
    try:
        ipaddress.ip_address(server_name)
    except ValueError:
        return False
    return True


def encode_alpn(alpn: tuple[str, ...]) -> tuple[bytes, ...]:
    """QUIC cannot do without ALPN (RFC 9001 section 8.1)."""
    if not alpn:
        raise ValueError("alpn must name at least one application protocol")
    encoded = tuple([protocol.encode() for protocol in alpn])
    for name in encoded:
        if not 0 < len(name) < 256:
            raise ValueError(f"ALPN protocol name {name!r} must have 1 to 255 bytes")
    if sum([len(name) + 1 for name in encoded]) > 0xFFFF - 2:
        raise ValueError("the ALPN protocol names are too long together")
    return encoded
