"""The policy table of RFC 6724 section 2.1: what is preferred, and what belongs together.

A lookup finds the row with the longest prefix that contains an address. The row's precedence sorts
destinations (larger is better), its label ties sources to destinations (equal is better). IPv4
addresses are looked up under their IPv4-mapped form, and a row may be written with an IPv4 prefix.

A table is a value, and an administrator's rows make another one (sections 10.3 to 10.7).
`with_automatic_rows` adds the site-specific rows that an implementation may derive from its own
addresses, one for each /48 of a unique local or 6to4 address; these never replace a row.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network
from itertools import pairwise
from typing import Final

from .address import Address, mapped, parse_prefix
from .local import LocalAddress

_SITE_PREFIX_LENGTH: Final = 48  # of unique local addresses (RFC 4193) and of 6to4 (RFC 3056)
_AUTOMATIC_PRECEDENCE: Final = 45  # the examples of sections 10.6 and 10.7
_AUTOMATIC_LABEL: Final = 14
_SITE_BLOCKS: Final = (IPv6Network("fc00::/7"), IPv6Network("2002::/16"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    prefix: str
    precedence: int
    label: int

    parsed: IPv6Network = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parsed", parse_prefix(self.prefix))


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """A table that has a row for every address. ValueError when it has not, or has two equal."""

    rows: tuple[PolicyRow, ...]
    """The longest prefix first, in whichever order they are given."""

    def __post_init__(self) -> None:
        rows = sorted(self.rows, key=lambda row: (-row.parsed.prefixlen, row.parsed))
        for row, following in pairwise(rows):
            if row.parsed == following.parsed:
                raise ValueError(f"two rows for the prefix {row.prefix}")
        if not rows or rows[-1].parsed.prefixlen > 0:
            raise ValueError("the policy table needs a row for ::/0")
        object.__setattr__(self, "rows", tuple(rows))

    def lookup(self, address: Address) -> PolicyRow:
        number = IPv6Address(mapped(address))
        return next(row for row in self.rows if number in row.parsed)

    def label(self, address: Address) -> int:
        return self.lookup(address).label

    def with_automatic_rows(self, local_addresses: Iterable[LocalAddress]) -> "PolicyTable":
        """This table with a row for each site that the addresses show this machine to be in."""
        sites = {
            IPv6Network((int(local.parsed), _SITE_PREFIX_LENGTH), strict=False)
            for local in local_addresses
            if any(local.parsed in block for block in _SITE_BLOCKS)
        }
        rows = [
            PolicyRow(prefix=str(site), precedence=_AUTOMATIC_PRECEDENCE, label=_AUTOMATIC_LABEL)
            for site in sites.difference(row.parsed for row in self.rows)
        ]
        return PolicyTable((*self.rows, *rows)) if rows else self


DEFAULT_TABLE: Final = PolicyTable(
    (
        PolicyRow(prefix="::1/128", precedence=50, label=0),
        PolicyRow(prefix="::/0", precedence=40, label=1),
        PolicyRow(prefix="::ffff:0:0/96", precedence=35, label=4),
        PolicyRow(prefix="2002::/16", precedence=30, label=2),
        PolicyRow(prefix="2001::/32", precedence=5, label=5),
        PolicyRow(prefix="fc00::/7", precedence=3, label=13),
        PolicyRow(prefix="::/96", precedence=1, label=3),
        PolicyRow(prefix="fec0::/10", precedence=1, label=11),
        PolicyRow(prefix="3ffe::/16", precedence=1, label=12),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What an application or an administrator can set (RFC 6724 sections 2 and 5)."""

    table: PolicyTable = DEFAULT_TABLE
    automatic_rows: bool = True
    """The Automatic Row Additions flag."""
    prefer_public: bool = False
    """Reverses source rule 7, which prefers temporary addresses: the Privacy Preference flag."""
    prefer_care_of: bool = False
    """Reverses rule 4, which prefers home addresses, for sources and for destinations."""

    def table_for(self, local_addresses: Iterable[LocalAddress]) -> PolicyTable:
        """The table in force on a machine with these addresses."""
        if self.automatic_rows:
            return self.table.with_automatic_rows(local_addresses)
        return self.table


DEFAULT_POLICY: Final = AddressPolicy()
