"""The integrity tag of Retry packets (RFC 9001 section 5.8).

The key is public: the tag proves no more than that the Retry answers this client's Initial, whose
Destination Connection ID an attacker off the path does not know.
"""

from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY: Final = bytes.fromhex("be0c690b9f66575a1d766b54e368c84e")
_NONCE: Final = bytes.fromhex("461599d35d632bf2239825bb")


def retry_tag(original_dcid: bytes, retry_without_tag: bytes) -> bytes:
    """The 16 bytes that end a Retry; `original_dcid` is that of the client's first Initial."""
    pseudo_packet = b"%c%b%b" % (len(original_dcid), original_dcid, retry_without_tag)
    return AESGCM(_KEY).encrypt(_NONCE, b"", pseudo_packet)


def retry_is_authentic(original_dcid: bytes, retry_without_tag: bytes, tag: bytes) -> bool:
    return compare_digest(retry_tag(original_dcid, retry_without_tag), tag)
