"""A response's content as text and as JSON: whatever a server says, it harms nobody."""

import encodings
import pkgutil

import pytest

from trioquic import http3
from trioquic.http3.charset import ENCODINGS, decoded


def test_the_charset_of_a_text() -> None:
    def text(content: bytes, kind: str) -> str:
        headers = ((b"content-type", kind.encode()),)
        return http3.CompleteResponse(status=200, headers=headers, url="", content=content).text

    assert text(b"caf\xe9", "text/plain; charset=latin-1") == "caf\xe9"
    assert text(b"caf\xc3\xa9", 'text/plain;charset="UTF-8"') == "caf\xe9"
    assert text(b"caf\xe9", "text/plain") == "caf\ufffd"
    assert text(b"a", "text/plain; charset=nonsense") == "a"
    for charset, encoding in (
        ("windows-1251", "cp1251"),
        ("ISO-8859-15", "iso8859_15"),
        ("Shift_JIS", "shift_jis"),
        ("ks_c_5601-1987", "euc_kr"),
        ("GB18030", "gb18030"),
        ("utf-16", "utf_16"),
        ("US-ASCII", "ascii"),
        ("macintosh", "mac_roman"),
        ("x-sjis", "shift_jis"),
        ("Windows-31J", "cp932"),
    ):
        word = "\xa7".encode(encoding, "replace")
        assert text(word, f"text/plain; charset={charset}") == word.decode(encoding)
    assert text("дом".encode("koi8-r"), "text/plain; charset=KOI8-R") == "дом"


def test_no_charset_of_a_servers_fails_or_takes_long() -> None:
    names = {module.name for module in pkgutil.iter_modules(encodings.__path__)}
    assert names > ENCODINGS
    for name in names | {"\xff" * 4, "x" * 10_000, "cp" + "9" * 100, "undefined", "utf..8"}:
        for content in (b"\xff\x00\\u12 -xn--", bytes(range(256)) * 2, b""):
            assert isinstance(decoded(content, f"text/plain; charset={name}"), str)
    # the time of this one grows with the square of the length
    assert decoded(b"a" * 1_000_000, "text/plain; charset=punycode") == "a" * 1_000_000
    for name in ("idna", "unicode_escape", "rot13", "utf-7", "hex", "no-such-name"):
        assert decoded("\xe4\\n".encode(), f"text/plain; charset={name}") == "\xe4\\n"
    assert "no_such_name" not in encodings._cache


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_json(content: bytes) -> None:
    with pytest.raises(ValueError):
        http3.CompleteResponse(status=200, headers=(), url="", content=content).json()
