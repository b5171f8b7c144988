"""The workflows agree with pyproject.toml and the Makefile, and may do no more than they must."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

PROJECT = Path(__file__).parent.parent
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
FREE_THREADED = "3.14t"
# reads what the compiled variant's tests do not have beside them
pytestmark = pytest.mark.plain


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(workflow.read_text("utf-8"))
    return read["jobs"]


def versions() -> list[str]:
    """The versions of Python that pyproject.toml speaks of."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    classifiers = " ".join(settings["project"]["classifiers"])
    return re.findall(r"Python :: (3\.\d+)", classifiers)


def test_the_suite_runs_on_every_version_of_python() -> None:
    matrix = jobs(PROJECT / ".github" / "workflows" / "test.yml")["suite"]["strategy"]["matrix"]
    assert matrix["python"] == versions()
    assert {extra["python"]: extra["may-fail"] for extra in matrix["include"]} == {
        FREE_THREADED: True
    }


def test_wheels_are_built_for_every_version_of_python() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    built = settings["tool"]["cibuildwheel"]["build"].split()
    assert built == [f"cp{version.replace('.', '')}-*" for version in versions()]


def test_the_makefile_knows_every_version_of_python() -> None:
    text = (PROJECT / "Makefile").read_text("utf-8")
    found = re.search(r"^VERSIONS \?= (.*)$", text, re.MULTILINE)
    assert found is not None
    assert found[1].split() == [*versions(), FREE_THREADED]


def test_every_mutated_part_is_there_and_has_a_job() -> None:
    """A file that has moved would be mutated no more, and nobody would notice."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    patterns: list[str] = settings["only_mutate"]
    assert [pattern for pattern in patterns if not list(PROJECT.glob(pattern))] == []
    scheduled = jobs(PROJECT / ".github" / "workflows" / "scheduled.yml")
    parts: list[str] = scheduled["mutants"]["strategy"]["matrix"]["part"]
    modules = [re.sub(r"(\.py|/?\*)$", "", pattern).replace("/", ".") for pattern in patterns]
    assert sorted(modules) == sorted(f"trioquic.{part}" for part in parts)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_end_by_themselves_and_run_targets_that_exist(workflow: Path) -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    for name, job in jobs(workflow).items():
        assert "timeout-minutes" in job, name
        for step in job["steps"]:
            run = re.search(r"\bmake ([a-z-]+)", step.get("run", ""))
            assert run is None or run[1] in targets, run


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_read_only(workflow: Path) -> None:
    """But for the one job that publishes; no step keeps the token that checked out."""
    assert yaml.safe_load(workflow.read_text("utf-8"))["permissions"] == {"contents": "read"}
    for name, job in jobs(workflow).items():
        assert job.get("permissions", {}) == ({"id-token": "write"} if name == "publish" else {})
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name
