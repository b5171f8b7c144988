"""The policy table of RFC 6724 section 2.1: what is preferred, and what belongs together.

A lookup finds the row with the longest prefix that contains an address. The row's precedence sorts
destinations (larger is better), its label ties sources to destinations (equal is better). IPv4
addresses are looked up under their IPv4-mapped form, and a row may be written with an IPv4 prefix.

A table is a value, and an application's rows make another one (sections 10.3 to 10.7).
`with_automatic_rows` adds the site-specific rows that an implementation may derive from its own
addresses, one for each /48 of a unique local address, or of a 6to4 address on a native network;
these never replace a row. Rows hold in every zone (section 2.1 would allow one zone's own), as a
destination with a zone has one interface to go through, and so nothing to be ordered by them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network
from itertools import pairwise
from typing import Final

from .. import _checks
from .address import Address, mapped, parse_prefix
from .local import LocalAddress

_SITE_PREFIX_LENGTH: Final = 48  # of unique local addresses (RFC 4193) and of 6to4 (RFC 3056)
_AUTOMATIC_PRECEDENCE: Final = 45  # the examples of sections 10.6 and 10.7
_AUTOMATIC_LABEL: Final = 14
_UNIQUE_LOCAL: Final = IPv6Network("fc00::/7")
_6TO4: Final = IPv6Network("2002::/16")
_LARGEST: Final = (1 << 32) - 1


def _prefix(name: str, value: object) -> object:
    text = _checks.text(name, value)
    try:
        parse_prefix(str(text))
    except ValueError as error:
        raise ValueError(f"{name} must be like 2001:db8::/32 or 10.0.0.0/8: {error}") from None
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """One row. Raises ValueError for what is no prefix, and for numbers below 0."""

    prefix: str = field(metadata=_checks.by(_prefix))
    """Such as `2001:db8::/32`, or `10.0.0.0/8` for IPv4."""
    precedence: int = field(metadata=_checks.by(_checks.whole(0, _LARGEST)))
    """Destinations in here come before those with a lower one."""
    label: int = field(metadata=_checks.by(_checks.whole(0, _LARGEST)))
    """A destination is best reached from an address with the same label."""

    parsed: IPv6Network = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _checks.check_fields(self)
        object.__setattr__(self, "parsed", parse_prefix(self.prefix))


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """A table that has a row for every address. ValueError when it has not, or has two equal."""

    rows: tuple[PolicyRow, ...] = field(metadata=_checks.by(_checks.several(PolicyRow)))
    """The longest prefix first, in whichever order they are given."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)
        rows = sorted(self.rows, key=lambda row: (-row.parsed.prefixlen, row.parsed))
        for row, following in pairwise(rows):
            if row.parsed == following.parsed:
                raise ValueError(f"rows has two for the prefix {row.prefix}")
        if not rows or rows[-1].parsed.prefixlen > 0:
            raise ValueError("rows must have one for ::/0, so that every address has a row")
        object.__setattr__(self, "rows", tuple(rows))

    def with_rows(self, rows: Iterable[PolicyRow]) -> "PolicyTable":
        """This table with other rows beside its own, or in place of those with the same prefix."""
        added = _checks.tuple_of(PolicyRow, "rows", rows)
        replaced = {row.parsed for row in added}
        return PolicyTable((*(row for row in self.rows if row.parsed not in replaced), *added))

    def lookup(self, address: Address) -> PolicyRow:
        """The row with the longest prefix that has the address."""
        number = IPv6Address(mapped(address))
        return next(row for row in self.rows if number in row.parsed)

    def label(self, address: Address) -> int:
        """The label of that row."""
        return self.lookup(address).label

    def with_automatic_rows(self, local_addresses: Iterable[LocalAddress]) -> "PolicyTable":
        """This table with a row for each site that the addresses show this machine to be in."""
        sites = {
            IPv6Network((int(local.parsed), _SITE_PREFIX_LENGTH), strict=False)
            for local in local_addresses
            if local.parsed in _UNIQUE_LOCAL or (local.parsed in _6TO4 and not local.encapsulated)
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
    """What an application or an administrator chooses of RFC 6724 (sections 2.1 and 5)."""

    table: PolicyTable = _checks.checked(DEFAULT_TABLE, _checks.instance(PolicyTable))
    """The policy table. `DEFAULT_TABLE.with_rows([PolicyRow(...)])` makes another one."""
    automatic_rows: bool = _checks.checked(True, _checks.flag)
    """Whether the sites that this machine's own addresses show have rows of their own: the
    Automatic Row Additions flag."""
    prefer_public: bool = _checks.checked(False, _checks.flag)
    """Whether public addresses come before temporary ones (RFC 8981), and not behind them: source
    rule 7, the Privacy Preference flag."""
    prefer_care_of: bool = _checks.checked(False, _checks.flag)
    """Whether a mobile node's care-of addresses come before its home addresses (RFC 6275), and not
    behind them: rule 4, for sources and for destinations."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)

    def table_for(self, local_addresses: Iterable[LocalAddress]) -> PolicyTable:
        """The table in force on a machine with these addresses."""
        if self.automatic_rows:
            return self.table.with_automatic_rows(local_addresses)
        return self.table


DEFAULT_POLICY: Final = AddressPolicy()
