"""Named and random chains, judged by the client and by `openssl verify`.

The suite has each named chain judged by the client, and some of them, with some at random, by
OpenSSL as well. `python -m tests.chains`, or `make series`, has OpenSSL judge them all.
"""

from functools import cache
from pathlib import Path

import pytest

from tests import series
from tests.chains import openssl
from tests.chains.case import Case, verdict
from tests.chains.cases import all_cases
from tests.chains.differences import DIFFERENCES
from tests.chains.random_chains import random_chains
from tests.programs import needs

RANDOM = 2000


@cache
def named() -> tuple[Case, ...]:
    return tuple(all_cases())


def test_each_named_chain_is_judged_as_it_should_be() -> None:
    assert len(named()) > 350
    wrong = []
    for case in named():
        reason = verdict(case)
        if (reason == "") != (case.reason is None) or (case.reason or "") not in reason:
            wrong.append((case.name, case.reason, reason))
        assert len(reason) < 500 and reason.isascii(), case.name
    assert wrong == []
    good = sum(case.reason is None for case in named())
    assert 100 < good < len(named()) - 100


def test_no_two_chains_have_the_same_name() -> None:
    assert len({case.name for case in named()}) == len(named())


def test_each_difference_has_a_chain() -> None:
    assert {case.difference for case in named() if case.difference} == set(DIFFERENCES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where OpenSSL finds a chain."""
    if not openssl.version().startswith("OpenSSL 3."):
        pytest.skip(f"judged by the rules of OpenSSL 3, not by those of {openssl.version()}")
    return tmp_path


@needs("openssl")
def test_openssl_judges_the_same_or_the_difference_is_known(folder: Path) -> None:
    cases = named() if series.all_of_them else some_of(named())
    wrong = []
    for case in cases:
        reason = openssl.verdict(case, folder)
        agrees = (reason == "") == (case.reason is None)
        if agrees == bool(case.difference):
            wrong.append((case.name, case.reason, reason, case.difference))
    assert wrong == []


def some_of(cases: tuple[Case, ...]) -> list[Case]:
    """One for each difference, and each twelfth."""
    different = {case.difference: case for case in cases if case.difference}
    return [*different.values(), *[case for case in cases if not case.difference][::12]]


@needs("openssl")
def test_openssl_judges_random_chains_the_same(folder: Path) -> None:
    good = wrong = 0
    count = RANDOM if series.all_of_them else 40
    for case in random_chains(0, count):
        own, other = verdict(case), openssl.verdict(case, folder)
        good += own == ""
        assert (own == "") == (other == ""), (case.name, own, other)
        wrong += own != ""
    assert good > count // 4 and wrong > count // 4
