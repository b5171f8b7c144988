"""The parts of the documentation that are drawn from the source, so that they cannot be wrong.

`make docs` (python -m tests.documents) writes them; tests/test_documents.py fails when one is old.
A generated part stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

from trioquic._protocol.path.state import TRANSITIONS, PathState

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "trioquic"


def path_diagram() -> str:
    """The transition table of a path as a state diagram; steps that lead nowhere are left out."""
    arrows: dict[tuple[PathState, PathState], list[str]] = {}
    for (before, event), after in TRANSITIONS.items():
        if before is not after:
            arrows.setdefault((before, after), []).append(event.value)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(PathState)).value}"]
    for (before, after), reasons in arrows.items():
        lines.append(f"    {before.value} --> {after.value}: {' / '.join(reasons)}")
    lines += [f"    {PathState.ABANDONED.value} --> [*]", "```"]
    return "\n".join(lines)


def components(folder: str) -> str:
    """Every file below a folder of the package with the first sentence of its docstring."""
    lines = ["| file | what it is |", "| --- | --- |"]
    for path in sorted((PACKAGE / folder).rglob("*.py"), key=lambda p: (len(p.parts), p)):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if path.name == "__init__.py" or text is None:
            continue
        sentence = re.split(r"(?<=[.:])\s", text.partition("\n\n")[0].replace("\n", " "))[0]
        name = path.relative_to(PACKAGE / folder).as_posix()
        lines.append(f"| `{name}` | {sentence.rstrip(':.').replace('|', '/')} |")
    return "\n".join(lines)


GENERATED: dict[tuple[str, str], Callable[[], str]] = {
    ("paths.md", "path states"): path_diagram,
    ("architecture.md", "protocol components"): lambda: components("_protocol"),
    ("architecture.md", "runtime components"): lambda: components("_runtime"),
}


def updated(document: str) -> str:
    """The text of a document with its generated parts made anew."""
    text = (PROJECT / "docs" / document).read_text(encoding="utf-8")
    for (name, part), make in GENERATED.items():
        if name == document:
            begin, end = f"<!-- generated: {part} -->", f"<!-- end of {part} -->"
            before, found, rest = text.partition(begin)
            _, closed, after = rest.partition(end)
            if not found or not closed:
                raise ValueError(f"{document} has no place for: {part}")
            text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    for document in {name for name, _ in GENERATED}:
        (PROJECT / "docs" / document).write_text(updated(document), encoding="utf-8")
