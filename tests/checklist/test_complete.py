"""The list in docs/paths.md and the tests here agree: each point has a test, each test a point."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
LIST = HERE.parents[1] / "docs/paths.md"


def points() -> dict[int, str]:
    """The numbered points of the list and what they say."""
    text = LIST.read_text(encoding="utf-8").partition("## What must hold for a path\n")[2]
    text = text.partition("\n## ")[0]
    found = re.findall(r"^(\d+)\. (.*(?:\n {3,4}\S.*)*)", text, re.MULTILINE)
    return {int(number): point for number, point in found}


def named_tests() -> dict[str, str]:
    """Every test of this folder and the file it is in."""
    return {
        node.name: path.name
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and path != Path(__file__)
    }


def test_the_list_is_whole() -> None:
    assert list(points()) == list(range(1, 24))
    assert [n for n, point in points().items() if not re.search(r"sections? \d", point)] == []


def test_each_point_has_a_test_named_after_it_and_each_test_a_point() -> None:
    numbers = {name: re.match(r"test_(\d\d)_", name) for name in named_tests()}
    assert [name for name, number in numbers.items() if number is None] == []
    assert {int(number[1]) for number in numbers.values() if number} == set(points())
