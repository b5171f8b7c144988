"""Reads docs/promises.md and the pages below it: each promise with the tests that prove it.

A promise is an item of a list, and each item below it names a test, as pytest takes it, or a file
of tests. One that says **open** is not proved. Nothing is run or imported here: whether a test is
there is read off its source.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent
DOCS = PROJECT / "docs"
INDEX = DOCS / "promises.md"

# Where a test stands that a reader of the pages should find there: folders, and files.
ATTACKS = (
    *(f"tests/{folder}/" for folder in "attacks audit checklist floods preferred vectors".split()),
    "tests/cli/test_bad_servers.py",
    "tests/http3/test_faults.py",
    "tests/http3/test_limits.py",
    "tests/http3/test_mutations.py",
    "tests/http3/test_origin.py",
    "tests/httpx/test_bad_bytes.py",
    "tests/lab/test_picoquic.py",
    "tests/lab/test_vpn_attacks.py",
    "tests/path/test_drift.py",
    "tests/real/test_joined_datagrams.py",
    "tests/supervisor/test_wayward_server.py",
    "tests/tls/test_mutations.py",
    "tests/tls/test_odd_certificates.py",
)

_ITEM = re.compile(r"^- (.+(?:\n  .+)*)", re.MULTILINE)
_TEST = re.compile(r"^  - `(tests/[^`]+)`$", re.MULTILINE)
_NAMED = re.compile(r"`((?:tests|trioquic)/[\w./]+\.py)(?:::(\w+))?`")
_NUMBER = re.compile(r"\*\*(\d+)\*\*: ")

Tests = Mapping[str, frozenset[str]]
"""The names of the tests in each file."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of a page."""

    text: str
    tests: tuple[str, ...]
    """As pytest takes them: `path` or `path::name`."""

    @property
    def open(self) -> bool:
        """Whether it says that it is not proved."""
        return "**open**" in self.text

    @property
    def number(self) -> int | None:
        """Which attack it is about."""
        found = _NUMBER.match(self.text)
        return None if found is None else int(found[1])


def promises(page: str) -> list[Promise]:
    """All of a page."""
    found = []
    for item in _ITEM.findall(page):
        text = " ".join(_TEST.sub("", item).split())
        found.append(Promise(text, tuple(_TEST.findall(item))))
    return found


def pages() -> dict[str, str]:
    """The text of each page below the index, by its name, in the index's order."""
    names = re.findall(r"^promises/(\w+)$", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: (DOCS / "promises" / f"{name}.md").read_text(encoding="utf-8") for name in names}


def existing_tests() -> dict[str, frozenset[str]]:
    """Every test of the project."""
    return {
        path.relative_to(PROJECT).as_posix(): frozenset(
            node.name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
        )
        for path in (PROJECT / "tests").rglob("test_*.py")
    }


def faults(page: str, tests: Tests) -> Iterator[str]:
    """What is wrong with a page: promises without proof, and names of what is not there."""
    for promise in promises(page):
        if not promise.tests and not promise.open:
            yield f"neither proved nor open: {promise.text}"
    for path, name in _NAMED.findall(page):
        if not (PROJECT / path).is_file():
            yield f"no file {path}"
        elif name and name not in tests.get(path, ()):
            yield f"no test {path}::{name}"


def unnamed(texts: Iterable[str], tests: Tests) -> list[str]:
    """Tests of attacks that no promise names one by one."""
    named = {test for text in texts for promise in promises(text) for test in promise.tests}
    attacks = [
        f"{path}::{name}" for path in tests if path.startswith(ATTACKS) for name in tests[path]
    ]
    return sorted(set(attacks) - named)


def misnumbered(texts: Iterable[str], tests: Tests) -> list[str]:
    """Tests of tests/attacks whose name has a number, and that do not stand under that one."""
    listed = {
        (promise.number, test)
        for text in texts
        for promise in promises(text)
        for test in promise.tests
    }
    found = []
    for path in tests:
        for name in tests[path] if path.startswith("tests/attacks/") else ():
            number = re.match(r"test_(\d+)_", name)
            if number is not None and (int(number[1]), f"{path}::{name}") not in listed:
                found.append(f"{path}::{name}")
    return sorted(found)


def counts() -> str:
    """How many promises each page has, and how many of them are open: for the index."""
    rows = []
    for name, text in pages().items():
        found = promises(text)
        left = sum(promise.open for promise in found)
        title = text.partition("\n")[0].removeprefix("# ")
        rows.append((f"[{title}](promises/{name}.md)", len(found) - left, left))
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))
    lines = ["| page | proved | open |", "| --- | ---: | ---: |"]
    return "\n".join([*lines, *(f"| {name} | {p} | {o} |" for name, p, o in [*rows, total])])
