"""nginx with four workers: a new client port may reach one that does not know the connection."""

import pytest

from tests.certificates import Certificates
from tests.servers.chroots import needs_chroot

from .measure_workers import down
from .requirements import LAB

pytestmark = LAB


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("nginx4", marks=needs_chroot("trixie")),
        pytest.param("nginx4-sid", marks=needs_chroot("sid")),
    ],
)
async def test_a_download_outlives_its_link(certs: Certificates, kind: str) -> None:
    sample = await down(certs, kind)
    assert sample.value <= sample.bound
