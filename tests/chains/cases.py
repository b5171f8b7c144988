"""The named chains: each rule kept and broken, at each place of a chain."""

from collections.abc import Iterator

from tests.chains.case import Case
from tests.chains.constraint_cases import constraint_cases
from tests.chains.field_cases import field_cases
from tests.chains.rule_cases import rule_cases
from tests.chains.shape_cases import shape_cases


def all_cases() -> Iterator[Case]:
    yield from shape_cases()
    yield from rule_cases()
    yield from field_cases()
    yield from constraint_cases()
