"""`trioquic plot`."""

import sys
from pathlib import Path

import pytest

from tests.cli.run import invoke
from tests.plot.stories import download, tell
from trioquic import plot


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tell(download, tmp_path_factory.mktemp("trace") / "here")


def test_a_picture_as_svg(trace: Path, tmp_path: Path) -> None:
    result = invoke("plot", trace, "-o", tmp_path / "picture.svg")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "picture.svg").read_text() == plot.draw(plot.read_trace(trace))


def test_a_picture_as_png(trace: Path, tmp_path: Path) -> None:
    result = invoke("plot", trace, "-o", tmp_path / "picture.PNG")
    assert result.exit_code == 0
    assert (tmp_path / "picture.PNG").read_bytes().startswith(b"\x89PNG\r\n")


def test_png_without_the_package_for_it(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    result = invoke("plot", trace, "-o", tmp_path / "picture.png")
    assert result.exit_code == 2
    assert "pip install 'trioquic[png]'" in result.stderr
    assert not (tmp_path / "picture.png").exists()


def test_usage(trace: Path, tmp_path: Path) -> None:
    assert invoke("plot", trace).exit_code == 2
    assert invoke("plot", tmp_path / "nothing", "-o", "x.svg").exit_code == 2
    neither = invoke("plot", trace, "-o", tmp_path / "picture.gif")
    assert neither.exit_code == 2
    assert "ends neither in .svg nor in .png" in neither.stderr


def test_what_fails(trace: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no trace")
    no_trace = invoke("plot", tmp_path / "text", "-o", tmp_path / "picture.svg")
    assert no_trace.exit_code == 1
    assert no_trace.stderr.startswith("trioquic: ")
    assert not (tmp_path / "picture.svg").exists()
    assert invoke("plot", trace, "-o", tmp_path / "no folder" / "picture.svg").exit_code == 1
