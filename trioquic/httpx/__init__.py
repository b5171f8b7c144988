"""HTTP/3 for httpx on trio; the extra `httpx` brings what it needs.

    async with httpx.AsyncClient(transport=trioquic.httpx.HTTP3Transport()) as client:
        response = await client.get("https://example.org/")

Requests go on when the connection moves to another network path. Hosts without HTTP/3 are reached
over HTTP/2 or HTTP/1.1.
"""

from .. import _checks

try:
    from ._transport import HTTP3Transport
except ModuleNotFoundError as _error:
    _checks.tell_extra(_error, "httpx", ("httpx", "pylsqpack"))
    raise

__all__ = ["HTTP3Transport"]
