"""Short ways to write local addresses, used by the tests of this folder."""

from typing import Any

from trioquic._address.local import LocalAddress
from trioquic._address.policy_table import DEFAULT_TABLE, AddressPolicy, PolicyRow, PolicyTable

PLAIN = AddressPolicy(automatic_rows=False)


def local(text: str, interface: str = "eth0", **facts: Any) -> LocalAddress:
    """`2001:db8::1`, or `2001:db8::1/48`; without a length /64, and /24 for IPv4."""
    address, slash, length = text.partition("/")
    if not slash:
        length = "64" if ":" in address else "24"
    return LocalAddress(address=address, prefix_length=int(length), interface=interface, **facts)


def locals_of(text: str) -> list[LocalAddress]:
    """`A or B (deprecated) or C (care-of)`, the way the RFC writes candidate sets."""
    # what is no home address is a care-of address
    marks = {"deprecated", "temporary", "care-of", "home"}
    found = []
    for part in text.split(" or "):
        address, _, mark = part.partition(" (")
        fact = mark.rstrip(")")
        assert fact in marks or not fact
        facts: dict[str, Any] = {fact: True} if fact not in ("", "care-of") else {}
        found.append(local(address, **facts))
    return found


def table_with(*rows: tuple[str, int, int]) -> PolicyTable:
    """The default table with these rows (prefix, precedence, label), as an administrator adds them:
    one for the same prefix is replaced."""
    return DEFAULT_TABLE.with_rows(
        PolicyRow(prefix=p, precedence=precedence, label=label) for p, precedence, label in rows
    )
