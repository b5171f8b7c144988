"""The transport for hosts without HTTP/3: HTTP/2 and HTTP/1.1 over TLS, with the same trust."""

import importlib.util
import os
import ssl

import certifi
import httpx

from .. import TLSConfig


def default_fallback(tls: TLSConfig, limits: httpx.Limits) -> httpx.AsyncBaseTransport:
    """httpx's own transport, that believes whom `tls` believes. HTTP/2 needs the package h2."""
    return httpx.AsyncHTTPTransport(
        verify=ssl_context(tls),
        http1=True,
        http2=importlib.util.find_spec("h2") is not None,
        limits=limits,
    )


def ssl_context(tls: TLSConfig) -> ssl.SSLContext:
    """`tls` for a TCP connection. Cipher suites and groups stay the platform's own. Raises OSError
    for files that cannot be read, ssl.SSLError for such with the wrong content."""
    roots = []
    if tls.ca_file is not None:
        with open(tls.ca_file, "rb") as file:
            roots.append(file.read())
    if tls.ca_data is not None:
        roots.append(tls.ca_data if isinstance(tls.ca_data, bytes) else tls.ca_data.encode())
    if roots:
        context = ssl.create_default_context(cadata=_cadata(roots[0]))
        for more in roots[1:]:
            context.load_verify_locations(cadata=_cadata(more))
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_cert is not None:
        context.load_cert_chain(tls.client_cert, tls.client_key)
    if tls.keylog_file is not None:
        context.keylog_filename = os.fspath(tls.keylog_file)
    return context


def _cadata(data: bytes) -> bytes | str:
    """PEM is text to the ssl module, DER is bytes."""
    return data.decode("ascii", "replace") if b"-----BEGIN" in data else data
