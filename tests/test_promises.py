"""What is promised is proved, and what is attacked is told: docs/promises.md against the tests."""

import re

import pytest

from tests import promises
from tests.promises import DOCS, PROJECT, existing_tests, faults, misnumbered, pages, unnamed

# reads the source of the tests
pytestmark = pytest.mark.plain

TESTS = existing_tests()
PAGES = pages()


@pytest.mark.parametrize("page", PAGES)
def test_each_promise_has_tests_that_are_there(page: str) -> None:
    assert list(faults(PAGES[page], TESTS)) == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[page]):
        assert (DOCS / "promises" / target).exists(), target


def test_each_page_is_listed() -> None:
    assert set(PAGES) == {path.stem for path in (DOCS / "promises").glob("*.md")}


def test_each_test_of_an_attack_is_named() -> None:
    assert unnamed(PAGES.values(), TESTS) == []


def test_the_attacks_are_numbered_as_their_tests_are() -> None:
    numbers = [p.number for text in PAGES.values() for p in promises.promises(text) if p.number]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert misnumbered(PAGES.values(), TESTS) == []


def test_each_point_of_the_readme_has_promises() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    points = re.findall(
        r"^- (.*)", text.partition("What works:")[2].partition("\nThere is")[0], re.M
    )
    headings = tuple(re.findall(r"^## (.*)", PAGES["readme"].lower(), re.MULTILINE))
    assert len(points) > 5
    assert [point for point in points if not point.lower().startswith(headings)] == []


def test_each_page_of_the_documentation_has_promises() -> None:
    headings = re.findall(r"^## \[\w+\]\(\.\./(\w+)\.md\)$", "\n".join(PAGES.values()), re.M)
    written = {path.stem for path in DOCS.glob("*.md")} - {"index", "promises"}
    assert sorted(headings) == sorted(written)


PLANTED = {
    "no proof": ("- Nothing is lost.\n", "neither proved nor open"),
    "no file": ("- All is well.\n  - `tests/test_nothing.py`\n", "no file"),
    "no test": ("- All is well.\n  - `tests/test_promises.py::test_nothing`\n", "no test"),
    "no code": ("Code: `trioquic/nothing.py`.\n", "no file"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    page, what = PLANTED[name]
    [fault] = faults(page, TESTS)
    assert fault.startswith(what)


def test_what_is_open_needs_no_test() -> None:
    page = (
        "- **MUST** 1, **open**: It is so.\n- **2**: It is\n  not.\n  - `tests/test_promises.py`\n"
    )
    assert list(faults(page, TESTS)) == []
    first, second = promises.promises(page)
    assert (first.open, first.number, first.tests) == (True, None, ())
    assert (second.open, second.number, second.tests) == (False, 2, ("tests/test_promises.py",))


def test_an_attack_that_is_not_told_is_found() -> None:
    there = {"tests/attacks/test_new.py": frozenset({"test_99_all_at_once"})}
    name = "tests/attacks/test_new.py::test_99_all_at_once"
    assert unnamed(PAGES.values(), there) == [name]
    # a whole file is no name, and another number is another attack
    page = f"- **1**: Garbage.\n  - `tests/attacks/test_new.py`\n  - `{name}`\n"
    assert unnamed([page.replace(f"  - `{name}`\n", "")], there) == [name]
    assert unnamed([page], there) == []
    assert misnumbered([page], there) == [name]
