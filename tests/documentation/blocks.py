"""The code blocks of the documentation, and what a block needs that it does not make itself."""

import ast
import builtins
import re
import symtable
import textwrap
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (PROJECT / "docs").glob("*.md")))
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """What stands between two fences."""

    page: str
    line: int
    """Of the first line of code."""
    language: str
    code: str


def blocks_of(page: str) -> list[Block]:
    text = (PROJECT / page).read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, match.start(3)) + 1,
            language=match[2].strip(),
            code=textwrap.dedent(match[3]),
        )
        for match in _FENCE.finditer(text)
    ]


def python_blocks(page: str) -> list[Block]:
    return [block for block in blocks_of(page) if block.language == "python"]


def needed_names(code: str) -> set[str]:
    """The names that a block uses and does not bind: what a reader is expected to have."""
    tree = ast.parse(f"async def block():\n{textwrap.indent(code, '    ')}")
    table = symtable.symtable(ast.unparse(tree), "block", "exec")
    found: set[str] = set()
    todo = list(table.get_children())
    while todo:
        scope = todo.pop()
        found |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        todo += scope.get_children()
    return found - set(dir(builtins))


def commands(page: str) -> list[str]:
    """The calls of `trioquic` that a page shows, in blocks and in the text."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    found = re.findall(r"`(trioquic [a-z]+ [^`]+)`", text)
    for block in blocks_of(page):
        if block.language in ("", "sh", "console", "bash"):
            joined = block.code.replace("\\\n", " ")
            found += re.findall(r"^(?:\$ )?(trioquic [^\n]+)$", joined, re.MULTILINE)
    return found
