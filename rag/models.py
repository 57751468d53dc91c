"""Every model that a library could answer with, side by side: the base, promoted versions, candidates that stayed out.

Takes   the library's folder and the base model's folder.
Gives   `Model`s: the base first, then versions, then candidates; each with the name that its answers carry, so that
        measurements and thumbs can be told apart by it, and with the figures that were written beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from rag import files, runs
from rag.errors import ModelError
from rag.read import fingerprint, model_config
from rag.versions import Versions

FILES = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Model:
    """One model folder."""

    title: str  # Base, Version 2, Candidate of improvement 3
    folder: Path
    name: str  # as its answers name it
    current: bool
    added_at: str | None  # when it became a version
    before: Mapping[str, float] = field(default_factory=dict)  # report.json: figures of the model it came from
    after: Mapping[str, float] = field(default_factory=dict)  # and its own, over the same rows


def models(index: Path, base: Path) -> list[Model]:
    """Those that are there; a folder that cannot be read is left out."""
    versions = Versions(index)
    number = versions.number()
    placed: list[tuple[str, Path, bool, str | None]] = [("Base", base, number is None, None)]
    for one in versions.history():
        placed.append((f"Version {one.number}", one.folder, one.number == number, str(one.about.get("added_at", ""))))
    for run in runs.Runs(index).history():
        if (run.folder / "candidate" / "config.json").is_file():
            placed.append((f"Candidate of improvement {run.number}", run.folder / "candidate", False, None))
    return [found for each in placed for found in _read(*each)]


def _read(title: str, folder: Path, current: bool, added_at: str | None) -> Iterator[Model]:
    try:
        marks = tuple((folder / name).stat().st_mtime_ns for name in FILES)
        name = _name(folder, marks)
    except (ModelError, OSError):
        return
    report = files.read_json(folder / "report.json")
    before, after = (dict(_figures(report.get(side))) for side in ("before", "after"))
    yield Model(title, folder, name, current, added_at, before, after)


@lru_cache(maxsize=64)
def _name(folder: Path, marks: tuple[int, ...]) -> str:  # noqa: ARG001 - other files are another model
    return f"{model_config(folder)['name']}-{fingerprint(folder)}"


def _figures(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a report, each under its path: `held.right`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _figures(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)
