"""People who judge answers, for benchmarks: a script that knows the answers of a question file.

Takes   a library with both handbooks, and their questions with known answers and documents.
Gives   which questions are judged and which measure, and the judgements: asked, compared with the known answer, marked
        where that stands in the document, accepted by a review. A score of the model is never looked at.
"""

from __future__ import annotations

import json
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rag
from benchmarks.answers import HANDBOOKS
from rag.errors import NotFound
from rag.evaluate import load
from rag.metrics import right

PEOPLE = ("ada", "ben", "cleo", "dev", "eva")
LONGEST = 400  # characters of a mark: a sentence or a list, no page
Row = dict[str, Any]


# --- questions and sides ----------------------------------------------------------------------------------------------


def questions(data: Path) -> list[Row]:
    """Both files' questions; `name` is unique among them."""
    folder = data / "documents" / "handbooks"
    return [
        {**row, "handbook": name, "name": f"{name} {row['id']}"}
        for name in HANDBOOKS
        for row in load(folder / f"{name}.questions.jsonl")
    ]


def sides(library: rag.Library, rows: Sequence[Row], folder: Path, seed: int) -> tuple[list[Row], list[Row]]:
    """Questions to judge and questions to measure by. A bundle without judgements decides about the documents.

    A question about documents of both sides is left out. What nothing answers is about no document: half of it each.
    """
    file = folder / "sides.zip"
    library.bundle(file, seed=str(seed))
    held, learnt = (_documents(file, f"passages.{side}.jsonl") for side in ("held", "train"))
    judged: list[Row] = []
    measured: list[Row] = []
    for row in rows:
        if not row["answerable"]:
            (judged if zlib.crc32(f"{seed} {row['name']}".encode()) % 2 else measured).append(row)
        elif _all(row, held):
            measured.append(row)
        elif _all(row, learnt):
            judged.append(row)
    return judged, measured


def _documents(file: Path, member: str) -> frozenset[str]:
    with zipfile.ZipFile(file) as opened:
        lines = opened.read(member).decode("utf-8").splitlines()
    return frozenset(str(json.loads(line)["document"]) for line in lines)


def _all(row: Row, among: frozenset[str]) -> bool:
    return all(name in among or f"{row['handbook']}/{name}" in among for name in row["documents"])


# --- the judges -------------------------------------------------------------------------------------------------------


def judge(library: rag.Library, rows: Sequence[Row]) -> dict[str, int]:
    """Ask each question, judge the answer by what is known, accept the judgement; returns how many of each kind."""
    counts: dict[str, int] = {}
    for number, row in enumerate(rows):
        person = PEOPLE[number % len(PEOPLE)]
        answer = library.ask(row["question"], person=person)
        verdict, reason = _verdict(row, answer)
        given: Row = {"reason": reason, "person": person}
        if verdict == "down" and row["answerable"]:
            place = _place(library, row)
            if place is None:  # the known words do not stand in the document as it was read
                counts["unmarked"] = counts.get("unmarked", 0) + 1
                continue
            given["marked"] = place
        made = library.rate(answer.answer_id, verdict, **given)
        library.review(made.id, "accepted")
        counts[reason or "up"] = counts.get(reason or "up", 0) + 1
        sys.stderr.write(f"\rjudged {number + 1}/{len(rows)} ")
    sys.stderr.write("\n")
    return counts


def _verdict(row: Row, answer: rag.Answer) -> tuple[str, str | None]:
    if not row["answerable"]:
        return ("up", None) if answer.abstained else ("down", "should_have_refused")
    if answer.abstained:
        return "down", "should_have_answered"
    if right(answer.text, row["answers"]):
        return "up", None
    known = {name.rsplit("/", 1)[-1] for name in row["documents"]}
    found = any(cited.document.rsplit("/", 1)[-1] in known for cited in answer.citations)
    return "down", "wrong_words" if found else "passage_missed"


def _place(library: rag.Library, row: Row) -> Row | None:
    """The known answer as words to mark: in its sentence if that stands in the document, else where it stands first."""
    for name in row["documents"]:
        document = _document(library, row["handbook"], name)
        if document is None:
            continue
        low = document.text.casefold()
        evidence = " ".join(str(row.get("evidence", "")).split()).casefold()
        near = max(0, low.find(evidence[:40])) if evidence else 0
        for answer in row["answers"]:
            parts = [answer] if isinstance(answer, str) else list(answer)
            found = [_after(low, part.casefold(), near) for part in parts]
            if all(place >= 0 for place in found):
                start = min(found)
                end = max(place + len(part) for place, part in zip(found, parts, strict=True))
                if end - start <= LONGEST:
                    return {"document": document.name, "start": start, "end": end}
    return None


def _after(text: str, part: str, near: int) -> int:
    place = text.find(part, near)
    return place if place >= 0 else text.find(part)


def _document(library: rag.Library, handbook: str, name: str) -> Any:
    for known in (name, f"{handbook}/{name}"):
        try:
            return library.document(known)
        except NotFound:
            continue
    return None
