"""Short ways to write local addresses, used by the tests of this folder."""

from typing import Any

from trioquic._address.local import LocalAddress
from trioquic._address.policy_table import AddressPolicy

PLAIN = AddressPolicy(automatic_rows=False)


def local(text: str, interface: str = "eth0", **facts: Any) -> LocalAddress:
    """`2001:db8::1`, or `2001:db8::1/48`; without a length /64, and /24 for IPv4."""
    address, slash, length = text.partition("/")
    if not slash:
        length = "64" if ":" in address else "24"
    return LocalAddress(address=address, prefix_length=int(length), interface=interface, **facts)


def locals_of(text: str) -> list[LocalAddress]:
    """`A or B (deprecated) or C (care-of)`, the way the RFC writes candidate sets."""
    marks = {"deprecated", "temporary", "care_of", "home"}
    found = []
    for part in text.split(" or "):
        address, _, mark = part.partition(" (")
        fact = mark.rstrip(")").replace("-", "_")
        assert fact in marks or not fact
        facts: dict[str, Any] = {fact: True} if fact else {}
        found.append(local(address, **facts))
    return found
