"""A folder takes the place of an older one, or the older one stays: also when it was interrupted between two renames."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer import folders


def folder(path: Path, word: str) -> Path:
    path.mkdir()
    (path / "word").write_text(word, "utf-8")
    return path


def word(path: Path) -> str:
    return (path / "word").read_text("utf-8")


def test_a_new_folder_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    target, part = folder(tmp_path / "model", "old"), folder(tmp_path / "part", "new")
    folders.replace(target, part)
    assert word(target) == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_after_a_death_between_the_renames_the_next_run_finishes_the_work(tmp_path: Path) -> None:
    folder(tmp_path / ".model.old", "old")  # what such a death leaves
    folders.replace(tmp_path / "model", folder(tmp_path / "part", "new"))
    assert word(tmp_path / "model") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_after_a_death_between_the_renames_a_failing_run_brings_the_older_one_back(tmp_path: Path) -> None:
    folder(tmp_path / ".model.old", "old")
    with pytest.raises(OSError, match="part"):
        folders.replace(tmp_path / "model", tmp_path / "part")  # there is no such folder
    assert word(tmp_path / "model") == "old"
