"""What the lab needs, as marks that skip its tests visibly."""

import sys
from pathlib import Path

import pytest

from tests.programs import needs, needs_root

LAB_ANYWHERE = [
    pytest.mark.skipif(sys.platform != "linux", reason="Linux's network namespaces"),
    needs_root(),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="no /dev/net/tun"),
    needs("ip"),
    needs("nsenter"),
]
# real links take real time: once is enough (docs/testing.md)
LAB = [*LAB_ANYWHERE, pytest.mark.compiled]
SERVERS = ("aioquic", pytest.param("gtlsserver", marks=needs("gtlsserver")))
