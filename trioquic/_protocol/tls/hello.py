"""The offer and the answer: ClientHello, and what ServerHello and HelloRetryRequest may make of it
(RFC 8446 sections 4.1.2 to 4.1.4).

The offer is TLS 1.3 only, with a key share for the first group of the configuration, or two
(`key_exchange.first_key_shares`). A server that wants another group asks for it with a
HelloRetryRequest; the second ClientHello differs from the first in the key share, the cookie and
the binder of a ticket, has no early data, and differs in nothing else.
"""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives import hashes

from ..crypto.keys import suite_hash
from . import extensions as ext
from .alerts import ILLEGAL_PARAMETER, MISSING_EXTENSION, PROTOCOL_VERSION, tls_error
from .certificate_message import OCSP, ZLIB
from .codec import Cursor, numbers16, vector8, vector16
from .config import TlsClientConfig
from .key_exchange import KeyShare, first_key_shares, make_key_share
from .messages import LEGACY_VERSION, ServerHello, encode_client_hello
from .psk import PskOffer
from .signatures import OFFERED_SCHEMES

TLS_1_3: Final = 0x0304
PSK_DHE_KE: Final = 1
# RFC 6066 section 8: OCSP, from any responder, without extensions of its own
OCSP_REQUEST: Final = OCSP.to_bytes(1, "big") + vector16(b"") + vector16(b"")
# A cookie comes back in the second ClientHello, whose extensions have 64 KiB in all, in Initial
# packets of 1200 bytes. Honest ones hold a hash and some state.
LARGEST_COOKIE: Final = 8192
# The end of ServerHello.random when a TLS 1.3 server was talked into an older version (4.1.3)
DOWNGRADE_MARKS: Final = (b"DOWNGRD\x01", b"DOWNGRD\x00")


