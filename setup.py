"""Compiles the protocol core with mypyc where there is a C compiler; see README.md.

Everything else about the project is in pyproject.toml. Without a compiler, or with the environment
variable TRIOQUIC_PURE_PYTHON=1, the installation is plain Python and does the same.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

CORE = Path("trioquic/_protocol")
# Exceptions and protocols must not be compiled classes: mypyc (2.4) gives a class with a base that
# is not compiled room for weak references, takes them for its own and frees them. (So no compiled
# class has ABC for a base, either.) Nor may a class with subclasses outside of the core (view.py,
# statistics.py). Packages' own files are empty.
PLAIN = frozenset(
    {
        "errors.py",
        "observer.py",
        "path/refusal.py",
        "path/view.py",
        "recovery/control.py",
        "statistics.py",
    }
)
BUILDS = frozenset({"bdist_wheel", "build", "build_ext", "editable_wheel", "install"})


def extensions() -> list[Extension]:
    """One extension for the whole core, as calls within it are then direct."""
    pure = os.environ.get("TRIOQUIC_PURE_PYTHON", "0") not in ("", "0")
    # Compiling begins with a minute of analysis, which nobody needs who only asks for metadata.
    if pure or not BUILDS.intersection(sys.argv):
        return []
    from mypyc.build import mypycify

    sources = sorted(
        str(path)
        for path in CORE.rglob("*.py")
        if path.relative_to(CORE).as_posix() not in PLAIN and path.name != "__init__.py"
    )
    # The types were checked with the dependencies installed; here they may be missing.
    options = ["--config-file=", "--ignore-missing-imports"]
    found: list[Extension] = mypycify(
        [*options, *sources], opt_level="3", debug_level="0", group_name="trioquic"
    )
    for extension in found:
        extension.optional = True
    return found


setup(ext_modules=extensions())
