"""Who owns what in the package, read off the source: facts, attributes, sizes.

A *room* is a folder, or a file that lies in the package itself, in `_protocol` or in `_runtime`
beside the folders. What is said in one place only is said by whoever calls the methods of
`ConnectionFacts`; nobody outside a room assigns to an attribute of the room's objects. As types are
not known here, an attribute belongs to the rooms whose classes have one of that name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import Module, read_modules

MOST_ATTRIBUTES = 20
MOST_ARGUMENTS = 6
# Where classes are the application's to make
ABOVE = frozenset("http3 httpx".split())
# The method of `ConnectionFacts` that says a fact, and the files that call it.
WRITERS = {
    "on_handshake_keys": {"establishment.py"},
    "on_complete": {"establishment.py"},
    "on_confirmed": {"establishment.py"},
    "on_observer": {"connection.py"},
    "on_active_path": {"path/table.py", "path/mover.py"},
}
# Records: each argument is a field.
RECORDS = {"CoreConfig", "TlsClientConfig", "SentPacket"}
# Attributes of objects that are not the package's: exceptions say on their way which frame they
# are about and what they come from, scopes of trio's are given deadlines and shields, then those of
# ssl and others.
OTHERS = frozenset(
    """frame_type __cause__ deadline shield check_hostname verify_mode keylog_filename showwarning
    _ALLOW_DETERMINISTIC_SCHEDULING""".split()
)


def room_of(module: Module, root: Path) -> str:
    """The folder, or the file itself beside the folders."""
    parts = module.path.relative_to(root).parts
    layers = [part for part in parts[:1] if part in ("_protocol", "_runtime")]
    below = parts[len(layers) :]
    return "/".join(layers + list(below[: len(below) - 1] or below))


def _own_attributes(cls: ast.ClassDef) -> set[str]:
    """What the class assigns to `self`, or declares."""
    names = {
        node.attr
        for node in ast.walk(cls)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    fields = {
        node.target.id
        for node in cls.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return names | fields


def _classes(module: Module) -> Iterator[ast.ClassDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            yield node


def foreign_assignments(root: Path) -> list[str]:
    """Assignments to attributes of objects of another room."""
    modules = read_modules(root)
    owned: dict[str, set[str]] = {}
    for module in modules:
        names = owned.setdefault(room_of(module, root), set())
        for cls in _classes(module):
            names |= _own_attributes(cls)
    found = []
    for module in modules:
        known = owned[room_of(module, root)] | OTHERS
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
                continue
            own = isinstance(node.value, ast.Name) and node.value.id == "self"
            if not own and node.attr not in known:
                where = f"{module.path.relative_to(root)}:{node.lineno}"
                found.append(f"{where}: {ast.unparse(node)}")
    return found


def fact_writers(core: Path) -> dict[str, set[str]]:
    """Which files call each of the methods that say a fact, on something named `facts`."""
    found: dict[str, set[str]] = {}
    for module in read_modules(core):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                target = ast.unparse(node.func.value)
                if target.rpartition(".")[2].lstrip("_") == "facts":
                    name = node.func.attr
                    where = module.path.relative_to(core).as_posix()
                    found.setdefault(name, set()).add(where)
    return found


def large_classes(root: Path) -> list[str]:
    """Classes with more attributes, or constructors with more arguments, than are allowed."""
    found = []
    for module in read_modules(root):
        for cls in _classes(module):
            if cls.name in RECORDS:
                continue
            parts = module.path.relative_to(root).parts
            where = f"{'/'.join(parts)}: {cls.name}"
            attributes = len(_own_attributes(cls))
            # a snapshot is a record
            frozen = any("frozen=True" in ast.unparse(line) for line in cls.decorator_list)
            if attributes > MOST_ATTRIBUTES and not frozen:
                found.append(f"{where} has {attributes} attributes")
            for node in cls.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    # what the application configures has names
                    keywords = [] if ABOVE.intersection(parts) else node.args.kwonlyargs
                    count = len(node.args.args) + len(keywords) - 1
                    if count > MOST_ARGUMENTS:
                        found.append(f"{where} takes {count} arguments")
    return found


def slow_constants(core: Path) -> list[str]:
    """Constants that are not declared Final: compiled code looks them up by name each time."""
    found = []
    for module in read_modules(core):
        for node in module.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name.isupper() and "TypeVar" not in ast.unparse(node.value):
                    found.append(f"{module.path.relative_to(core)}: {name}")
    return found
