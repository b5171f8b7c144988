"""What nobody may read in a log or a traceback is in no object's repr."""

import dataclasses
import importlib
import pkgutil
import re

import trioquic

# Who knows a reset token can end the connection (RFC 9000 section 21.11); tickets and address
# tokens go over the network as they are.
SECRET = re.compile(r"reset_token|secret|psk|password|private")


def test_no_dataclass_shows_a_secret() -> None:
    hidden: set[str] = set()
    shown: set[str] = set()
    for module in pkgutil.walk_packages(trioquic.__path__, "trioquic."):
        if module.name.rpartition(".")[2] == "__main__":
            continue
        for cls in vars(importlib.import_module(module.name)).values():
            if isinstance(cls, type) and dataclasses.is_dataclass(cls):
                for field in dataclasses.fields(cls):
                    if SECRET.search(field.name):
                        (shown if field.repr else hidden).add(f"{cls.__name__}.{field.name}")
    assert shown == set()
    assert {"NewConnectionId.reset_token", "Resumption.secret"} <= hidden
