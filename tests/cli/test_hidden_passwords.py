"""What looks like a password is printed by no command and no error, and who has none is nobody."""

import pytest

import trioquic
from trioquic.http3.url import parse_url

from .run import invoke


@pytest.mark.parametrize("command", ["paths", "check"])
@pytest.mark.parametrize(
    "text",
    [
        "https://u:sesame@localhost/",
        "u:sesame@localhost",
        "u:sesame@localhost:443",
        "u:ses@ame@[::1]:443",
        "u:sesame@localhost\0",
    ],
)
def test_in_place_of_a_host(command: str, text: str) -> None:
    result = invoke(command, text)
    assert result.exit_code == 2
    assert "ame" not in result.output and "ses" not in result.output
    with pytest.raises(ValueError, match="host") as caught:
        trioquic.open_connection(text, 443, alpn=["h3"])
    assert "ame@" not in str(caught.value) and "ses" not in str(caught.value)


def test_paths_takes_what_check_takes() -> None:
    assert invoke("paths", "127.0.0.1:443").exit_code == 0


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        ("", None),
        ("@", None),
        (":@", None),
        ("me@", "Basic bWU6"),
        ("m%ff:p%40ss%FF@", "Basic bf86cEBzc/8="),
    ],
)
def test_who_a_url_names(user: str, sent: str | None) -> None:
    """Nobody is not sent as somebody without a name."""
    assert parse_url(f"https://{user}server.example/").authorization == sent
