"""A recipe: one TOML file with a section a stage, read into the stages' own dataclasses.

Takes   `configs/tiny.toml` and its like, plus overrides ("pretrain.steps=10").
Gives   a `Recipe`; `recipe.section("pretrain", PretrainConfig)` is checked: types, unknown keys, missing keys.
Also    `main`, the plain command line of one stage (`python -m trainer.pretrain --config FILE`), for machines that hold
        torch and little else; `trainer.cli` offers the same with typer.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import sys
import tomllib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trainer.errors import RecipeError, TrainerError, in_a_line

Section = TypeVar("Section")
SECTIONS = frozenset({
    "corpus", "filter", "gap", "tokenizer", "model", "pretrain", "rows", "examined", "dialogue", "passages",
    "synthesize", "labels", "curve", "finetune", "retention", "reader", "reward", "reinforce", "embedder", "evaluate",
    "export", "improve", "preference",
})  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """One run: where its data comes from, where its results go, and a section of settings for each stage."""

    name: str
    data: Path  # folder of raw data; the default lies beside the checkout
    out: Path  # folder of all results of this run
    sections: Mapping[str, Mapping[str, Any]]

    def section(self, name: str, kind: type[Section]) -> Section:
        """The settings of one stage, checked."""
        return build(kind, dict(self.sections.get(name, {})), where=f"[{name}]")


def load(path: Path, *, data: Path | None = None, out: Path | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe. `overrides` are "section.key=value" with a TOML value, or a bare word."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe; there are tiny, 12m, 30m and 58m in configs/") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({error.strerror}); name one such as configs/tiny.toml") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise RecipeError(f"{path} is no recipe ({error}); a recipe is TOML, such as configs/tiny.toml") from error
    change(raw, overrides)
    name = str(raw.pop("name", path.stem))
    folder, results = raw.pop("data", "../shared/data"), raw.pop("out", f"runs/{name}")
    loose = [key for key, value in raw.items() if not isinstance(value, dict)]
    if loose:
        raise RecipeError(f"{path}: {loose} stand outside any section; only name, data and out do")
    unknown = sorted(set(raw) - SECTIONS)
    if unknown:
        raise RecipeError(f"{path} has unknown sections {unknown}; known are {sorted(SECTIONS)}")
    return Recipe(name, data or Path(folder), out or Path(results), raw)


def change(raw: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set values of a recipe that was read; each override is "section.key=value". Raises RecipeError."""
    for override in overrides:
        target, equals, value = override.partition("=")
        section, dot, key = target.strip().partition(".")
        if not (equals and dot and key):
            raise RecipeError(f"{override!r}: write an override as section.key=value, such as pretrain.steps=100")
        values = raw.setdefault(section, {})
        if not isinstance(values, dict):
            raise RecipeError(f"{override!r}: {section} is no section; write one such as pretrain.steps=100")
        values[key] = parse(value.strip())


def parse(value: str) -> Any:
    """A TOML value, or the bare word itself.

    >>> parse("3e-4"), parse("[1, 2]"), parse("muon")
    (0.0003, [1, 2], 'muon')
    """
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def build(kind: type[Section], values: dict[str, Any], *, where: str) -> Section:
    """A dataclass from plain values; each error names the section, the key and what would be right."""
    assert dataclasses.is_dataclass(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise RecipeError(f"{where} has unknown keys {unknown}; known are {sorted(fields)}")
    missing = [
        f.name
        for f in fields.values()
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise RecipeError(f"{where} needs {missing}")
    ready = {key: convert(value, hints[key], where=f"{where} {key}") for key, value in values.items()}
    return typing.cast(Section, kind(**ready))


def convert(value: Any, hint: Any, *, where: str) -> Any:
    """One plain value as its field wants it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else convert(value, next(i for i in inner if i is not type(None)), where=where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(convert(item, inner[0], where=where) for item in value)
    if origin in (dict, Mapping) or hasattr(origin, "keys"):
        if isinstance(value, dict):
            return {str(k): convert(v, inner[1], where=where) for k, v in value.items()}
    elif hint is Path and isinstance(value, str | Path):
        return Path(value)
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise RecipeError(f"{where} is {value!r}; it takes {getattr(hint, '__name__', hint)}")


def plain(plan: Recipe) -> dict[str, Any]:
    """A recipe as plain values, to be written down with its result; folders of this machine are left out."""
    return {"name": plan.name, **{name: dict(values) for name, values in plan.sections.items()}}


def main(stage: Callable[[Recipe], Path], arguments: Sequence[str] | None = None) -> None:
    """The command line of one stage: `--config FILE [--data DIR] [--out DIR] [--set section.key=value ...]`."""
    parser = argparse.ArgumentParser(description=(stage.__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="recipe, such as configs/tiny.toml")
    parser.add_argument("--data", type=Path, help="folder of raw data, instead of the recipe's")
    parser.add_argument("--out", type=Path, help="folder of results, instead of the recipe's")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one setting")
    parser.add_argument("--dry-run", action="store_true", help="say what the run would take, and write nothing")
    parser.add_argument("--json", action="store_true", help="the dry run's answer as one JSON object")
    given = parser.parse_args(arguments)
    try:
        plan = load(given.config, data=given.data, out=given.out, overrides=given.set)
        result = dry_run(stage, plan, as_json=given.json) if given.dry_run else stage(plan)
    except (TrainerError, OSError) as error:
        sys.exit(in_a_line(error))
    if os.environ.get("RANK", "0") == "0":  # under torchrun one process speaks for all
        sys.stdout.write(f"{result}\n")


def dry_run(stage: Callable[[Recipe], Path], plan: Recipe, *, as_json: bool) -> str:
    """What a stage would take on this machine, in words or as JSON."""
    from trainer import estimate  # it imports torch, which reading a recipe does not need

    return estimate.report(stage, plan, as_json=as_json)
