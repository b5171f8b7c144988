"""Alt-Svc fields (RFC 7838 section 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioquic.http3.client.alt_svc import Alternative, parse_alt_svc

DAY = 24 * 3600.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('h3=":443"', [Alternative(host="", port=443)]),
        ('h3=":443"; ma=60', [Alternative(host="", port=443, max_age=60)]),
        (
            'h3=":8443"; ma="60"; persist=1',
            [Alternative(host="", port=8443, max_age=60, persist=True)],
        ),
        ('h3=":1"; persist=2', [Alternative(host="", port=1)]),
        ('h3=":1"; future="a, b; ma=5"; ma=7', [Alternative(host="", port=1, max_age=7)]),
        ('h3="Alt.Example:443"', [Alternative(host="alt.example", port=443)]),
        ('h3="[2001:db8::1]:443"', [Alternative(host="2001:db8::1", port=443)]),
        ('h3="\\a\\l\\t:443"', [Alternative(host="alt", port=443)]),
        # the order is the server's preference; others than HTTP/3 are not for us
        (
            'h2="a:1", h3="b:2" ,,\th3-29="c:3", h3="d:4"',
            [Alternative(host="b", port=2), Alternative(host="d", port=4)],
        ),
        ("clear", []),
        ('h2=":443"', []),
        # a name has one spelling only
        ('%68%33=":443"', []),
        ('H3=":443"', []),
        # an authority needs a port
        ('h3="alt.example"', []),
        ('h3=":0"', []),
        ('h3=":65536"', []),
        ('h3="a b:443"', []),
        ('h3=":443"; ma=soon', [Alternative(host="", port=443)]),
        # parameters may be empty (RFC 9110 section 5.6.6): many servers end with a semicolon
        ('h3=":443";', [Alternative(host="", port=443)]),
        ('h3=":443"; ma=60;', [Alternative(host="", port=443, max_age=60)]),
        ('h3=":443";; \t;ma=60 ; ;', [Alternative(host="", port=443, max_age=60)]),
        (
            'h3=":1"; ma=60; , h3=":2";',
            [Alternative(host="", port=1, max_age=60), Alternative(host="", port=2)],
        ),
        # what is too large is as good as for ever (RFC 9111 section 1.2.2)
        ('h3=":443"; ma=31536000000', [Alternative(host="", port=443, max_age=1 << 31)]),
        (f'h3=":443"; ma={"9" * 5000}', [Alternative(host="", port=443, max_age=1 << 31)]),
        ('h3=":443"; ma=2147483649', [Alternative(host="", port=443, max_age=1 << 31)]),
    ],
)
def test_what_it_says(text: str, expected: list[Alternative]) -> None:
    assert parse_alt_svc([text]) == tuple(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        " , ,",
        "h3",
        "h3=:443",
        'h3=":443',
        'h3=":443" ma=1',
        "Clear",
        'h3="a" x',
    ],
)
def test_what_is_not_well_formed_says_nothing(text: str) -> None:
    assert parse_alt_svc([text]) is None


def test_blanks_and_semicolons_cost_no_more_than_their_number() -> None:
    """What does not match in the end is not tried in every way that it could be cut."""
    for piece in (" ;", ";  ", "; \t a=b", "  "):
        assert parse_alt_svc(['h3=":443"' + piece * 800 + '"']) is None


def test_several_fields_are_one_list() -> None:
    assert parse_alt_svc(['h3="a:1"', 'h3="b:2"']) == (
        Alternative(host="a", port=1),
        Alternative(host="b", port=2),
    )
    assert parse_alt_svc(['h3="a:1"', "clear"]) == ()


def test_what_is_kept_is_bounded() -> None:
    many = ",".join(f'h3=":{port}"' for port in range(1, 100))
    found = parse_alt_svc([many])
    assert found is not None
    assert [one.port for one in found] == list(range(1, 9))
    assert parse_alt_svc([many * 100]) is None


@given(st.text(alphabet='h3="\\;,: ma=1clear\t0[]', max_size=60))
def test_nothing_makes_it_fail(text: str) -> None:
    found = parse_alt_svc([text])
    assert found is None or all(0 < one.port < 65536 for one in found)
