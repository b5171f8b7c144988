"""Seeds of `lives`: all of it arrives, or there is no path left; nothing spins or leaks."""

import pytest

from tests.audit.lives import live


@pytest.mark.parametrize("seed", range(12))
def test_a_random_life(seed: int) -> None:
    live(seed)
