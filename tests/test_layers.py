"""Imports point down only, and the protocol core is pure (docs/architecture.md)."""

from pathlib import Path

import pytest

from tests.architecture import MAX_FILE_LINES, MAX_FUNCTION_LINES, read_modules, violations
from tests.rooms import PROTOCOL, RUNTIME, wrong_arrows

ROOT = Path(__file__).parent.parent / "trioquic"
# reads the package's source
pytestmark = pytest.mark.plain


def test_the_package_keeps_its_architecture() -> None:
    assert len(read_modules(ROOT)) > 5
    assert violations(ROOT) == []


def plant(root: Path, path: str, text: str) -> list[str]:
    """Write one file into a package that is fine otherwise, and check that."""
    good = {
        "__init__.py": '"""A."""\nfrom ._runtime.opening import connect\nfrom .errors import E\n',
        "errors.py": '"""Errors."""\nfrom ._protocol.numbers import N\nclass E(Exception): ...\n',
        "_protocol/__init__.py": '"""Pure."""\n',
        "_protocol/numbers.py": '"""Numbers."""\nfrom enum import Enum\nN = 1\n',
        "_address/__init__.py": '"""Addresses."""\n',
        "_runtime/__init__.py": "",
        "_runtime/opening.py": '"""Opening."""\nimport trio, time\nfrom ..errors import E\n',
        "testing/__init__.py": '"""Testing."""\nimport trioquic\nfrom ._link import Link\n',
        "testing/_link.py": '"""A link."""\nfrom trioquic import connect\nclass Link: ...\n',
    }
    for name, content in {**good, path: text}.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return violations(root)


def test_the_good_package_has_no_violations(tmp_path: Path) -> None:
    assert plant(tmp_path, "_protocol/more.py", '"""More."""\nfrom .numbers import N\n') == []


def test_a_circle_for_the_type_checker_only_is_a_cycle(tmp_path: Path) -> None:
    text = '"""N."""\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import more\n'
    assert plant(tmp_path, "_protocol/more.py", '"""More."""\nfrom .numbers import N\n') == []
    numbers, more = "trioquic._protocol.numbers", "trioquic._protocol.more"
    assert plant(tmp_path, "_protocol/numbers.py", text) == [
        f"import cycle: {numbers} -> {more} -> {numbers}"
    ]


@pytest.mark.parametrize(
    ("path", "line", "what"),
    [
        # a layer points up
        ("_protocol/x.py", "from ..errors import E", "layer above"),
        ("_protocol/x.py", "import trioquic._address", "layer above"),
        ("_protocol/x.py", "from .. import errors", "layer above"),
        ("_protocol/x.py", "from trioquic import connect", "layer above"),
        ("_protocol/deep/x.py", "from ... import errors", "layer above"),
        ("_address/x.py", "from .._runtime import opening", "layer above"),
        ("config.py", "from ._runtime.opening import connect", "layer above"),
        ("_runtime/x.py", "from .. import connect", "layer above"),
        ("_runtime/x.py", "from ..testing import Network", "layer above"),
        ("_runtime/x.py", "if 0:\n    from trioquic.testing import Network", "layer above"),
        ("testing/x.py", "from .._protocol.numbers import N", "private"),
        ("testing/x.py", "from trioquic._runtime import opening", "private"),
        ("cli/x.py", "from ..testing._link import Link", "private"),
        ("cli/x.py", "from ..http3.session import Session", "neither public nor a seam"),
        # what the core may not import
        ("_protocol/x.py", "import trio", "pure"),
        ("_protocol/x.py", "import socket", "pure"),
        ("_protocol/x.py", "import logging", "pure"),
        ("_protocol/x.py", "import time", "pure"),
        ("_protocol/x.py", "from random import randrange", "pure"),
        ("_protocol/x.py", "def f():\n    import secrets", "pure"),
        ("_protocol/x.py", "from os import urandom", "pure"),
        ("_protocol/x.py", "import uuid", "pure"),
        ("_protocol/x.py", "import certifi", "pure"),
        ("_runtime/x.py", "import asyncio", "asyncio"),
        # clocks and random sources that come with permitted modules
        ("_protocol/x.py", "import datetime\nNOW = datetime.datetime.now()", "clock"),
        ("_protocol/x.py", "from datetime import date\nD = date.today()", "clock"),
        ("_protocol/x.py", "K = X25519PrivateKey.generate()", "clock"),
        ("_protocol/x.py", "K = ec.generate_private_key(ec.SECP256R1())", "clock"),
        ("_protocol/x.py", "K = AESGCM.generate_key(128)", "clock"),
        ("_protocol/x.py", "R = hmac.os.urandom(8)", "clock"),
        ("_protocol/x.py", "F = open('/dev/urandom', 'rb')", "no place"),
        # shape
        ("_protocol/x.py", "def f():\n" + "    f\n" * MAX_FUNCTION_LINES, "lines, at most"),
        ("_runtime/x.py", "pass\n" * MAX_FILE_LINES, "lines, at most"),
        ("_runtime/x.py", "class A:\n    def __del__(self): ...", "__del__"),
        ("_runtime/x.py", "trio.lowlevel.spawn_system_task(f)", "system task"),
        ("_protocol/x.py", "def f_untrusted(b):\n    raise ValueError(b)", "raises ValueError"),
        ("_protocol/numbers.py", "from . import x", "cycle"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, line: str, what: str) -> None:
    (tmp_path / "_protocol").mkdir()
    if what == "cycle":
        (tmp_path / "_protocol/x.py").write_text('"""X."""\nfrom .numbers import N\n')
    found = plant(tmp_path, path, f'"""A theory of operation."""\n{line}\n')
    assert any(what in violation for violation in found), found
    assert len(found) == 1, found


def test_a_file_without_a_theory_of_operation_is_found(tmp_path: Path) -> None:
    assert plant(tmp_path, "policy.py", "X = 1\n") == [
        "policy.py:1: does not open with its theory of operation"
    ]


def test_rooms_import_along_their_arrows() -> None:
    assert wrong_arrows(ROOT) == []


@pytest.mark.parametrize("arrows", [RUNTIME, PROTOCOL])
def test_the_arrows_have_no_circle(arrows: dict[str, set[str]]) -> None:
    left = dict(arrows)
    while left:
        done = [room for room, needs in left.items() if not needs & set(left)]
        assert done, left
        for room in done:
            del left[room]


def test_a_planted_arrow_is_found(tmp_path: Path) -> None:
    for name, text in {
        "_runtime/streams/streams.py": "from ..paths.path_set import P\n",
        "_runtime/paths/path_set.py": "P = 1\n",
    }.items():
        target = tmp_path / name
        target.parent.mkdir(parents=True)
        target.write_text(text)
    assert wrong_arrows(tmp_path) == ["trioquic._runtime.streams.streams:1: streams -> paths"]
