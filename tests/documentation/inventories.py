"""Fetches what other projects' pages have to refer to, for pages that are built without network

make inventories
"""

import runpy
import urllib.request

from tests.documentation.blocks import PROJECT


def main() -> None:
    docs = PROJECT / "docs"
    mapping: dict[str, tuple[str, str]] = runpy.run_path(str(docs / "conf.py"))[
        "intersphinx_mapping"
    ]
    for url, kept in mapping.values():
        with urllib.request.urlopen(f"{url}/objects.inv", timeout=60) as answer:
            (docs / kept).write_bytes(answer.read())


if __name__ == "__main__":
    main()
