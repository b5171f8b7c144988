"""The parts of the documentation that are drawn from the source, so that they cannot be wrong.

`make docs` (python -m tests.documents) writes them; tests/test_documents.py fails when one is old.
A generated part stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TypeVar

from tests import promises, walks
from tests.chains import differences
from tests.interop import table as interop_table
from tests.preferred import table as orders_table
from trioquic._protocol.path import mtu, preferred, state
from trioquic.http3.client import connection
from trioquic.policy import KINDS

S = TypeVar("S", bound=Enum)
I = TypeVar("I", bound=Enum)  # noqa: E741 - the field's letter for an input

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "trioquic"


def diagram(table: Mapping[tuple[S, I], S]) -> str:
    """A transition table as a state diagram; steps that lead nowhere are left out. It begins where
    the table does, and ends where no step leads away."""
    arrows: dict[tuple[S, S], list[str]] = {}
    for (before, event), after in table.items():
        if before is not after:
            arrows.setdefault((before, after), []).append(event.value)
    first = next(iter(table))[0]
    left = {before for before, _ in arrows}
    ends = [after for after in dict.fromkeys(table.values()) if after not in left]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.value}"]
    for (before, after), reasons in arrows.items():
        lines.append(f"    {before.value} --> {after.value}: {' / '.join(reasons)}")
    lines += [*(f"    {end.value} --> [*]" for end in ends), "```"]
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


def classes(module: str) -> dict[str, ast.ClassDef]:
    """The public classes of one file of the package."""
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {node.name: node for node in found if not node.name.startswith("_")}


def attributes(node: ast.ClassDef) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and docstring of each attribute; ValueError where there is none."""
    for attribute, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    value = attribute.value
                    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("checked"):
                        value = value.args[0]
                    default = "" if value is None else ast.unparse(value)
                    words = " ".join(text.split())
                    yield attribute.target.id, ast.unparse(attribute.annotation), default, words
                case _:
                    raise ValueError(f"{node.name}.{attribute.target.id} has no docstring")


def knobs() -> str:
    """The attributes of `MigrationPolicy`."""
    lines = ["| knob | default | meaning |", "| --- | --- | --- |"]
    for name, _, default, text in attributes(classes("policy/_knobs.py")["Knobs"]):
        words = {"inf": "infinity", "KINDS": ", ".join(KINDS), "DEFAULT_POLICY": "RFC 6724's"}
        shown = words.get(default, default)
        lines.append(f"| `{name}` | {shown} | {text} |")
    return "\n".join(lines)


def actions() -> str:
    """What a policy can decide."""
    lines = ["| action | what the supervisor does |", "| --- | --- |"]
    for name, node in classes("policy/_actions.py").items():
        if [ast.unparse(base) for base in node.bases] == ["Action"]:
            lines.append(f"| `{name}` | {' '.join((ast.get_docstring(node) or '').split())} |")
    return "\n".join(lines)


def event_list() -> str:
    """Every path event with its fields."""
    lines = []
    for name, node in classes("events.py").items():
        if name != "PathEvent":
            lines += [f"### {name}", "", ast.get_docstring(node) or "", ""]
            lines += [f"- `{field}: {kind}`: {text}" for field, kind, _, text in attributes(node)]
            lines += [""]
    return "\n".join(lines[:-1])


def path_statistics() -> str:
    """The fields of `PathStatistics`."""
    measured = classes("_protocol/path/view.py")["PathFigures"]
    node = classes("paths.py")["PathStatistics"]
    told = [*attributes(measured), *attributes(node)]
    rows = [f"| `{name}` | {text} |" for name, _, _, text in told]
    return "\n".join(["| field | meaning |", "| --- | --- |", *rows])


GENERATED: dict[tuple[str, str], Callable[[], str]] = {
    ("paths.md", "path validation"): lambda: diagram(state.VALIDATION),
    ("paths.md", "path role"): lambda: diagram(state.ROLE),
    ("paths.md", "path health"): lambda: diagram(state.HEALTH),
    ("paths.md", "preferred address"): lambda: diagram(preferred.TRANSITIONS),
    ("paths.md", "preferred address in every order"): orders_table.text,
    ("path_mtu.md", "search states"): lambda: diagram(mtu.TRANSITIONS),
    ("policy.md", "knobs"): knobs,
    ("policy.md", "actions"): actions,
    ("events.md", "events"): event_list,
    ("events.md", "path statistics"): path_statistics,
    ("promises.md", "counts"): promises.counts,
    ("architecture.md", "protocol components"): lambda: components("_protocol"),
    ("architecture.md", "http client components"): lambda: components("http3/client"),
    ("architecture.md", "states of a pooled connection"): lambda: diagram(connection.STEPS),
    ("architecture.md", "walks"): walks.text,
    ("interop.md", "interop"): interop_table.document,
    ("tls.md", "chains"): differences.table,
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
