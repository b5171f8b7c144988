"""Reads the package's source (never imports it) and lists what breaks its architecture.

The layers are those of docs/architecture.md. A checker that cannot fail is worth nothing, so
test_layers.py plants a violation of every rule and sees it found.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "trioquic"
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60

LEAVES = tuple(
    """addresses causes config errors events health networks paths peer policy sessions
    statistics""".split()
)
FACADE = 4
LAYERS = {
    "_variant": 0,
    "_checks": 0,
    "_construction": 0,
    "_deprecation": 0,
    "_application_code": 2,
    "_groups": 2,
    "_resolver": 2,
    "_protocol": 0,
    "_address": 1,
    **dict.fromkeys(LEAVES, 2),
    "_runtime": 3,
    "": FACADE,
}
# What every layer needs and no user: the check of what the application gives, a guard of its
# code, what comes out of a nursery that it does not see, the addresses of a name, the warning about
# an old name, and classes whose objects only the library makes.
SHARED = frozenset("_application_code _checks _construction _deprecation _groups _resolver".split())
ABOVE = 5  # everything built on the public API: testing, http3, anyio, cli ...

# What those above the public API may use of each other beside public names: the lower half of the
# HTTP client, on which the transport for httpx and the command line stand.
SEAMS = frozenset(
    f"trioquic.http3.{name}"
    for name in "blocks client exchange failure fields response timeouts url".split()
)

# The standard library's pure parts: no clock, no randomness, no I/O.
PURE = frozenset(
    """__future__ abc base64 binascii bisect collections copy dataclasses datetime enum functools
    hashlib heapq hmac ipaddress itertools math operator re string struct types typing
    warnings zlib""".split()
)
THIRD_PARTY = frozenset({"cryptography"})
# Calls that ask the machine for the time or for random bytes, whatever they are called on.
IMPURE_CALLS = frozenset(
    """now utcnow today generate generate_key generate_private_key random_serial_number urandom
    getrandom token_bytes randbytes monotonic perf_counter uuid1 uuid4""".split()
)
IMPURE_BUILTINS = frozenset("open print input exec eval __import__ breakpoint".split())
NOT_BAD_PACKET = frozenset(
    """Exception ValueError TypeError KeyError IndexError LookupError RuntimeError AssertionError
    OverflowError NotImplementedError EOFError OSError CommandError""".split()
)


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file."""

    path: Path
    name: str
    tree: ast.Module
    lines: int

    @property
    def component(self) -> str:
        """The part below the package that decides the layer: `_protocol`, `errors`, or ''."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def layer(self) -> int:
        return layer_of(self.name)


def layer_of(name: str) -> int:
    parts = name.split(".")
    return LAYERS.get(parts[1] if len(parts) > 1 else "", ABOVE)


def read_modules(root: Path) -> list[Module]:
    modules = []
    for path in sorted(root.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(root).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, str(path))
        modules.append(Module(path, ".".join(parts), tree, text.count("\n") + 1))
    return modules


def imports_of(module: Module, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything imported; of `from a import b`, `a.b` if a module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.name.split(".")
                if module.path.name != "__init__.py":
                    package.pop()
                package = package[: len(package) - (node.level - 1)]
                base = ".".join([*package, base] if base else package)
            for alias in node.names:
                target = f"{base}.{alias.name}"
                yield node.lineno, target if target in known else base


def _is_public(target: str) -> bool:
    """Whether it is a package or module that a user may import, or a seam."""
    parts = target.split(".")
    seam = ".".join(parts[:3]) in SEAMS
    return seam or layer_of(target) != ABOVE or len(parts) == 2


def _import_violations(module: Module, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    for line, target in imports_of(module, known):
        top = target.split(".")[0]
        if top == PACKAGE:
            own = (*target.split("."), "")[1] in SHARED | {module.component}
            if module.layer == ABOVE:
                if not own and any(part.startswith("_") for part in target.split(".")):
                    yield line, f"{target} is private; this layer has the public API only"
                elif not own and not _is_public(target):
                    yield line, f"{target} is neither public nor a seam"
            elif layer_of(target) > module.layer:
                yield line, f"imports {target}, which is a layer above"
        elif top == "asyncio":
            yield line, "imports asyncio"
        elif module.component == "_protocol" and top not in PURE | THIRD_PARTY:
            yield line, f"imports {target}; _protocol is pure"


def _called_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _purity_violations(module: Module) -> Iterator[tuple[int, str]]:
    if module.component != "_protocol":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = _called_name(node)
            if name in IMPURE_CALLS:
                yield node.lineno, f"{name}() reads a clock or a random source"
            elif isinstance(node.func, ast.Name) and name in IMPURE_BUILTINS:
                yield node.lineno, f"{name}() has no place in _protocol"


def _untrusted_violations(function: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    """A function that reads the network's bytes raises BadPacketError only."""
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(raised, ast.Name) and raised.id in NOT_BAD_PACKET:
                yield node.lineno, f"{function.name} raises {raised.id}"


def _shape_violations(module: Module) -> Iterator[tuple[int, str]]:
    if module.lines > MAX_FILE_LINES:
        yield 1, f"{module.lines} lines, at most {MAX_FILE_LINES}"
    if module.tree.body and ast.get_docstring(module.tree) is None:
        yield 1, "does not open with its theory of operation"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {length} lines, at most {MAX_FUNCTION_LINES}"
            if node.name == "__del__":
                yield node.lineno, "__del__: what must be cleaned up lives in a nursery"
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_untrusted"):
            yield from _untrusted_violations(node)
        if isinstance(node, ast.Call) and _called_name(node) == "spawn_system_task":
            yield node.lineno, "a system task: every task lives in a nursery"


def type_checking_lines(module: Module) -> frozenset[int]:
    """Lines below `if TYPE_CHECKING:`, which do not run."""
    lines: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            lines.update(range(node.lineno, (node.body[-1].end_lineno or node.lineno) + 1))
    return frozenset(lines)


def import_cycles(modules: list[Module]) -> list[list[str]]:
    """Circles of modules that import each other, each reported once. What is imported for the type
    checker only counts: whoever reads one of the modules has to read the others, too."""
    known = frozenset(m.name for m in modules)
    graph = {}
    for module in modules:
        found = {target for _, target in imports_of(module, known)}
        graph[module.name] = sorted((found & known) - {module.name})
    cycles = []
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            cycles.append([*trail[trail.index(name) :], name])
            return
        if name in done:
            return
        for target in graph[name]:
            visit(target, [*trail, name])
        done.add(name)

    for name in graph:
        visit(name, [])
    return cycles


def violations(root: Path) -> list[str]:
    """Everything below `root` (the package's folder) that breaks a rule, as `file:line: what`."""
    modules = read_modules(root)
    known = frozenset(m.name for m in modules)
    found = []
    for module in modules:
        for line, what in (
            *_import_violations(module, known),
            *_purity_violations(module),
            *_shape_violations(module),
        ):
            found.append(f"{module.path.relative_to(root)}:{line}: {what}")
    found.extend("import cycle: " + " -> ".join(cycle) for cycle in import_cycles(modules))
    return found
