"""ifaddr's objects, and an operating system's files, made up."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FakeIP:
    ip: str | tuple[str, int, int]
    network_prefix: int
    nice_name: str = ""


@dataclass(frozen=True)
class FakeAdapter:
    name: str
    ips: tuple[FakeIP, ...] = ()
    index: int | None = 1
    nice_name: str = ""


def v4(address: str, prefix: int = 24, nice_name: str = "") -> FakeIP:
    return FakeIP(address, prefix, nice_name)


def v6(address: str, prefix: int = 64, nice_name: str = "") -> FakeIP:
    return FakeIP((address, 0, 0), prefix, nice_name)


def sysfs(root: Path, name: str, **files: str) -> None:
    """Write the files of one interface; one without content is a folder."""
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        if text:
            (folder / file).write_text(text + "\n")
        else:
            (folder / file).mkdir()
