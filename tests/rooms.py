"""Which room of the package may import which: the arrows of docs/architecture.md, held to.

A room is a folder below `_runtime` or `_protocol`; the files beside the folders are put together
here, by how high they stand.
"""

from pathlib import Path

from tests.architecture import PACKAGE, Module, imports_of, read_modules, type_checking_lines

# files beside the folders, by the name of what they are together
RUNTIME_FILES = {
    "base": "asleep endings endpoints lifecycle timer waiting authority".split(),
    "driver": "driver peer".split(),
    "connection": "connection vital_signs".split(),
}
RUNTIME = {
    "system": set[str](),
    "tracing": set[str](),
    "base": set[str](),
    "sockets": {"system"},
    "networks": {"system"},
    "driver": {"base", "sockets", "tracing"},
    "streams": {"base", "driver"},
    "paths": {"base", "driver", "sockets"},
    "supervisor": {"base", "driver", "paths", "sockets"},
    "connection": {"base", "driver", "streams", "paths", "supervisor"},
    "opening": set(
        "base driver connection sockets networks system tracing paths supervisor".split()
    ),
}
PROTOCOL_FILES = {
    "base": "errors machine range_set space statistics token builder".split(),
    "facts": ["facts"],
    "events": ["events"],
    "life": "lifetime datagrams number_space".split(),
    "config": ["config"],
    "observer": ["observer"],
    "parts": ["components"],
    "establishment": ["establishment"],
    "connection": ["connection"],
}
PROTOCOL = {
    "base": set[str](),
    "wire": {"base"},
    "facts": {"wire"},
    "cid": {"base", "wire"},
    "crypto": set("base facts wire cid".split()),
    "tls": {"base", "crypto"},
    "events": {"tls"},
    "recovery": {"base", "facts", "wire"},
    "streams": set("base wire events".split()),
    "life": set("base wire events crypto recovery streams".split()),
    "config": set("wire cid life recovery streams tls".split()),
    "path": set("base wire facts events recovery cid config".split()),
    "observer": set("base path recovery".split()),
    "handshake": set("base wire facts events crypto tls life config path".split()),
    "parts": set("base facts events recovery cid streams path handshake life config".split()),
    "establishment": set("base wire events parts path".split()),
    "receiving": set("base wire crypto cid life parts path establishment".split()),
    "sending": set(
        "base wire facts crypto cid recovery life config parts path establishment".split()
    ),
    "connection": set(
        "base wire events life config parts path receiving sending observer establishment".split()
    ),
}


def room_of(module: str, layer: str, files: dict[str, list[str]]) -> str:
    """The room of a module of this layer; '' for one elsewhere, or the layer itself."""
    parts = module.split(".")
    if parts[:2] != [PACKAGE, layer] or len(parts) < 3:
        return ""
    for room, names in files.items():
        if parts[2] in names:
            return room
    return parts[2]


def forbidden(
    modules: list[Module], layer: str, files: dict[str, list[str]], allowed: dict[str, set[str]]
) -> list[str]:
    """Imports from room to room that no arrow allows."""
    known = frozenset(module.name for module in modules)
    found = []
    for module in modules:
        here = room_of(module.name, layer, files)
        if not here:
            continue
        ignored = type_checking_lines(module)
        for line, target in imports_of(module, known):
            if line in ignored:
                continue
            there = room_of(target, layer, files)
            if there and there != here and there not in allowed[here]:
                found.append(f"{module.name}:{line}: {here} -> {there}")
    return found


def wrong_arrows(root: Path) -> list[str]:
    """All of them in the package below `root`."""
    modules = read_modules(root)
    return [
        *forbidden(modules, "_runtime", RUNTIME_FILES, RUNTIME),
        *forbidden(modules, "_protocol", PROTOCOL_FILES, PROTOCOL),
    ]
