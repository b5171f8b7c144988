"""Content as text, of the charset that its Content-Type names.

A server chooses the name, so it is looked up among the encodings that texts have. Python has
others, which are no charsets: some raise whatever they are asked to replace (`idna`), some take a
time that grows with the square of the length (`punycode`). And it keeps every name that it is asked
for and does not know, for good.
"""

import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import Final

_CHARSET: Final = re.compile(r';[ \t]*charset="?([A-Za-z0-9._:+-]+)', re.IGNORECASE)
_LONGEST_NAME: Final = 40
# modules of Python's package `encodings`
ENCODINGS: Final = frozenset(
    (
        "ascii latin_1 utf_8 utf_8_sig utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le"
        " iso8859_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8"
        " iso8859_9 iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16"
        " cp037 cp273 cp424 cp437 cp500 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858"
        " cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp875 cp932 cp949 cp950 cp1006"
        " cp1026 cp1125 cp1140 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258"
        " koi8_r koi8_t koi8_u kz1048 ptcp154 tis_620 hp_roman8 palmos"
        " mac_arabic mac_croatian mac_cyrillic mac_farsi mac_greek mac_iceland mac_latin2"
        " mac_roman mac_romanian mac_turkish"
        " euc_jp euc_jis_2004 euc_jisx0213 shift_jis shift_jis_2004 shift_jisx0213"
        " iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext"
        " euc_kr iso2022_kr johab gb2312 gbk gb18030 hz big5 big5hkscs"
    ).split()
)
# names of the web's (WHATWG Encoding, section 4.2) that Python does not know
_LABELS: Final = {
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_8_i": "iso8859_8",
    "windows_31j": "cp932",
    "windows_874": "cp874",
    "windows_949": "cp949",
    "x_gbk": "gbk",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_sjis": "shift_jis",
    "x_x_big5": "big5",
}


def decoded(content: bytes, content_type: str) -> str:
    """The text; UTF-8 where no charset is named that is one. What is no text becomes U+FFFD."""
    found = _CHARSET.search(content_type)
    encoding = None if found is None else _encoding(found[1])
    return content.decode(encoding or "utf-8", "replace")


def _encoding(charset: str) -> str | None:
    """What Python calls it."""
    if len(charset) > _LONGEST_NAME:
        return None
    name = normalize_encoding(charset).lower()
    alias = aliases.get(name) or aliases.get(name.replace(".", "_"))
    name = _LABELS.get(name) or alias or name
    return name if name in ENCODINGS else None
