"""When is support enough to answer, and how short are spans? Fit both on rows that no evaluation set holds.

Takes   a reader and dev rows; each row is read twice: with its gold source and without it.
Gives   the threshold that puts `right - wrong` highest, with the curve's key figures; the brevity with the best F1.
Refuses an empty list of rows.
Why     `right - wrong` is what a person at work loses or wins: a wrong answer costs what a right one gives.
Source  selective question answering and its risk-coverage curve: Kamath et al., arXiv:2006.09462.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from trainer.chat import Source
from trainer.encoder_reader import EncoderReader, best_spans, encode_pair
from trainer.errors import DataError
from trainer.reading import SourceReader
from trainer.rows import ReadingRow
from trainer.scoring.scores import OVERLAP_FOR_RIGHT, best, word_f1

BREVITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6)


@torch.inference_mode()
def fit_brevity(reader: EncoderReader, rows: Sequence[ReadingRow]) -> tuple[float, dict[str, float]]:
    """How much a reader's spans should be shortened (`encoder_reader.best_spans`), and the mean F1 of each choice.

    Every row with a span is read once, its gold source alone. Of equal choices the smallest is taken.
    """
    totals, count = dict.fromkeys(BREVITIES, 0.0), 0
    length = int(reader.settings.get("length", 384))
    for row in rows:
        if not row.spans:
            continue
        heading, text = row.sources[0]
        pair = encode_pair(reader.encoder, row.question, heading, text, length=length)
        start, end, _ = reader.logits([pair])
        answers, count = [text[s:e] for s, e in row.spans], count + 1
        for brevity in BREVITIES:
            found = best_spans(start[0], end[0], pair[2], keep=1, brevity=brevity)
            totals[brevity] += best(word_f1, text[found[0][0] : found[0][1]] if found else "", answers)
    f1 = {str(brevity): round(100 * total / max(1, count), 2) for brevity, total in totals.items()}
    return max(BREVITIES, key=lambda brevity: (f1[str(brevity)], -brevity)), f1


class Fitted(NamedTuple):
    """A threshold and what it gives on the rows it was fitted on; shares of all readings."""

    threshold: float
    right: float
    wrong: float
    refused: float
    readings: int


def fit_threshold(reader: SourceReader, rows: Sequence[ReadingRow]) -> Fitted:
    """Read all rows with and without their gold source, and choose the best threshold. Raises DataError for no rows."""
    if not rows:
        raise DataError("no dev rows to fit the threshold on; make them with `trainer rows`")
    support: list[float] = []
    good: list[bool] = []
    for row in rows:
        sources = [Source(*source) for source in row.sources]
        for shown in (sources, sources[1:]) if row.spans else (sources,):
            if not shown:
                continue
            _, value, found = reader.read(row.question, shown)
            support.append(value)
            said = shown[found[0].source].text[found[0].start : found[0].end] if found else ""
            answers = [row.sources[0][1][s:e] for s, e in row.spans] if len(shown) == len(sources) else []
            good.append(best(word_f1, said, answers) >= OVERLAP_FOR_RIGHT)
    return best_threshold(np.array(support), np.array(good))


def fit_refusal(reader: SourceReader, rows: Sequence[ReadingRow]) -> Fitted:
    """Read each row's gold source alone, then its first near miss alone; the threshold tells the two apart best.

    So `trainer evaluate` judges a single passage; best is the highest balanced accuracy. Raises DataError.
    """
    support: list[float] = []
    good: list[bool] = []
    there: list[bool] = []
    for row in rows:
        for number, source in enumerate(row.sources[:2]):
            _, value, found = reader.read(row.question, [Source(*source)])
            said = source[1][found[0].start : found[0].end] if found else ""
            answers = [source[1][s:e] for s, e in row.spans] if number == 0 else []
            support.append(value)
            there.append(bool(answers))
            good.append(best(word_f1, said, answers) >= OVERLAP_FOR_RIGHT)
    if not any(there) or all(there):
        raise DataError(
            "the dev rows need spans and near misses to fit the threshold on; make them with `trainer rows`"
        )
    return apart(np.array(support), np.array(there), np.array(good))


def apart(support: np.ndarray, there: np.ndarray, good: np.ndarray) -> Fitted:
    """The threshold with the highest balanced accuracy of answering what is there and refusing what is not.

    >>> apart(np.array([0.9, 0.6, 0.2]), np.array([True, True, False]), np.array([True, False, False])).threshold
    0.4
    """
    order = np.argsort(-support, kind="stable")
    hits, falls = np.cumsum(there[order]) / there.sum(), np.cumsum(~there[order]) / (~there).sum()
    count = int((hits - falls).argmax()) + 1
    ranked = np.append(support[order], 0.0)
    right, total = int(good[order][:count].sum()), len(support)
    threshold = float((ranked[count - 1] + ranked[count]) / 2)
    return Fitted(round(threshold, 4), right / total, (count - right) / total, (total - count) / total, total)


def best_threshold(support: np.ndarray, good: np.ndarray) -> Fitted:
    """The threshold with the highest right - wrong.

    >>> best_threshold(np.array([0.9, 0.8, 0.2]), np.array([True, True, False])).threshold
    0.5
    """
    order = np.argsort(-support)
    gain = np.cumsum(np.where(good[order], 1, -1))  # answered: the first 1, 2, 3, ... readings
    count = int(gain.argmax()) + 1 if len(gain) and gain.max() > 0 else 0
    ranked = np.concatenate([[1.0], support[order], [0.0]])
    right = int(good[order][:count].sum())
    total = len(support)
    threshold = float((ranked[count] + ranked[count + 1]) / 2)
    return Fitted(round(threshold, 4), right / total, (count - right) / total, (total - count) / total, total)
