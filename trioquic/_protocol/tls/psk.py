"""The offer to resume an earlier session: pre_shared_key with its binder (RFC 8446 section 4.2.11).

The extension is the last of the ClientHello. Its binder is a MAC, with a key that follows from the
ticket's secret, over everything before it; so a ticket that was overheard is worth nothing. No more
than one ticket is offered.
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..crypto.keys import hkdf_expand_label, suite_hash
from . import extensions as ext
from .codec import vector8, vector16
from .resumption import Resumption

# A ticket is repeated in each ClientHello, which should fit into few datagrams.
_LARGEST_TICKET: Final = 4096


class PskOffer:
    """One ticket, offered at one time."""

    def __init__(self, resumption: Resumption, wall_time: float) -> None:
        self.resumption = resumption
        self.algorithm = suite_hash(resumption.cipher_suite)
        milliseconds = int((wall_time - resumption.issued_at) * 1000)
        # section 4.2.11.1
        self._age = (milliseconds + resumption.age_add) & 0xFFFFFFFF

    def extension(self, binder: bytes) -> bytes:
        """The extension with this binder, the end of the ClientHello."""
        identity = vector16(self.resumption.ticket) + self._age.to_bytes(4, "big")
        content = vector16(identity) + vector16(vector8(binder))
        return ext.encode_extension(ext.PRE_SHARED_KEY, content)

    @property
    def empty_binder(self) -> bytes:
        """What stands for the binder until that is known."""
        return bytes(self.algorithm.digest_size)

    def bind(self, hello: bytes, transcript: hashes.Hash) -> bytes:
        """The ClientHello `hello`, which has an empty binder, with the right one. `transcript` has
        what came before: nothing, or a ClientHello's hash and a HelloRetryRequest."""
        size = self.algorithm.digest_size
        end = len(hello) - size
        # section 4.2.11.2: up to, but not including, the list of binders with its two lengths
        transcript.update(hello[: end - 3])
        early = HKDF.extract(self.algorithm, bytes(size), self.resumption.secret)
        empty = hashes.Hash(self.algorithm).finalize()
        key = hkdf_expand_label(self.algorithm, early, b"res binder", size, empty)
        mac = HMAC(hkdf_expand_label(self.algorithm, key, b"finished", size), self.algorithm)
        mac.update(transcript.finalize())
        return hello[:end] + mac.finalize()


def psk_offer(
    resumption: Resumption | None, cipher_suites: tuple[int, ...], wall_time: float
) -> PskOffer | None:
    """The offer, if the ticket can be of use now."""
    if resumption is None or resumption.cipher_suite not in cipher_suites:
        return None
    if not resumption.issued_at <= wall_time < resumption.expires_at:
        return None
    if len(resumption.ticket) > _LARGEST_TICKET:
        return None
    return PskOffer(resumption, wall_time)
