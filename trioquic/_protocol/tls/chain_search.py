"""Looks for chains among the certificates that a server has sent, to roots of the caller's own.

The search begins at the roots: a certificate's key checks signatures only after a key that is
trusted has vouched for it. So what a server sends costs one check of a signature for each
certificate that claims to come from a root, and keys of its own making are never used. What is
vouched for may be connected in many ways, where authorities have certified each other; a bounded
number of them is told, the first of them by the issuers that are nearest to a root. Whether a chain
keeps the rules is not looked at here.
"""

from typing import Final

from .alerts import BAD_CERTIFICATE, tls_error
from .certificates import Certificate
from .chain_certificate import called, signed_by_untrusted, weak_signature_untrusted

# A chain of five, with three certificates of the same name for each issuer, takes a quarter of it.
MOST_SIGNATURES: Final = 128
MOST_WAYS: Final = 16
_MOST_STEPS: Final = 256


class ChainSearch:
    """The chains from the first one of the certificates `sent`, which are no roots."""

    def __init__(self, sent: list[Certificate], roots: dict[bytes, list[Certificate]]) -> None:
        self._sent = len(sent)
        self._roots = roots
        # first what was sent, then the roots that it names
        self._nodes = list(sent)
        for name in dict.fromkeys([each.issuer for each in sent]):
            self._nodes += roots.get(name, ())
        # by whom each one was issued, for certain
        self._issuers: list[list[int]] = [[] for _ in sent]
        self._steps = 0

    def ways_untrusted(self) -> list[list[Certificate]]:
        """Each from the first certificate to a root; none if it is not trusted."""
        self._vouch_untrusted()
        ways: list[list[int]] = []
        self._climb([0], ways)
        return [[self._nodes[place] for place in way] for way in ways]

    def _vouch_untrusted(self) -> None:
        ahead = list(range(self._sent, len(self._nodes)))
        signatures = done = 0
        while done < len(ahead):
            place = ahead[done]
            done += 1
            issuer = self._nodes[place]
            for child in range(self._sent):
                if child == place or self._nodes[child].issuer != issuer.subject:
                    continue
                signatures += 1
                if signatures > MOST_SIGNATURES:
                    raise tls_error(
                        BAD_CERTIFICATE,
                        "the chain has too many certificates with the same names to try them all; "
                        "the server should send only what leads to a root",
                    )
                if signed_by_untrusted(self._nodes[child], issuer):
                    if not self._issuers[child]:
                        ahead.append(child)
                    self._issuers[child].append(place)

    def _climb(self, way: list[int], ways: list[list[int]]) -> None:
        """The first issuer of each one is nearest to a root, so that the first way is a shortest;
        others come in no such order."""
        for issuer in self._issuers[way[-1]]:
            self._steps += 1
            if self._steps > _MOST_STEPS or len(ways) >= MOST_WAYS:
                return
            if issuer >= self._sent:
                ways.append([*way, issuer])
            elif issuer not in way:
                self._climb([*way, issuer], ways)

    def where_it_ends_untrusted(self) -> str:
        """Why there is no way, by the names of issuers, for an error."""
        place = 0
        seen = [0]
        while True:
            certificate = self._nodes[place]
            what = "the server's certificate" if place == 0 else called(certificate)
            if certificate.issuer == certificate.subject and certificate.issuer not in self._roots:
                return f"{what} is self-signed and none of your roots; add it, if you know it"
            weak = weak_signature_untrusted(certificate)
            if weak:
                return f"{what} is signed with {weak}; it has to be issued with SHA-256"
            if certificate.issuer in self._roots:
                return (
                    f"{what} has the name of the root {called(self._roots[certificate.issuer][0])} "
                    "for its issuer, but was not signed with that key; is it another root?"
                )
            above = [
                other
                for other in range(self._sent)
                if other not in seen and self._nodes[other].subject == certificate.issuer
            ]
            if not above:
                return (
                    f"the issuer of {what} is none of your roots and was not sent; the server has "
                    "to send its intermediate certificates, or add that issuer to your roots"
                )
            place = above[0]
            seen.append(place)
