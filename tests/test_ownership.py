"""One owner for every fact (docs/architecture.md)."""

from pathlib import Path

import pytest

from tests.ownership import (
    WRITERS,
    fact_writers,
    foreign_assignments,
    large_classes,
    slow_constants,
)

PACKAGE = Path(__file__).parent.parent / "trioquic"
CORE = PACKAGE / "_protocol"
# reads the package's source
pytestmark = pytest.mark.plain


def test_each_fact_is_said_in_one_place() -> None:
    assert fact_writers(CORE) == WRITERS


def test_nobody_writes_into_another_room() -> None:
    assert foreign_assignments(PACKAGE) == []


def test_no_class_is_a_crowd() -> None:
    assert large_classes(PACKAGE) == []


def test_constants_of_the_core_are_constants_for_the_compiler() -> None:
    assert slow_constants(CORE) == []


def plant(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""A room."""\n{text}\n')
    return root


def test_a_planted_assignment_is_found(tmp_path: Path) -> None:
    owner = "class Path:\n    def __init__(self):\n        self.silent = False"
    root = plant(
        tmp_path,
        path__path=owner,
        path__table="def f(path):\n    path.silent = True",
        recovery__loss="def f(path):\n    path.silent = True",
    )
    assert foreign_assignments(root) == ["recovery/loss.py:3: path.silent"]


def test_a_planted_writer_is_found(tmp_path: Path) -> None:
    root = plant(tmp_path, recovery__loss="def f(self):\n    self._facts.on_confirmed()")
    assert fact_writers(root) == {"on_confirmed": {"recovery/loss.py"}}


def test_a_planted_crowd_is_found(tmp_path: Path) -> None:
    lines = "\n".join(f"        self.a{number} = 0" for number in range(21))
    text = f"class Crowd:\n    def __init__(self, a, b, c, d, e, f, g):\n{lines}"
    assert large_classes(plant(tmp_path, crowd=text)) == [
        "crowd.py: Crowd has 21 attributes",
        "crowd.py: Crowd takes 7 arguments",
    ]
