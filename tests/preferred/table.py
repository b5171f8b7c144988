"""The table of all orders, as docs/paths.md shows it: folded where neighbours agree.

A row stands for every combination of the values that it names. Nothing is folded by hand:
`test_table.py` unfolds the rows again and finds each order once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.preferred.orders import BESIDE, ORDERS, Ids, Order, values_of
from tests.preferred.rules import Rule, Server, Verdict, verdict

ALL: Final = (*ORDERS, *BESIDE)
KINDS: Final = tuple(type(value) for value in values_of(ORDERS[0]))
Values = frozenset[Enum]

_HEADINGS: Final = {
    "active": "path in use",
    "preferred": "preferred address",
    "migration": "migration",
    "mover": "moved by",
    "ids": "IDs",
}
# the order of the columns, and which dimensions are folded first
_COLUMNS: Final = ("preferred", "migration", "active", "mover", "ids")
_FOLDED: Final = ("ids", "active", "migration", "mover", "preferred")


@dataclass(frozen=True, slots=True)
class Row:
    """Orders that end alike: every combination of these values, in the dimensions' order."""

    values: tuple[Values, ...]
    verdict: Verdict

    def orders(self) -> list[Order]:
        """The orders that it stands for."""
        return [
            order
            for order in ALL
            if all(v in some for v, some in zip(values_of(order), self.values, strict=True))
        ]


def folded(orders: Iterable[Order] = ALL) -> list[Row]:
    """As few rows as folding one dimension after the other gives."""
    rows = [Row(tuple(frozenset([v]) for v in values_of(o)), verdict(o)) for o in orders]
    places = [Order.__slots__.index(name) for name in _FOLDED]
    while True:
        before = len(rows)
        for place in places:
            rows = _fold(rows, place)
        if len(rows) == before:
            return sorted(rows, key=_first_of)


def _fold(rows: list[Row], place: int) -> list[Row]:
    found: dict[tuple[object, ...], Values] = {}
    for row in rows:
        key = (*row.values[:place], *row.values[place + 1 :], row.verdict)
        found[key] = found.get(key, frozenset()) | row.values[place]
    result = []
    for (*others, how), some in found.items():
        assert isinstance(how, Verdict)
        values = [value for value in others if isinstance(value, frozenset)]
        result.append(Row((*values[:place], some, *values[place:]), how))
    return result


def _first_of(row: Row) -> list[int]:
    columns = [Order.__slots__.index(name) for name in _COLUMNS]
    return [min(list(KINDS[place]).index(v) for v in row.values[place]) for place in columns]


def text() -> str:
    """The rules, and the table."""
    lines = [f'- **{r.name}** ({r.section}: "{r.words}"): {r.decides}.' for r in Rule]
    heads = [*(_HEADINGS[name] for name in _COLUMNS), "ends", "asked over cellular", "rules"]
    lines += ["", _line(heads), _line(["---"] * len(heads))]
    lines += [_line(_cells(row)) for row in folded()]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row) -> list[str]:
    how = row.verdict
    cells = []
    for name in _COLUMNS:
        place = Order.__slots__.index(name)
        kind, some = KINDS[place], row.values[place]
        names = [_name(value) for value in kind if value in some]
        cells.append("any" if len(names) == len(kind) else ", ".join(names))
    rules = ", ".join(sorted(rule.name for rule in how.rules))
    return [*cells, str(how.outcome), _asked(how.outcome.asked), rules]


def _name(value: Enum) -> str:
    return "many" if value is Ids.MANY else str(value.value)


def _asked(servers: frozenset[Server] | None) -> str:
    if servers is None:
        return "as the policy likes"
    if len(servers) == len(Server):
        return "both"
    return next((server.value for server in servers), "none")
