"""A tunnel that is connected again is a new device: sockets follow it with the same port."""

import json
import subprocess
import sys

import pytest

from .network import ROOT
from .requirements import LAB_ANYWHERE

# Sockets are the runtime's, which is never compiled.
pytestmark = [*LAB_ANYWHERE, pytest.mark.plain]


@pytest.mark.parametrize(
    "addresses", [("10.8.0.2", "198.18.0.1"), ("2001:db8:8::2", "2001:db8:aaaa::1")]
)
def test_a_socket_follows_the_name_of_its_device(addresses: tuple[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.device_again", *addresses],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["before"] == told["after"] == {"port": told["local"], "ecn": 2}
    assert told["read"] == ["before", "after"]
    # what was sent while there was no device is lost, and nothing else
    assert told["dropped"] == told["lost"] == told["errors"] == 1
