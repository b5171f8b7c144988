"""Which variant of the protocol core gets imported: the compiled one, or plain Python.

A compiled installation has both side by side, `connection.py` and a `connection...so` made of it,
and Python takes the latter. With the environment variable TRIOQUIC_PURE_PYTHON set to 1 it takes
the source instead, to debug it or to compare. Nothing else differs; `trioquic.compiled` tells.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import Final

VARIABLE: Final = "TRIOQUIC_PURE_PYTHON"
_CORE: Final = "trioquic._protocol"


class _SourceOnly:
    """Finds the modules of the core as if there were no compiled ones."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The protocol of `sys.meta_path`."""
        if not f"{name}.".startswith(f"{_CORE}.") or path is None:
            return None
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name, target)
            if spec is not None:
                return spec
        return None


def is_compiled(module: ModuleType) -> bool:
    """Whether a module of the core was imported compiled."""
    return not str(module.__file__).endswith(".py")


if os.environ.get(VARIABLE, "0") not in ("", "0"):
    sys.meta_path.insert(0, _SourceOnly)
