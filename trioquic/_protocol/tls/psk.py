"""The offer to resume an earlier session: pre_shared_key with its binder (RFC 8446 section 4.2.11).

The extension is the last of the ClientHello. Its binder is a MAC, with a key that follows from the
ticket's secret, over everything before it; so a ticket that was overheard is worth nothing. No more
than one ticket is offered.

Early data is protected by a secret that follows from the ticket's as well (section 4.2.10). Whoever
records it can send it to the server once more, so it is offered only if that was asked for.
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..crypto.keys import hkdf_expand_label, suite_hash
from ..errors import BadPacketError
from . import extensions as ext
from .certificates import read_certificate_untrusted
from .codec import vector8, vector16
from .config import TlsClientConfig
from .key_schedule import finished_mac
from .messages import MAX_TICKET_LIFETIME
from .resumption import Resumption, age_at
from .verify import may_resume

# A ticket is repeated in each ClientHello, which should fit into few datagrams.
_LARGEST_TICKET: Final = 4096


class PskOffer:
    """One ticket, offered at one age in seconds; with `early_data`, for that as well. The server's
    certificate, by which it was authenticated once, is good until `certified_until`."""

    def __init__(
        self, resumption: Resumption, age: float, certified_until: float, early_data: bool
    ) -> None:
        self.resumption = resumption
        self.certified_until = certified_until
        self.early_data = early_data
        self.algorithm = suite_hash(resumption.cipher_suite)
        # section 4.2.11.1
        self._age = (int(age * 1000) + resumption.age_add) & 0xFFFFFFFF

    def extension(self) -> bytes:
        """The end of the ClientHello, with zeros where the binder belongs."""
        identity = vector16(self.resumption.ticket) + self._age.to_bytes(4, "big")
        binder = bytes(self.algorithm.digest_size)
        content = vector16(identity) + vector16(vector8(binder))
        return ext.encode_extension(ext.PRE_SHARED_KEY, content)

    def bind(self, hello: bytes, transcript: hashes.Hash) -> bytes:
        """The ClientHello `hello`, which has an empty binder, with the right one. `transcript` has
        what came before: nothing, or a ClientHello's hash and a HelloRetryRequest."""
        end = len(hello) - self.algorithm.digest_size
        # section 4.2.11.2: up to, but not including, the list of binders with its two lengths
        transcript.update(hello[: end - 3])
        key = self._derive(b"res binder", hashes.Hash(self.algorithm).finalize())
        return hello[:end] + finished_mac(self.algorithm, key, transcript.finalize())

    def early_secret(self, hello: bytes) -> bytes:
        """The client's early traffic secret; `hello` is the whole ClientHello, the first one."""
        digest = hashes.Hash(self.algorithm)
        digest.update(hello)
        return self._derive(b"c e traffic", digest.finalize())

    def _derive(self, label: bytes, context: bytes) -> bytes:
        """Derive-Secret from the early secret (section 7.1)."""
        size = self.algorithm.digest_size
        early = HKDF.extract(self.algorithm, bytes(size), self.resumption.secret)
        return hkdf_expand_label(self.algorithm, early, label, size, context)


def psk_offer(
    resumption: Resumption | None, config: TlsClientConfig, wall_time: float, early_data: bool
) -> PskOffer | None:
    """The offer, if the ticket can be of use now; with early data if that was wanted and is
    possible."""
    if resumption is None or resumption.cipher_suite not in config.cipher_suites:
        return None
    age = age_at(resumption.issued_at, wall_time)
    if age is None or age > MAX_TICKET_LIFETIME or wall_time >= resumption.expires_at:
        return None
    if len(resumption.ticket) > _LARGEST_TICKET or not resumption.peer_certificates:
        return None
    shown = resumption.peer_certificates[0]
    try:
        certified = read_certificate_untrusted(shown)
    except BadPacketError:
        return None
    # A store of the application's may give out another server's ticket; whoever has its secret
    # would be taken for this one.
    if not may_resume(config.verification, shown, config.server_name):
        return None
    early_data &= resumption.early_data and resumption.alpn in config.alpn
    return PskOffer(resumption, age, certified.not_after.timestamp(), early_data)
