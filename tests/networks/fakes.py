"""ifaddr's objects, and an operating system's files, made up."""

from collections.abc import Iterable
from pathlib import Path

from ifaddr import IP, Adapter


class FakeAdapter(Adapter):
    def __init__(
        self, name: str, ips: Iterable[IP] = (), index: int | None = 1, nice_name: str = ""
    ) -> None:
        super().__init__(name, nice_name, list(ips), index)


def v4(address: str, prefix: int = 24, nice_name: str = "") -> IP:
    return IP(address, prefix, nice_name)


def v6(address: str, prefix: int = 64, nice_name: str = "") -> IP:
    return IP((address, 0, 0), prefix, nice_name)


def sysfs(root: Path, name: str, **files: str) -> None:
    """Write the files of one interface; one without content is a folder."""
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        if text:
            (folder / file).write_text(text + "\n")
        else:
            (folder / file).mkdir()
