"""Traces that several tests look at, made once."""

from pathlib import Path

import pytest

from .stories import STORIES, Story, tell


@pytest.fixture(scope="package")
def trace_files(tmp_path_factory: pytest.TempPathFactory) -> dict[Story, Path]:
    """The trace of each story."""
    root = tmp_path_factory.mktemp("plot")
    return {story: tell(story, root / str(number)) for number, story in enumerate(STORIES)}
