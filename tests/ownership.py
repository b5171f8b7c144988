"""Who owns what in the protocol core, read off the source: facts, attributes, sizes.

A *room* is a folder of `_protocol`, or a file that lies beside them. What is said in one place only
is said by whoever calls the methods of `ConnectionFacts`; nobody outside a room assigns to an
attribute of the room's objects. As types are not known here, an attribute belongs to the rooms
whose classes have one of that name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import Module, read_modules

MOST_ATTRIBUTES = 20
MOST_ARGUMENTS = 6
# The method of `ConnectionFacts` that says a fact, and the files that call it.
WRITERS = {
    "on_handshake_keys": {"establishment.py"},
    "on_complete": {"establishment.py"},
    "on_confirmed": {"establishment.py"},
    "on_active_path": {"path/table.py", "path/mover.py"},
}
# Records: each argument is a field.
RECORDS = {"CoreConfig", "TlsClientConfig", "SentPacket"}


def room_of(module: Module, core: Path) -> str:
    """The folder below the core, or the file itself."""
    parts = module.path.relative_to(core).parts
    return parts[0]


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


def foreign_assignments(core: Path) -> list[str]:
    """Assignments to attributes of objects of another room."""
    modules = read_modules(core)
    owned: dict[str, set[str]] = {}
    for module in modules:
        names = owned.setdefault(room_of(module, core), set())
        for cls in _classes(module):
            names |= _own_attributes(cls)
    found = []
    for module in modules:
        # Exceptions say on their way which frame they are about.
        known = owned[room_of(module, core)] | {"frame_type"}
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
                continue
            own = isinstance(node.value, ast.Name) and node.value.id == "self"
            if not own and node.attr not in known:
                where = f"{module.path.relative_to(core)}:{node.lineno}"
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


def large_classes(core: Path) -> list[str]:
    """Classes with more attributes, or constructors with more arguments, than are allowed."""
    found = []
    for module in read_modules(core):
        for cls in _classes(module):
            if cls.name in RECORDS:
                continue
            where = f"{module.path.relative_to(core)}: {cls.name}"
            attributes = len(_own_attributes(cls))
            # a snapshot is a record
            frozen = any("frozen=True" in ast.unparse(line) for line in cls.decorator_list)
            if attributes > MOST_ATTRIBUTES and not frozen:
                found.append(f"{where} has {attributes} attributes")
            for node in cls.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    count = len(node.args.args) + len(node.args.kwonlyargs) - 1
                    if count > MOST_ARGUMENTS:
                        found.append(f"{where} takes {count} arguments")
    return found
