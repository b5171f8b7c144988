"""Makes trio's scheduler repeatable for the time of a simulation.

trio runs the tasks that are ready in a random order, from a generator of its own that nothing
public can seed. Test frameworks for trio reach for it by its private name, and so does this file,
the only one to do so. Where a trio has it no more, simulations still work but a run may differ
from the last in the order of simultaneous events.
"""

import importlib
import random
from typing import Any


class SeededScheduler:
    """Seeds the scheduler on `start`, and gives it back as it was on `stop`."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._module: Any = None
        self._generator: random.Random | None = None
        self._saved: tuple[object, Any] | None = None

    def start(self) -> None:
        module: Any = importlib.import_module("trio._core._run")
        generator = getattr(module, "_r", None)
        flag = getattr(module, "_ALLOW_DETERMINISTIC_SCHEDULING", None)
        if isinstance(generator, random.Random) and isinstance(flag, bool):
            self._module, self._generator = module, generator
            self._saved = (flag, generator.getstate())
            module._ALLOW_DETERMINISTIC_SCHEDULING = True
            generator.seed(self._seed)

    def stop(self) -> None:
        if self._generator is not None and self._saved is not None:
            self._module._ALLOW_DETERMINISTIC_SCHEDULING = self._saved[0]
            self._generator.setstate(self._saved[1])
            self._generator = None
