"""The same question with answers that contradict each other: found in question files, and listed for people to judge.

Takes   question files: JSONL with `question`, `answers` (or `answer`), `answerable`, and `context` or `title`.
Gives   groups of rows that ask the same in the same passage, or under the same title, and have no answer in common.
How     questions and answers are compared without case, punctuation, articles; answers agree when one holds the
        other or they share more than half of their words. Nothing is removed: no rule can say which of them is right.
Memory  eight bytes a question, and the rows of questions that were asked twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from trainer import files
from trainer.cleaning import sources
from trainer.cleaning.copies import Numbers

WORD = re.compile(r"\w+")
ARTICLES = frozenset(("a", "an", "the"))
SHOWN = 5  # groups in the report
Words = tuple[str, ...]


class Asked(NamedTuple):
    """One row that asks what another one asks too."""

    file: str
    id: str
    question: str
    passage: int  # hash of the passage
    answers: tuple[Words, ...]  # () for "the text does not say"
    shown: str


def find(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """All groups that contradict themselves."""
    paths = list(paths)
    groups: dict[tuple[str, int], list[Asked]] = defaultdict(list)
    twice = repeated(paths)
    for path, row in rows(paths):
        for scope, key in keys(row):
            if key in twice:
                groups[scope, key].append(asked(path, row))
    found = []
    for (scope, _), members in groups.items():
        pairs = [pair for pair in combinations(members, 2) if contradict(*pair, scope)]
        if pairs:
            sides = list(dict.fromkeys(side for pair in pairs for side in pair))
            found.append({
                "question": sides[0].question,
                "same": scope,
                "answers": [{"answer": side.shown, "file": side.file, "id": side.id} for side in sides],
            })  # fmt: skip
    return sorted(found, key=lambda group: str(group["same"]))  # the same passage first: those are the surest


def repeated(paths: list[Path]) -> set[int]:
    """Keys that two rows share."""
    once, twice = Numbers(), set[int]()
    for _, row in rows(paths):
        for _, key in keys(row):
            if key in once:
                twice.add(key)
            else:
                once.update([key])
    return twice


def rows(paths: list[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Rows that ask something."""
    for path in paths:
        for row in sources.objects(path):
            if row.get("question"):
                yield path, row


def keys(row: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """What a row may share with another one: its question in its passage, and under its title."""
    question = " ".join(plain_words(str(row["question"])))
    for scope, name in (("passage", "context"), ("title", "title")):
        if row.get(name):
            yield scope, hashed(f"{scope}\n{question}\n{row[name]}")


def asked(path: Path, row: dict[str, Any]) -> Asked:
    """A row as it is compared."""
    given = row.get("answers") or ([row["answer"]] if row.get("answer") else [])
    texts = [str(answer["text"] if isinstance(answer, dict) else answer) for answer in given]
    if row.get("answerable") is False:
        texts = []
    return Asked(
        path.name,
        str(row.get("id", "")),
        str(row["question"]),
        hashed(str(row.get("context", ""))),
        tuple(plain_words(text) for text in texts),
        texts[0][:200] if texts else "(not answered by the text)",
    )


def contradict(one: Asked, other: Asked, scope: str) -> bool:
    """Whether two rows have no answer in common."""
    if scope == "title" and one.passage == other.passage:
        return False  # listed under its passage
    if not one.answers or not other.answers:
        return scope == "passage" and bool(one.answers) != bool(other.answers)
    return not any(agree(a, b) for a in one.answers for b in other.answers)


def agree(one: Words, other: Words) -> bool:
    """Whether two answers say the same: one holds the other, or they share more than half of their words.

    >>> agree(("15", "days"), ("15", "days", "per", "year")), agree(("15", "days"), ("20", "weeks"))
    (True, False)
    """
    if f" {' '.join(one)} " in f" {' '.join(other)} " or f" {' '.join(other)} " in f" {' '.join(one)} ":
        return True
    shared = sum((Counter(one) & Counter(other)).values())
    return 2 * shared > max(len(one), len(other))


def plain_words(text: str) -> Words:
    """Words without case, punctuation and articles."""
    return tuple(word for word in WORD.findall(text.lower()) if word not in ARTICLES)


def hashed(text: str) -> int:
    """64 bits of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def listed(data: Path, patterns: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Write `contradictions.jsonl`; gives what the report says of it."""
    paths = sorted({p for pattern in patterns for p in data.glob(pattern) if p.is_file() and ".jsonl" in p.suffixes})
    found = find(paths)
    files.write_text(out, "".join(json.dumps(group, ensure_ascii=False) + "\n" for group in found))
    by_file = Counter(name for group in found for name in {side["file"] for side in group["answers"]})
    return {
        "files": len(paths),
        "groups": len(found),
        "same_passage": sum(group["same"] == "passage" for group in found),
        "same_title": sum(group["same"] == "title" for group in found),
        "by_file": dict(by_file.most_common()),
        "samples": found[:SHOWN],
    }
