"""How base and candidate read: the bundle's held rows, and general rows that nothing was learnt from.

    held rows, retention rows ─► base, candidate ─► F1, exact match, right passage first, refusals, right and wrong

Takes   an open reader with its threshold; rows.
Gives   figures in percent (`trainer/scoring/outcomes.py` says what each means), by set of rows.
Shown   each row twice: with the passage that answers among its near misses, and with these alone, to be refused.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.chat import MOST_SOURCES, Found, Source
from trainer.encoder_reader import EncoderReader
from trainer.reading import SourceReader
from trainer.rows import ReadingRow
from trainer.scoring import outcomes
from trainer.scoring.outcomes import Case

SHOWN = min(4, MOST_SOURCES)  # sources with a question
FIGURES = ("f1", "exact_match", "evidence_top1", "answered", "refused", "right", "wrong", "balanced_accuracy")


def cases(rows: Sequence[ReadingRow], seed: int) -> list[Case]:
    """The questions as they are put to a reader, in an order and with places of the gold source that the seed gives."""
    chance, found = random.Random(f"{seed}/measured"), []
    for row in rows:
        misses = [Source(*source) for source in (row.sources[1:] if row.spans else row.sources)]
        answers = [row.sources[0][1][start:end] for start, end in row.spans]
        if row.spans:
            shown, place = misses[: SHOWN - 1], chance.randint(0, min(len(misses), SHOWN - 1))
            shown.insert(place, Source(*row.sources[0]))
            found.append(Case(row.question, shown, place, answers))
        if misses:
            found.append(Case(row.question, misses[:SHOWN], -1, []))
    return found


def compare(
    base: EncoderReader,
    tuned: EncoderReader,
    sets: Mapping[str, Sequence[ReadingRow]],
    *,
    seed: int,
    told: Callable[[float], None],
) -> dict[str, Any]:
    """Both readers on every set of rows: {"before": {set: figures}, "after": {set: figures}}."""
    readers = {"before": base, "after": tuned}
    total = sum(len(rows) for rows in sets.values()) * len(readers) or 1
    report: dict[str, Any] = {name: {} for name in readers}
    done = 0
    for name, reader in readers.items():
        for of, rows in sets.items():
            report[name][of] = measure(reader, rows, seed=seed, told=_within(told, done / total, len(rows) / total))
            done += len(rows)
    return report


def _within(told: Callable[[float], None], behind: float, part: float) -> Callable[[float], None]:
    """Tell of a part of the whole."""
    return lambda at: told(behind + part * at)


class Counted:
    """A reader that says how many of its questions it has read."""

    def __init__(self, reader: SourceReader, of: int, told: Callable[[float], None]) -> None:
        self.reader, self.of, self.told, self.count = reader, of, told, 0

    def read(self, question: str, sources: Sequence[Source]) -> tuple[list[float], float, list[Found]]:
        """As the reader inside."""
        self.count += 1
        self.told(self.count / self.of)
        return self.reader.read(question, sources)


def measure(
    reader: EncoderReader, rows: Sequence[ReadingRow], *, seed: int, told: Callable[[float], None]
) -> dict[str, Any]:
    """The figures of a set of rows; empty where there are none. `told` hears how far it is, from 0 to 1."""
    asked = cases(rows, seed)
    if not asked:
        return {}
    found = outcomes.ask(Counted(reader, len(asked), told), asked, title="measuring")
    report = outcomes.report(found, reader.threshold)
    return {name: report[name] for name in FIGURES} | {
        "answerable": report["answerable"],
        "unanswerable": report["unanswerable"],
        "threshold": report["threshold"],
        "quotations_not_exact": len(found.quoted.failures),
    }
