"""The two variants of the protocol core: compiled by mypyc, and plain Python."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trioquic
from tests.conftest import TESTS, VARIANT, variant_of
from trioquic._protocol import connection

WHICH = "import trioquic; print(trioquic.compiled)"


def asked(pure: str) -> str:
    environment = {**os.environ, "TRIOQUIC_PURE_PYTHON": pure}
    command = [sys.executable, "-c", WHICH]
    result = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return result.stdout.strip()


def test_it_tells_which_variant_runs() -> None:
    assert trioquic.compiled == (not connection.__file__.endswith(".py"))
    expected = os.environ.get("TRIOQUIC_EXPECT")
    if expected is not None:
        assert trioquic.compiled == (expected == "compiled")


def test_no_compiled_class_has_weak_references() -> None:
    """mypyc does not clear them: whoever follows one later reads freed memory (see setup.py)."""
    found = [
        member
        for module in pkgutil.walk_packages(trioquic._protocol.__path__, "trioquic._protocol.")
        for member in vars(importlib.import_module(module.name)).values()
        if isinstance(member, type) and hasattr(member, "__mypyc_attrs__")
    ]
    assert bool(found) == trioquic.compiled
    assert [kind for kind in found if kind.__weakrefoffset__] == []


def test_plain_python_can_be_forced() -> None:
    assert asked("1") == "False"
    assert asked("0") == str(trioquic.compiled)


def test_what_runs_in_one_variant_is_named_by_its_path() -> None:
    assert [path for path in VARIANT if not (TESTS / path).exists()] == []
    assert set(VARIANT.values()) == {"plain", "compiled", None}
    assert variant_of(TESTS / "http3" / "test_mutations.py") == "plain"
    assert variant_of(TESTS / "tls" / "test_mutations.py") == "compiled"
    # the nearest is said of the file, and one of that name elsewhere is another one
    assert variant_of(TESTS / "cancellation" / "test_http3.py") == "plain"
    assert variant_of(TESTS / "cancellation" / "test_streams.py") == "compiled"
    assert variant_of(TESTS / "simulation" / "test_streams.py") is None


@pytest.mark.plain
def test_make_series_reaches_every_series() -> None:
    """It names folders and files, as most of the suite has no series."""
    makefile = (TESTS.parent / "Makefile").read_text()
    command = makefile.partition("\nseries:")[2].partition("\n\n")[0]
    named = [TESTS.parent / word for word in command.split() if word.startswith("tests/")]
    assert len(named) > 5
    using = {
        path
        for path in TESTS.rglob("test_*.py")
        if re.search(r"mark\.series|import series", path.read_text()) and path != Path(__file__)
    }
    reached = {path for path in using for at in named if path == at or at in path.parents}
    assert using - reached == set()
