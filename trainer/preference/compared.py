"""Sets of compared answers, and their split: prompts that resemble each other stand on one side.

    {"chosen", "rejected"} transcripts · {"instruction", "output_1", "output_2", "label"} ·
    {"instruction", "input", "chosen", "rejected"} · a bundle's preferences        ─► Comparison ─► learnt, held

Takes   JSON lines or a JSON list, plain, `.gz` or `.xz`. A single thumb compares nothing and is passed over; so are two
        equal answers.
Gives   `Comparison`s, and `split`: families of prompts, drawn by their hash, so the order of rows does not matter.
Family  prompts that share half of their runs of three words, or that open a dialogue alike.
Refuses a row of no known layout, naming file and number.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainer import jsonl
from trainer.errors import DataError

RUN = 3  # words
ALIKE = 0.5  # share of runs in common
COMMON = 50  # prompts: a run that more of them hold finds no neighbours
TURN = re.compile(r"\n\n(?=Human: |Assistant: )")


class Comparison(NamedTuple):
    """Two answers to one prompt."""

    prompt: str
    better: str
    worse: str
    name: str  # of its set


def read(paths: Iterable[Path]) -> list[Comparison]:
    """All comparisons of the files. Raises DataError."""
    return [row for path in paths for row in _file(path)]


def _file(path: Path) -> Iterator[Comparison]:
    name = path.name.partition(".")[0]
    for number, raw in _rows(path):
        try:
            prompt, better, worse = _sides(raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{path}, row {number}: {type(error).__name__}: {error}. A row compares two answers: chosen and "
                "rejected beside instruction or question, or output_1, output_2 and label; correct or remove it"
            ) from error
        if better and worse and better != worse:
            yield Comparison(prompt, better, worse, name)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    if path.suffix == ".json":
        try:
            yield from enumerate(json.loads(path.read_text(encoding="utf-8")), 1)
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path} cannot be read ({error}); it must hold a JSON list of objects") from error
    elif path.suffix == ".gz":
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                yield from (
                    (number, jsonl.parsed(line, f"{path}, line {number}")) for number, line in enumerate(lines, 1)
                )
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read ({error}); it must be JSON lines, packed with gzip") from error
    else:
        yield from jsonl.numbered(path)


def _sides(raw: dict[str, Any]) -> tuple[str, str, str]:
    """Prompt, better and worse answer of a row; an answer is empty where people gave a single thumb."""
    if "label" in raw:
        answers = {1: str(raw["output_1"]), 2: str(raw["output_2"])}
        return str(raw["instruction"]), answers[raw["label"]], answers[3 - raw["label"]]
    better, worse = raw["chosen"] or "", raw["rejected"] or ""
    if "instruction" in raw:
        return f"{raw['instruction']}\n{raw.get('input', '')}".strip(), better.strip(), worse.strip()
    if "question" in raw:
        return str(raw["question"]), better.strip(), worse.strip()
    first, second = TURN.split(better), TURN.split(worse)
    same = next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    return "\n\n".join(first[:same]).strip(), "\n\n".join(first[same:]).strip(), "\n\n".join(second[same:]).strip()


# --- the split --------------------------------------------------------------------------------------------------------


def split(rows: Sequence[Comparison], *, one_in: int) -> tuple[list[Comparison], list[Comparison]]:
    """Learnt and held-out comparisons: about one family of prompts in `one_in` is held out."""
    family = families([row.prompt for row in rows])
    mark: dict[int, int] = {}
    for number, row in zip(family, rows, strict=True):
        own = zlib.crc32(_plain(row.prompt).encode("utf-8", "surrogatepass"))
        mark[number] = min(own, mark.get(number, own))
    held = [zlib.crc32(str(mark[number]).encode()) % one_in == 0 for number in family]
    return [r for r, h in zip(rows, held, strict=True) if not h], [r for r, h in zip(rows, held, strict=True) if h]


def families(prompts: Sequence[str]) -> list[int]:
    """A number for each prompt; those that resemble each other, directly or through others, have the same.

    >>> families(["How do I cook rice well?", "Name a planet.", "how do I cook rice well"])
    [0, 1, 0]
    """
    parent = list(range(len(prompts)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(one: int, other: int) -> None:
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    opened: dict[str, int] = {}
    runs = [_runs(prompt) for prompt in prompts]
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, prompt in enumerate(prompts):
        join(number, opened.setdefault(_plain(TURN.split(prompt)[0]), number))
        for other in {each for run in runs[number] if len(holders[run]) <= COMMON for each in holders[run]}:
            shared = len(runs[number] & runs[other])
            if shared >= ALIKE * len(runs[number] | runs[other]):
                join(number, other)
        for run in runs[number]:
            holders[run].append(number)
    return [root(number) for number in range(len(prompts))]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _plain(text).split()
    return {tuple(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))}
