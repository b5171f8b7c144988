"""Chains at random: each certificate may be odd in several ways at once, or in none.

What is known to be judged otherwise by OpenSSL is not drawn here: it has its named cases.
"""

import random
from collections.abc import Iterator
from typing import Any

from cryptography import x509

from tests.chains import parts
from tests.chains.case import Case
from tests.chains.constraint_cases import DNS, EMAIL, IP, NETWORK, limits
from tests.chains.forge import Extension, Made, extension
from tests.chains.parts import (
    CLIENT,
    FUTURE,
    LONG,
    NO_CA,
    PAST,
    SERVER,
    authority,
    case,
    names,
    path_length,
    server,
)
from tests.tls import der
from tests.tls.pki import usage

KINDS = ("p256",) * 8 + ("p384", "p521", "ed25519", "ed25519", "ed448", "rsa2048", "rsa1024")
HOSTS = ("server.example", "a.wild.example", "a_b.example", "10.1.2.3", "2001:db8::1")
ON_CERTIFICATES = ("*.wild.example", "a_b.example", "10.1.2.3", "2001:db8::1", "x.server.example")
SUBTREES = (
    *[
        der.element(DNS, host)
        for host in (b"example", b".example", b"server.example", b"b.example")
    ],
    der.element(IP, NETWORK),
    der.element(EMAIL, b"mail.example"),
)
UNKNOWN: Extension = ("1.2.3.4", b"\x05\x00", True)


def random_chains(seed: int, count: int) -> Iterator[Case]:
    for number in range(seed, seed + count):
        yield _Draw(number).case()


class _Draw:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        # most chains have few oddities, so that some are good and the bad ones differ
        self.oddity = self.random.choice((0.0, 0.01, 0.03, 0.1))

    def case(self) -> Case:
        chain = [self._authority("root", None)]
        for number in range(self.random.choice((0, 1, 1, 2, 3))):
            chain.append(self._authority(f"middle {number}", chain[-1]))
        host = self.random.choice(HOSTS)
        leaf = self._server(chain[-1], host)
        sent = chain[1:]
        if sent and self._odd():
            sent.pop(self.random.randrange(len(sent)))
        sent += [authority("extra", authority("nobody"))] * self.random.randrange(2)
        sent += chain[:1] * self.random.randrange(2)
        self.random.shuffle(sent)
        roots = [chain[0], authority("another root")]
        if self._odd():
            roots[0] = self.random.choice((authority("root", owner="other"), *chain))
        return case(f"seed {self.seed}", tuple(roots), leaf, *sent, server_name=host)

    def _odd(self) -> bool:
        return self.random.random() < self.oddity

    def _authority(self, subject: str, issuer: Made | None) -> Made:
        changed: list[Extension] = []
        without: list[str] = []
        if self._odd():
            if self.random.random() < 0.5:
                without.append(parts.BASIC)
            else:
                changed.append(NO_CA)
        elif self.random.random() < 0.3:
            changed.append(path_length(self.random.randrange(3)))
        if self._odd():
            if self.random.random() < 0.5:
                without.append(parts.USAGE)
            else:
                changed.append(extension(usage(signature=True, cert_sign=False), critical=True))
        if self.random.random() < 0.2:
            changed.append(CLIENT if self._odd() else SERVER)
        if self.random.random() < 0.2:
            permitted = tuple(self.random.sample(SUBTREES, self.random.randrange(3)))
            excluded = tuple(self.random.sample(SUBTREES, self.random.randrange(2)))
            if permitted or excluded:
                changed.append(limits(permitted, excluded))
        return authority(subject, issuer, *changed, *self._any(issuer), without=tuple(without),
                         **self._plan(issuer))  # fmt: skip

    def _server(self, issuer: Made, host: str) -> Made:
        named = self.random.sample(ON_CERTIFICATES, self.random.randrange(4))
        if not self._odd():
            named.append(host)
        changed = [names(*named, critical=self._odd())] if named else []
        without = [] if named else [parts.NAMES]
        if self._odd():
            changed.append(CLIENT)
        if self._odd():
            without.append(parts.PURPOSE)
        return server(issuer, *changed, *self._any(issuer), without=tuple(without),
                      **self._plan(issuer))  # fmt: skip

    def _any(self, issuer: Made | None) -> tuple[Extension, ...]:
        found = [UNKNOWN] if self._odd() else []
        if issuer is not None and self.random.random() < 0.3:
            digest = bytes(20) if self._odd() else issuer.identifier
            found.append(extension(x509.AuthorityKeyIdentifier(digest, None, None)))
        return tuple(found)

    def _plan(self, issuer: Made | None) -> dict[str, Any]:
        plan: dict[str, Any] = dict(LONG)
        if self._odd():
            plan.update(self.random.choice((PAST, FUTURE)))
        kind = self.random.choice(KINDS)
        if kind != "rsa1024" or self._odd():
            plan["kind"] = kind
        if self._odd():
            plan["hash_name"] = "sha1"
        elif self.random.random() < 0.1:
            plan["hash_name"] = "sha512"
        if self._odd():
            plan["version_1"] = True
        return plan
