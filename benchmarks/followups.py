"""Do follow-ups find what they mean, and are other questions left alone? `python -m benchmarks.followups`

Takes   documents/handbooks/18F.followups.jsonl below the data folder: follow-ups with the turn before and the question
        as a person would write it in full; the handbooks' own question files; an index that holds the documents.
Gives   recall_at_5 of the follow-up as typed, as our rules rewrite it, and as written by hand, in percent, and
        `of_by_hand`, the second as a share of the third;
        `first_changed`: first questions that the rules change (there is nothing before them: none may be);
        `dragged`: of full questions put after an unrelated turn, how many are given something of it, in percent, and
        recall_at_5 of those questions before and after.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rag
from benchmarks.record import record
from rag.evaluate import load
from rag.metrics import percent
from rag.types import Message

ROOT = Path(__file__).resolve().parent.parent
FIRST = 5


def found(library: rag.Library, question: str, documents: Sequence[str]) -> bool:
    """Is one of the documents among the first five passages?"""
    return any(hit.document.endswith(name) for hit in library.search(question, FIRST) for name in documents)


def main() -> None:
    """Search, count, print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-answers")
    parser.add_argument("--unrelated", type=int, default=160, help="full questions put after an unrelated turn")
    given = parser.parse_args()
    handbooks = given.data / "documents" / "handbooks"
    asked = load(handbooks / "18F.followups.jsonl")
    full = load(handbooks / "18F.questions.jsonl")
    with rag.open(given.index) as library:
        result = follow_ups(library, asked) | unrelated(library, full, given.unrelated)
    record("followups", result)
    sys.stdout.write(json.dumps(result) + "\n")


def follow_ups(library: rag.Library, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Recall of follow-ups, three ways."""
    ways: dict[str, list[bool]] = {"typed": [], "ours": [], "by_hand": []}
    for row in rows:
        history = [Message(turn["question"], turn["answer"]) for turn in row["history"]]
        put = {
            "typed": row["question"],
            "ours": library.rewritten(row["question"], history),
            "by_hand": row["standalone"],
        }
        for name, question in put.items():
            ways[name].append(found(library, question, row["documents"]))
    recall = {name: percent(sum(hits), len(hits)) for name, hits in ways.items()}
    return {"n": len(rows), "recall_at_5": recall, "of_by_hand": percent(sum(ways["ours"]), sum(ways["by_hand"]))}


def unrelated(library: rag.Library, rows: Sequence[dict[str, Any]], most: int) -> dict[str, Any]:
    """What the rules do to full questions: first in a conversation, and after a turn about something else."""
    first = [row["question"] for row in rows if library.rewritten(row["question"], []) != plain(row["question"])]
    chosen = [row for row in rows if row.get("documents")][:: max(1, len(rows) // most)]
    before, after, dragged = [], [], []
    for at, row in enumerate(chosen):
        other = chosen[(at + len(chosen) // 2) % len(chosen)]
        answer = other["answers"][0] if other.get("answers") else "The documents do not say."
        history = [Message(other["question"], answer if isinstance(answer, str) else " ".join(answer))]
        put = library.rewritten(row["question"], history)
        before.append(found(library, row["question"], row["documents"]))
        after.append(before[-1] if put == plain(row["question"]) else found(library, put, row["documents"]))
        if put != plain(row["question"]):
            dragged.append(row["question"])
    return {
        "first_questions": len(rows),
        "first_changed": len(first),
        "unrelated": len(chosen),
        "dragged": percent(len(dragged), len(chosen)),
        "dragged_questions": dragged[:20],
        "unrelated_recall_at_5": {
            "alone": percent(sum(before), len(before)),
            "after_another_turn": percent(sum(after), len(after)),
        },
    }


def plain(question: str) -> str:
    """As the rules give back what they leave alone."""
    return " ".join(question.split())


if __name__ == "__main__":
    main()
