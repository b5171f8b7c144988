"""What the program `openssl verify` says of a chain."""

import base64
import functools
import subprocess
from pathlib import Path

from cryptography import x509

from tests.chains.case import Case
from tests.programs import program
from tests.tls.pki import NOW, general_name

# As a TLS client in its default configuration: for servers, 112 bits of security (level 2), and
# whoever is among the roots is trusted, self-signed or not.
OPTIONS = ("-purpose", "sslserver", "-auth_level", "2", "-partial_chain", "-no-CApath")


def verdict(case: Case, folder: Path) -> str:
    """'' when the chain is good; else what is wrong with it."""
    for name, certificates in (
        ("roots", case.roots),
        ("others", case.sent[1:]),
        ("leaf", case.sent[:1]),
    ):
        (folder / name).write_bytes(b"".join(pem(each) for each in certificates))
    kind = "ip" if isinstance(general_name(case.server_name), x509.IPAddress) else "hostname"
    untrusted = ("-untrusted", str(folder / "others")) if len(case.sent) > 1 else ()
    done = subprocess.run(
        [
            *(program("openssl"), "verify", *OPTIONS),
            *(f"-verify_{kind}", case.server_name, "-attime", str(int(NOW.timestamp()))),
            *("-trusted", str(folder / "roots"), *untrusted, str(folder / "leaf")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error ")]
    return errors[0] if errors else done.stderr or "refused"


@functools.cache
def version() -> str:
    """Such as 'OpenSSL 3.0.19'. Others of the name judge by other rules."""
    done = subprocess.run(
        [program("openssl"), "version"], capture_output=True, text=True, check=True
    )
    return " ".join(done.stdout.split()[:2])


def pem(der: bytes) -> bytes:
    # by hand, as the library reads what it converts
    text = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"
