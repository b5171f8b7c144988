"""News fragments have the form that a release can collect (changes/README.md)."""

import re
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
FOLDER = PROJECT / "changes"
LONGEST_LINE = 120
# reads what the compiled variant's tests do not have beside them
pytestmark = pytest.mark.plain


def settings() -> dict[str, object]:
    tool: dict[str, dict[str, object]] = tomllib.loads((PROJECT / "pyproject.toml").read_text())[
        "tool"
    ]
    return tool["towncrier"]


def kinds() -> list[str]:
    types = settings()["type"]
    assert isinstance(types, list)
    return [kind["directory"] for kind in types]


def faults(name: str, text: str) -> list[str]:
    """What is wrong with a fragment."""
    form = rf"(\d+|\+[a-z0-9_-]+)\.({'|'.join(kinds())})(\.\d+)?\.md"
    found = []
    if not re.fullmatch(form, name):
        found.append(f"the name is not ISSUE.KIND.md with one of {kinds()}")
    if not text.strip() or "\n\n" in text.strip():
        found.append("it is not one paragraph")
    if text.startswith(("-", "*", "#", " ")):
        found.append("it begins with a bullet, a heading or a space")
    if not text.endswith("\n"):
        found.append("its last line has no end")
    if any(len(line) > LONGEST_LINE for line in text.splitlines()):
        found.append(f"a line has more than {LONGEST_LINE} characters")
    return found


def test_every_fragment_is_well_formed() -> None:
    files = [path for path in FOLDER.iterdir() if path.name != "README.md"]
    wrong = {path.name: faults(path.name, path.read_text(encoding="utf-8")) for path in files}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("14.breaking.md", "`connect` is `open`.\n", None),
        ("14.breaking.2.md", "`connect` is `open`,\nand nothing else.\n", None),
        ("+words.fix.md", "It works.\n", None),
        ("words.fix.md", "It works.\n", "name"),
        ("14.mend.md", "It works.\n", "name"),
        ("14.fix.txt", "It works.\n", "name"),
        ("14.fix.md", "", "one paragraph"),
        ("14.fix.md", "It works.\n\nAnd how.\n", "one paragraph"),
        ("14.fix.md", "- It works.\n", "bullet"),
        ("14.fix.md", "It works.", "end"),
        ("14.fix.md", "It works" * 20 + "\n", "characters"),
    ],
)
def test_what_a_fragment_may_not_be(name: str, text: str, fault: str | None) -> None:
    found = faults(name, text)
    assert (fault is None and not found) or (fault is not None and fault in " ".join(found))


def test_the_changelog_has_the_place_where_they_come_in() -> None:
    """Exactly once, and before every version: the newest is the first."""
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    start = settings()["start_string"]
    assert isinstance(start, str)
    assert text.count(start) == 1
    assert text.index(start) < text.index("\n## ")


def test_the_guide_names_every_kind() -> None:
    guide = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE) == kinds()
