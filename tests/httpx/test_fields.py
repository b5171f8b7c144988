"""Header fields between httpx and HTTP/3 (RFC 9114 section 4.2)."""

import httpx
import pytest

from trioquic.httpx._fields import authority_of, received_fields, request_fields


def test_crumbs_of_a_cookie_are_joined() -> None:
    """Section 4.2.1; Set-Cookie fields are not a list (RFC 9110 section 5.3)."""
    fields = ((b"cookie", b"a=1"), (b"set-cookie", b"x=1"), (b"cookie", b"b=2; c=3"))
    assert received_fields(fields) == [(b"set-cookie", b"x=1"), (b"cookie", b"a=1; b=2; c=3")]
    fields = ((b"set-cookie", b"x=1"), (b"set-cookie", b"y=2"), (b"cookie", b"a=1"))
    assert received_fields(fields) == list(fields)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://a.example/", "a.example"),
        ("https://A.example:443/", "a.example"),
        ("https://a.example:8443/", "a.example:8443"),
        ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        # who asks is nobody's business but the Authorization field's
        ("https://user:secret@a.example/", "a.example"),
    ],
)
def test_the_authority(url: str, authority: str) -> None:
    request = httpx.Request("GET", url)
    assert authority_of(request) == authority
    del request.headers["host"]
    assert authority_of(request) == authority


def test_fields_keep_their_order_and_number() -> None:
    request = httpx.Request("GET", "https://a/", headers=[("B", "1"), ("a", "2"), ("b", "3")])
    assert request_fields(request) == [(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]
