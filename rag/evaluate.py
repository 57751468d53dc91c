"""Ask a question set and count.

Takes   rows {"question", "answers", "documents", "answerable"}, optionally "history": [{"question", "answer"}]; rows
        with a history are asked as follow-ups. `documents` are names or ends of their paths.
Gives   a `Report`, percentages of all n rows unless said otherwise:
        right                 answerable, not refused, and an alternative stands in the answer (metrics.right)
        wrong                 answered and not right; so every answered row without an answer in the documents is wrong
        refused               refused, answerable or not; right + wrong + refused = 100
        unanswerable_refused  refused, of the unanswerable rows
        cited                 with a citation from one of the row's documents, of the answered rows that name some
        recall_at_5           with such a document among the first five passages found, of the rows that name some
        and every row with what was asked, found, answered and cited.
Refuses a row without a question, and answerable rows without answers: SettingsError with the line's number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rag.errors import SettingsError
from rag.metrics import exact, f1, percent, recall, right, wilson
from rag.types import Answer, Done, Event, Found, Hit, Message

Row = dict[str, Any]
FIRST = 5  # passages that count for recall


class Asked(Protocol):
    """What is evaluated: a library, or anything that streams answers as it does."""

    def stream(self, question: str, *, history: Sequence[Message], purpose: str) -> Iterator[Event]:
        """The events of one answer; `purpose` tells the audit that no person asked."""


@dataclass(frozen=True)
class Report:
    """The counts of one question set, in percent, and its rows."""

    right: float
    wrong: float
    refused: float
    unanswerable_refused: float
    cited: float
    recall_at_5: float
    n: int
    intervals: dict[str, tuple[float, float]]  # 95%, of right, wrong and refused, in percent
    rows: tuple[Row, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of `rag evaluate`."""
        return {
            "right": self.right,
            "wrong": self.wrong,
            "refused": self.refused,
            "unanswerable_refused": self.unanswerable_refused,
            "cited": self.cited,
            "recall_at_5": self.recall_at_5,
            "n": self.n,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "rows": list(self.rows),
        }


def load(file: Path) -> list[Row]:
    """The rows of a question file."""
    rows: list[Row] = []
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}). Give a JSONL file of questions") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise SettingsError(f"{file}, line {number}: not JSON ({error}). One object a line") from error
        refuse(rows[-1], f"{file}, line {number}")
    return rows


def refuse(row: Any, where: str) -> None:
    """Raise SettingsError for a row that cannot be asked or judged."""
    if not isinstance(row, dict) or not str(row.get("question", "")).strip():
        raise SettingsError(f"{where}: no question. Each line needs at least question, answers and answerable")
    if row.get("answerable", True) and not row.get("answers"):
        raise SettingsError(f"{where}: answerable, but without answers. Name them, or say answerable: false")


def evaluate(library: Asked, rows: Sequence[Row], *, progress: Callable[[int, int], None] | None = None) -> Report:
    """Ask every row and count. `progress(done, total)` is called after each."""
    judged: list[Row] = []
    for number, row in enumerate(rows, start=1):
        refuse(row, f"row {number}")
        judged.append(judge(row, *ask(library, row)))
        if progress:
            progress(number, len(rows))
    return report(judged)


def ask(library: Asked, row: Row) -> tuple[Answer, tuple[Hit, ...]]:
    """The answer to one row, and what was found for it."""
    history = [Message(turn["question"], turn["answer"]) for turn in row.get("history") or ()]
    hits: tuple[Hit, ...] = ()
    for event in library.stream(row["question"], history=history, purpose="evaluated"):
        if isinstance(event, Found):
            hits = event.hits
        elif isinstance(event, Done):
            return event.answer, hits
    raise AssertionError("an answer's events end with Done")


def judge(row: Row, answer: Answer, hits: Sequence[Hit]) -> Row:
    """One row with its outcome: right, wrong or refused."""
    answerable = bool(row.get("answerable", True))
    wanted = list(row.get("documents") or ())
    if answer.abstained:
        outcome = "refused"
    else:
        outcome = "right" if answerable and right(answer.text, row.get("answers") or ()) else "wrong"
    cited = recall([citation.document for citation in answer.citations], wanted, len(answer.citations))
    return {
        **{name: row[name] for name in ("id", "question", "answers", "documents", "kind", "history") if name in row},
        "answerable": answerable,
        "outcome": outcome,
        "exact": best(exact, row, answer),
        "f1": round(best(f1, row, answer), 4),
        "standalone_question": answer.standalone,
        "answer": answer.text,
        "confidence": round(answer.confidence, 4),
        "cited": bool(cited) if wanted and not answer.abstained else None,
        "found_at_5": bool(recall([hit.document for hit in hits], wanted, FIRST)) if wanted else None,
        "found": [hit.document for hit in hits[:FIRST]],
        "citations": [
            {"document": citation.document, "page": citation.page, "quote": citation.quote}
            for citation in answer.citations
        ],
        "answer_id": answer.answer_id,
        "milliseconds": round(answer.timings_ms.get("total", 0.0), 1),
    }


def best(measure: Callable[[str, str], float], row: Row, answer: Answer) -> float:
    """The answer's words against the alternative they come nearest to; a refusal is 1 where nothing answers, else 0."""
    if answer.abstained or not row.get("answerable", True):
        return float(answer.abstained and not row.get("answerable", True))
    golds = [one if isinstance(one, str) else " ".join(one) for one in row.get("answers") or ()]
    return max((measure(answer.text, gold) for gold in golds), default=0.0)


def report(rows: Sequence[Row]) -> Report:
    """The counts of judged rows."""
    n = len(rows)
    count = {name: sum(row["outcome"] == name for row in rows) for name in ("right", "wrong", "refused")}
    unanswerable = [row for row in rows if not row["answerable"]]
    named = [row["cited"] for row in rows if row["cited"] is not None]
    found = [row["found_at_5"] for row in rows if row["found_at_5"] is not None]
    return Report(
        right=percent(count["right"], n),
        wrong=percent(count["wrong"], n),
        refused=percent(count["refused"], n),
        unanswerable_refused=percent(sum(row["outcome"] == "refused" for row in unanswerable), len(unanswerable)),
        cited=percent(sum(named), len(named)),
        recall_at_5=percent(sum(found), len(found)),
        n=n,
        intervals={name: _interval(number, n) for name, number in count.items()},
        rows=tuple(rows),
    )


def _interval(successes: int, n: int) -> tuple[float, float]:
    low, high = wilson(successes, n)
    return round(100 * low, 1), round(100 * high, 1)
