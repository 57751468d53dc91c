"""What a synthesis kept, what it refused and why, and how varied the questions are.

Takes   the rows' file and what became of the questions, shelf by shelf.
Gives   NAME.report.json and NAME.report.html beside the rows.
Measures  distinct openings: share of different first two words among all questions, after Li et al., distinct-n,
        arXiv:1510.03055; the likeness of a kind's share to an even one is left to the reader's eye.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from trainer import files, jsonl, plots
from trainer.errors import MissingExtra

SHOWN = 20  # openings and samples in the report


def write(
    rows: Path, tallies: Sequence[Mapping[str, Any]], *, settings: Mapping[str, Any], repeated: int, writing: str
) -> dict[str, Any]:
    """Measure the rows and write both reports. Without matplotlib the page is left out, and a line says so."""
    made, kept, refused = (_summed(tallies, key) for key in ("made", "kept", "refused"))
    report: dict[str, Any] = {
        "passages": sum(int(tally["passages"]) for tally in tallies),
        "rows": {"written": 0, "repeated": repeated},
        "made_by_kind": dict(made.most_common()),
        "kept_by_kind": dict(kept.most_common()),
        "kept_percent_by_kind": {kind: round(100 * kept[kind] / made[kind], 1) for kind, _ in made.most_common()},
        "refused_by_reason": dict(_reasons(refused).most_common()),
        "refused_by_kind_and_reason": dict(refused.most_common()),
        "diversity": diversity(rows),
        "model_questions": writing,
        "settings": {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()},
    }
    report["rows"]["written"] = report["diversity"]["rows"]
    files.write_json(rows.with_suffix(".report.json"), report)
    try:
        files.write_text(rows.with_suffix(".report.html"), page(report, rows))
    except MissingExtra as error:
        sys.stderr.write(f"no page beside the JSON report: {error}\n")
    return report


def _summed(tallies: Sequence[Mapping[str, Any]], key: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for tally in tallies:
        total.update(tally[key])
    return total


def _reasons(refused: Counter[str]) -> Counter[str]:
    total: Counter[str] = Counter()
    for name, times in refused.items():
        total[name.partition(" | ")[2]] += times
    return total


def diversity(path: Path) -> dict[str, Any]:
    """How varied the questions and answers of a rows file are; the file is read once, row by row."""
    openings: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    sources: Counter[int] = Counter()
    lengths: list[int] = []
    answerable = 0
    ranked = {"by_words": 0, "by_vector": 0}
    for row in jsonl.objects(path):
        question = str(row["question"])
        openings[" ".join(question.lower().split()[:2])] += 1
        kinds[str(row["kind"])] += 1
        lengths.append(len(question.split()))
        sources[len(row["sources"])] += 1
        if row["answerable"]:
            answerable += 1
            answers[answer_kind(str(row["answer"]))] += 1
            trip: Any = row["round_trip"]
            for by in ranked:
                ranked[by] += trip[by] == 1
    total = len(lengths)
    share = max(1, total)
    words: dict[str, float] = {}
    if total:
        words = {"mean": round(mean(lengths), 1), "median": median(lengths), "longest": max(lengths)}
    return {
        "rows": total,
        "answerable": answerable,
        "unanswerable": total - answerable,
        "distinct_openings": len(openings),
        "distinct_opening_share": round(len(openings) / share, 4),
        "openings_percent": {name: round(100 * times / share, 1) for name, times in openings.most_common(SHOWN)},
        "kinds_percent": {name: round(100 * times / share, 1) for name, times in kinds.most_common()},
        "question_words": words,
        "answers_percent": {name: round(100 * times / max(1, answerable), 1) for name, times in answers.most_common()},
        "sources": {str(size): times for size, times in sorted(sources.items())},
        "source_first_percent": {by: round(100 * times / max(1, answerable), 1) for by, times in ranked.items()},
    }


def answer_kind(answer: str) -> str:
    """What an answer looks like.

    >>> [answer_kind(a) for a in ("30 days", "the payroll team", "- a\\n- b", "Send it to HR and wait for a reply")]
    ['number', 'phrase', 'list', 'sentence']
    """
    if "\n" in answer:
        return "list"
    words = answer.split()
    if len(words) <= 6 and any(c.isdigit() for c in answer):
        return "number"
    return "phrase" if len(words) <= 7 else "sentence"


def page(report: Mapping[str, Any], rows: Path) -> str:
    """The report for people."""
    various = report["diversity"]
    figures = [
        ("passages", report["passages"]), ("rows", various["rows"]), ("answerable", various["answerable"]),
        ("unanswerable", various["unanswerable"]), ("different openings (two words)", various["distinct_openings"]),
        ("repeated questions left out", report["rows"]["repeated"]),
        ("source first by words, %", various["source_first_percent"]["by_words"]),
        ("source first by vector, %", various["source_first_percent"]["by_vector"]),
        ("questions by the model", report["model_questions"]),
    ]  # fmt: skip
    kinds = [
        (kind, made, report["kept_by_kind"].get(kind, 0), report["kept_percent_by_kind"][kind])
        for kind, made in report["made_by_kind"].items()
    ]
    by_kind = plots.bars(various["kinds_percent"], title="Share of the rows by kind", unit="%")
    reasons = {reason: float(times) for reason, times in report["refused_by_reason"].items()}
    openings = plots.bars(various["openings_percent"], title="Share of the rows by first two words", unit="%")
    sections = [
        ("At a glance", plots.table(("", ""), figures)),
        ("Rows by kind", by_kind + plots.table(("kind", "made", "kept", "kept %"), kinds)),
        ("Refused", plots.bars(reasons, title="Refused questions by reason")),
        ("How questions begin", openings),
        ("Answers", plots.bars(various["answers_percent"], title="Answers by their look", unit="%")),
        ("Samples", plots.table(("question", "answer", "kind"), list(samples(rows)))),
    ]
    return plots.page("Questions made from passages", sections)


def samples(rows: Path) -> Iterator[tuple[str, str, str]]:
    """The first rows of each kind."""
    shown: Counter[str] = Counter()
    for row in jsonl.objects(rows):
        kind = str(row["kind"])
        if shown[kind] < 2 and sum(shown.values()) < 3 * SHOWN:
            shown[kind] += 1
            yield str(row["question"]), str(row["answer"])[:200] or "(none)", kind
