"""The documentation agrees with the source, and its links lead somewhere."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

import trioquic
from tests import walks
from tests.documents import GENERATED, PROJECT, updated

# reads the package's source
pytestmark = pytest.mark.plain

DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")])


@pytest.mark.parametrize("document", sorted({name for name, _ in GENERATED}))
def test_generated_parts_are_up_to_date(document: str) -> None:
    text = (PROJECT / "docs" / document).read_text(encoding="utf-8")
    assert updated(document) == text, "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_every_error_is_documented() -> None:
    text = (PROJECT / "docs/errors.md").read_text(encoding="utf-8")
    errors = [name for name in trioquic.__all__ if name.endswith("Error")]
    assert errors
    assert [name for name in errors if f"`{name}`" not in text] == []


def test_every_setting_of_tls_is_documented() -> None:
    text = (PROJECT / "docs/tls.md").read_text(encoding="utf-8")
    names = [field.name for field in dataclasses.fields(trioquic.TLSConfig)]
    assert [name for name in names if f"`{name}" not in text] == []


@pytest.mark.parametrize(
    "module", ["trioquic", "trioquic.http3", "trioquic.httpx", "trioquic.anyio", "trioquic.testing"]
)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    """By its own name, or with the whole module that defines it."""
    page = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
    whole = set(re.findall(r"automodule:: ([\w.]+)\n(?!   :)", page))
    public = importlib.import_module(module)
    missing = [
        name
        for name in public.__all__
        if not re.search(rf"\b{name}\b", page)
        and getattr(getattr(public, name), "__module__", None) not in whole
        and not name.startswith("__")
    ]
    assert missing == []


def test_no_walk_is_long() -> None:
    """docs/architecture.md says what each of them is."""
    found = walks.record()
    assert len(found) == 4
    assert {name: walk for name, walk in found.items() if len(walk) > walks.MOST_HOPS} == {}
