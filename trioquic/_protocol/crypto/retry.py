"""The integrity tag of Retry packets (RFC 9001 section 5.8).

The key is public: the tag proves no more than that the Retry answers this client's Initial, whose
Destination Connection ID an attacker off the path does not know.
"""

from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..wire.versions import VERSION_1, VERSION_2

# key and nonce; of version 2 in RFC 9369 section 3.3.3
_SECRETS: Final = {
    VERSION_1: (
        bytes.fromhex("be0c690b9f66575a1d766b54e368c84e"),
        bytes.fromhex("461599d35d632bf2239825bb"),
    ),
    VERSION_2: (
        bytes.fromhex("8fb4b01b56ac48e260fbcbcead7ccc92"),
        bytes.fromhex("d86969bc2d7c6d9990efb04a"),
    ),
}


def retry_tag(original_dcid: bytes, retry_without_tag: bytes, version: int = VERSION_1) -> bytes:
    """The 16 bytes that end a Retry; `original_dcid` is that of the client's first Initial."""
    pseudo_packet = b"%c%b%b" % (len(original_dcid), original_dcid, retry_without_tag)
    key, nonce = _SECRETS[version]
    return AESGCM(key).encrypt(nonce, b"", pseudo_packet)


def retry_is_authentic(
    original_dcid: bytes, retry_without_tag: bytes, tag: bytes, version: int = VERSION_1
) -> bool:
    return compare_digest(retry_tag(original_dcid, retry_without_tag, version), tag)
