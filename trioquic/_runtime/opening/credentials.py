"""From `TLSConfig` to what the core's TLS needs: files are read here, and only here.

Reading is synchronous: these are small local files, read once before anything is sent. An
unreadable file is an OSError, one with the wrong content a ValueError; both name the file.
"""

import functools
import hashlib
import os
from collections.abc import Callable
from typing import Final, TypeVar

import certifi
from cryptography.hazmat.primitives.serialization import Encoding

from ..._protocol.tls import certificates, verify
from ..._protocol.tls.config import TlsClientConfig
from ..._protocol.tls.own_roots import OwnRoots
from ..._protocol.tls.public_roots import PublicRoots
from ...config import CIPHER_SUITES, GROUPS, StrPath, TLSConfig
from ..tracing.trace_file import warn

T = TypeVar("T")

# Connections to the same server have the same wishes, which need be checked only once. Those with
# a private key or a file are not kept.
_shared_config = functools.lru_cache(maxsize=64)(TlsClientConfig)
# So many sets of authorities of callers' own are kept ready; more are made anew each time.
_MOST_SETS: Final = 16


def load_tls(config: TLSConfig, server_name: str, alpn: tuple[str, ...]) -> TlsClientConfig:
    """Everything that the handshake needs, checked."""
    client_certificate = _client_certificate(config)
    keylog = _keylog(config)
    make = _shared_config if client_certificate is None and keylog is None else TlsClientConfig
    return make(
        server_name,
        alpn,
        _verification(config),
        tuple(CIPHER_SUITES[name] for name in config.cipher_suites),
        tuple(GROUPS[name] for name in config.groups),
        client_certificate,
        keylog,
    )


def trust_of(tls: TlsClientConfig) -> str:
    """A digest of what makes a server trusted, and of the client's own certificate.

    A resumed session has no certificate: it is as good as the check when its ticket was given. So a
    ticket that was given without a check, or after one against other roots, must not be found here.
    """
    digest = _digest_of(tls.verification)
    if tls.client_certificate is not None:
        chain = b"".join(tls.client_certificate[0])
        digest = hashlib.sha256(digest.encode() + chain).hexdigest()
    return digest


@functools.lru_cache(maxsize=_MOST_SETS)
def _digest_of(verification: verify.Verification) -> str:
    """What is trusted. There are many public roots, and few sets of roots."""
    if isinstance(verification, (PublicRoots, OwnRoots)):
        own = isinstance(verification, OwnRoots)
        digest = hashlib.sha256(b"roots" if own else b"strict")
        for root in verification.roots:
            digest.update(root.public_bytes(Encoding.DER))
    elif isinstance(verification, verify.FingerprintVerification):
        digest = hashlib.sha256(b"fingerprint" + verification.sha256)
    else:
        digest = hashlib.sha256(b"nobody")
    return digest.hexdigest()


def _verification(config: TLSConfig) -> verify.Verification:
    if not config.verify:
        return verify.NoVerification()
    if isinstance(config.fingerprint, bytes):
        return verify.FingerprintVerification(config.fingerprint)
    sources: list[tuple[str, bytes]] = []
    if config.ca_file is not None:
        sources.append((os.fspath(config.ca_file), _read(config.ca_file)))
    if config.ca_data is not None:
        data = config.ca_data
        sources.append(("ca_data", data.encode() if isinstance(data, str) else data))
    return _own_roots(tuple(sources)) if sources else _public_roots()


@functools.lru_cache(maxsize=_MOST_SETS)
def _own_roots(sources: tuple[tuple[str, bytes], ...]) -> OwnRoots:
    """The roots of some files, given by name and content: a file may change between two calls."""
    roots = []
    for name, content in sources:
        roots += _parse(name, certificates.load_certificates, content)
    return OwnRoots(roots)


@functools.cache
def _public_roots() -> PublicRoots:
    """Certifi's roots; reading them takes a while, so it is done once a process."""
    roots = certificates.load_public_roots(_read(certifi.where()))
    return PublicRoots(roots)


def _client_certificate(config: TLSConfig) -> certificates.ClientCertificate | None:
    if config.client_cert is None:
        return None
    chain = _read(config.client_cert)
    key = chain if config.client_key is None else _read(config.client_key)
    parser = functools.partial(certificates.load_client_certificate, chain)
    return _parse(config.client_cert, parser, key)


def _keylog(config: TLSConfig) -> Callable[[str], None] | None:
    path = config.keylog_file or os.environ.get("SSLKEYLOGFILE")
    if not path:
        return None
    # A file that cannot be written is an error now, not in the middle of the handshake.
    _append(path, "")
    return functools.partial(_append_line, path)


def _append_line(path: StrPath, line: str) -> None:
    try:
        _append(path, line + "\n")
    except OSError as error:
        # this is in the middle of the handshake
        warn(f"secrets are missing in {os.fspath(path)}: {error}")


def _append(path: StrPath, text: str) -> None:
    # for its owner's eyes only, if it is new
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _read(path: StrPath) -> bytes:
    # not by pathlib, which would name the file otherwise than it was given
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _parse(source: StrPath, parser: Callable[[bytes], T], data: bytes) -> T:
    try:
        return parser(data)
    except ValueError as error:
        raise ValueError(f"{os.fspath(source)}: {error}") from error
