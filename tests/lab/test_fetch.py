"""`trioquic fetch` over real interfaces, from a server that forbids migration: the figures
`fetch-down` and `fetch-silent` once, with less to download."""

import pytest

from tests.certificates import Certificates
from tests.programs import needs

from .measure import MEGABYTE
from .measure_fetch import (
    DOWN,
    SILENT,
    Happening,
    interface_down,
    silent_death,
    suffer,
)
from .requirements import LAB

pytestmark = [*LAB, needs("caddy")]


@pytest.mark.parametrize(("happening", "bound"), [(interface_down, DOWN), (silent_death, SILENT)])
async def test_a_download_goes_on_over_a_new_connection(
    certs: Certificates, happening: Happening, bound: float
) -> None:
    sample = await suffer(certs, happening, bound, size=4 * MEGABYTE)
    assert sample.value <= sample.bound
    assert sample.counts["new connections"] == 1
