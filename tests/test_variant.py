"""The two variants of the protocol core: compiled by mypyc, and plain Python."""

import os
import subprocess
import sys

import trioquic
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


def test_plain_python_can_be_forced() -> None:
    assert asked("1") == "False"
    assert asked("0") == str(trioquic.compiled)