class ClientOffer:
    """What was offered in this handshake, and the secret keys behind it."""

    def __init__(
        self,
        config: TlsClientConfig,
        rng: Callable[[int], bytes],
        transport_parameters: bytes,
        psk: PskOffer | None = None,
    ) -> None:
        self.config = config
        self.rng = rng
        self.transport_parameters = transport_parameters
        self.random = rng(32)
        self.shares = first_key_shares(config.groups, rng)
        self.group = 0  # what the server has chosen
        self.cookie = b""
        self.cipher_suite = 0  # what a HelloRetryRequest has fixed
        self.psk = psk
        self.early_data = psk is not None and psk.early_data
        self.resumed = False  # the server has accepted the ticket
        self.offered = frozenset(kind for kind, _ in self._extensions())
        if psk is not None:
            self.offered |= {ext.PRE_SHARED_KEY}

    def client_hello(self, retried: hashes.Hash | None = None) -> bytes:
        """The whole message; after `accept_retry_untrusted` the second one, with the transcript up
        to the HelloRetryRequest."""
        pairs = [ext.encode_extension(kind, content) for kind, content in self._extensions()]
        psk = self.psk
        if psk is not None:
            pairs.append(psk.extension())
        suites = numbers16(self.config.cipher_suites)
        hello = encode_client_hello(self.random, suites, b"".join(pairs))
        if psk is None:
            return hello
        return psk.bind(hello, hashes.Hash(psk.algorithm) if retried is None else retried)

    def _extensions(self) -> list[tuple[int, bytes]]:
        config = self.config
        protocols = b"".join([vector8(name) for name in config.alpn_bytes])
        shares = [share.group.to_bytes(2, "big") + vector16(share.public) for share in self.shares]
        found = [
            (ext.SUPPORTED_VERSIONS, vector8(TLS_1_3.to_bytes(2, "big"))),
            (ext.SUPPORTED_GROUPS, numbers16(config.groups)),
            (ext.SIGNATURE_ALGORITHMS, numbers16(OFFERED_SCHEMES)),
            (ext.KEY_SHARE, vector16(b"".join(shares))),
            (ext.ALPN, vector16(protocols)),
            (ext.QUIC_TRANSPORT_PARAMETERS, self.transport_parameters),
            # Says that tickets are welcome; servers send none without it (section 4.2.9).
            (ext.PSK_KEY_EXCHANGE_MODES, vector8(PSK_DHE_KE.to_bytes(1, "big"))),
            (ext.STATUS_REQUEST, OCSP_REQUEST),
            (ext.SIGNED_CERTIFICATE_TIMESTAMP, b""),
            (ext.COMPRESS_CERTIFICATE, vector8(ZLIB.to_bytes(2, "big"))),
        ]
        if config.sni:
            # RFC 6066 section 3: a list with one name of type 0, host_name
            found.insert(0, (ext.SERVER_NAME, vector16(b"\x00" + vector16(config.sni))))
        if self.cookie:
            found.append((ext.COOKIE, vector16(self.cookie)))
        if self.early_data:
            found.append((ext.EARLY_DATA, b""))
        return found

    def accept_retry_untrusted(self, hello: ServerHello) -> None:
        """Take a HelloRetryRequest: afterwards `client_hello` gives the answer to it."""
        what = "HelloRetryRequest"
        self._check_common_untrusted(hello, what)
        # The cookie is the one extension that comes without having been offered (section 4.2.2).
        offered = self.offered | {ext.COOKIE}
        ext.check_untrusted(hello.extensions, ext.IN_HELLO_RETRY_REQUEST, offered, what)
        cookie = hello.extensions.get(ext.COOKIE)
        share = hello.extensions.get(ext.KEY_SHARE)
        if cookie is None and share is None:
            raise tls_error(ILLEGAL_PARAMETER, f"{what} would change nothing")
        if cookie is not None:
            cursor = Cursor(cookie, f"{what}, cookie,")
            self.cookie = cursor.vector_untrusted(2, minimum=1)
            cursor.finish_untrusted()
            if len(self.cookie) > LARGEST_COOKIE:
                size = len(self.cookie)
                raise tls_error(ILLEGAL_PARAMETER, f"{what} has a cookie of {size} bytes")
        if share is not None:
            cursor = Cursor(share, f"{what}, key_share,")
            group = cursor.number_untrusted(2)
            cursor.finish_untrusted()
            if group not in self.config.groups or self._share_for(group) is not None:
                raise tls_error(ILLEGAL_PARAMETER, f"{what} asks for group {group:#06x}")
            self.shares = [make_key_share(group, self.rng)]
        self.cipher_suite = hello.cipher_suite
        # section 4.1.2: there is no early data after a HelloRetryRequest
        self.early_data = False
        self.offered -= {ext.EARLY_DATA}
        if self.psk is not None and not self._fits(hello.cipher_suite, self.psk):
            # section 4.1.4: a ticket for another hash function is not offered again
            self.psk = None
            self.offered -= {ext.PRE_SHARED_KEY}

    def accept_untrusted(self, hello: ServerHello) -> bytes:
        """Take a ServerHello: returns the shared secret."""
        what = "ServerHello"
        self._check_common_untrusted(hello, what)
        ext.check_untrusted(hello.extensions, ext.IN_SERVER_HELLO, self.offered, what)
        if self.cipher_suite not in (0, hello.cipher_suite):
            raise tls_error(ILLEGAL_PARAMETER, f"{what} changes the cipher suite")
        content = hello.extensions.get(ext.KEY_SHARE)
        if content is None:
            raise tls_error(MISSING_EXTENSION, f"{what} lacks key_share")
        cursor = Cursor(content, f"{what}, key_share,")
        group = cursor.number_untrusted(2)
        public = cursor.vector_untrusted(2, minimum=1)
        cursor.finish_untrusted()
        chosen = self._share_for(group)
        if chosen is None:
            raise tls_error(ILLEGAL_PARAMETER, f"{what} answers with group {group:#06x}")
        self.group = group
        self.cipher_suite = hello.cipher_suite
        self._read_selection_untrusted(hello)
        return chosen.shared_secret_untrusted(public)

    def _share_for(self, group: int) -> KeyShare | None:
        return next((share for share in self.shares if share.group == group), None)

    def _read_selection_untrusted(self, hello: ServerHello) -> None:
        """Whether the server resumes the session (section 4.2.11)."""
        content = hello.extensions.get(ext.PRE_SHARED_KEY)
        if content is None:
            return
        cursor = Cursor(content, "ServerHello, pre_shared_key,")
        selected = cursor.number_untrusted(2)
        cursor.finish_untrusted()
        if selected or self.psk is None or not self._fits(hello.cipher_suite, self.psk):
            raise tls_error(ILLEGAL_PARAMETER, "ServerHello resumes what cannot be resumed")
        self.resumed = True

    def _fits(self, cipher_suite: int, psk: PskOffer) -> bool:
        """Whether the ticket's secret is one for the hash function of this suite."""
        return suite_hash(cipher_suite).name == psk.algorithm.name

    def _check_common_untrusted(self, hello: ServerHello, what: str) -> None:
        version = hello.extensions.get(ext.SUPPORTED_VERSIONS)
        if version is None:
            if hello.random[-8:] in DOWNGRADE_MARKS:
                raise tls_error(ILLEGAL_PARAMETER, "something downgraded the handshake")
            # RFC 9001 section 4.2: nothing older than TLS 1.3
            raise tls_error(PROTOCOL_VERSION, "the server does not speak TLS 1.3")
        if version != TLS_1_3.to_bytes(2, "big") or hello.legacy_version != LEGACY_VERSION:
            raise tls_error(ILLEGAL_PARAMETER, f"{what} has a wrong version")
        if hello.session_id:
            raise tls_error(ILLEGAL_PARAMETER, f"{what} echoes a session ID that was not sent")
        if hello.compression:
            raise tls_error(ILLEGAL_PARAMETER, f"{what} chooses compression")
        if hello.cipher_suite not in self.config.cipher_suites:
            suite = hello.cipher_suite
            raise tls_error(ILLEGAL_PARAMETER, f"{what} chooses cipher suite {suite:#06x}")
