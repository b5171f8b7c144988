"""Other people's programs that some tests need, and the marks that skip tests without them."""

import os
import shutil

import pytest

PROGRAMS = ("gtlsserver", "gtlsclient", "caddy", "ip", "nsenter", "openssl")
MISSING_PREFIX = "missing program: "


def find_program(name: str) -> str | None:
    """The path of an executable. Debian puts servers into sbin, which a user's PATH may lack."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")


def program(name: str) -> str:
    """The path of an executable; the running test is skipped, with a reason, if there is none."""
    found = find_program(name)
    if found is None:
        pytest.skip(MISSING_PREFIX + name)
    return found


def needs(name: str) -> pytest.MarkDecorator:
    """Mark a test that cannot run without a program: `@needs("gtlsserver")`."""
    assert name in PROGRAMS
    return pytest.mark.skipif(find_program(name) is None, reason=MISSING_PREFIX + name)


def needs_root() -> pytest.MarkDecorator:
    """Mark a test that makes network namespaces."""
    return pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
