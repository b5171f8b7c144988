"""The peer's packet keys: one pair per space, and every generation of the 1-RTT keys.

Old generations are never dropped, so that a test can send with keys that should be gone.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes

from trioquic._protocol.crypto.keys import PacketKeys, hkdf_expand_label, initial_secrets

from .packets import APPLICATION, INITIAL


def next_secret(cipher_suite: int, secret: bytes) -> bytes:
    algorithm = hashes.SHA384() if cipher_suite == 0x1302 else hashes.SHA256()
    return hkdf_expand_label(algorithm, secret, b"quic ku", len(secret))


@dataclass
class Direction:
    """One direction of one space. Header protection stays with generation 0 (RFC 9001 6.1)."""

    cipher_suite: int
    secrets: list[bytes]
    keys: list[PacketKeys] = field(default_factory=list)

    def generation(self, number: int) -> PacketKeys:
        while len(self.secrets) <= number:
            self.secrets.append(next_secret(self.cipher_suite, self.secrets[-1]))
        while len(self.keys) <= number:
            secret = self.secrets[len(self.keys)]
            self.keys.append(PacketKeys.derive(self.cipher_suite, secret))
        return self.keys[number]


class KeyStore:
    """Keys to open the client's packets (`read`) and to seal the server's (`write`)."""

    def __init__(self) -> None:
        self.read: dict[int, Direction] = {}
        self.write: dict[int, Direction] = {}

    def set_initial(self, dcid: bytes) -> None:
        client, server = initial_secrets(dcid)
        self.install(INITIAL, 0x1301, client, server)

    def install(self, space: int, cipher_suite: int, client: bytes, server: bytes) -> None:
        self.read[space] = Direction(cipher_suite, [client])
        self.write[space] = Direction(cipher_suite, [server])

    def seal_keys(self, space: int, generation: int) -> tuple[PacketKeys, PacketKeys]:
        """The keys to seal with, and those of the header protection."""
        direction = self.write[space]
        return direction.generation(generation), direction.generation(0)

    def open(
        self, space: int, generation: int, number: int, header: bytes, sealed: bytes
    ) -> tuple[bytes, int] | None:
        """The plaintext and the generation that opened it; None if nothing does."""
        direction = self.read[space]
        if space != APPLICATION:
            payload = direction.generation(0).open(number, header, sealed)
            return None if payload is None else (payload, 0)
        phase = header[0] >> 2 & 1
        for candidate in (generation, generation + 1, generation - 1):
            if candidate < 0 or candidate & 1 != phase:
                continue
            payload = direction.generation(candidate).open(number, header, sealed)
            if payload is not None:
                return payload, candidate
        return None
