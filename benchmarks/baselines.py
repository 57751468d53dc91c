"""What simpler means reach on the same questions in the same run: the passages found, and the sentence most like it.

Takes   an open library and answerable question rows.
Gives   in percent: how often a passage that holds an answer is among the first 5 and 20 found by words and meaning
        together, and how often the sentence of the first 5 passages that is most like the question (same embedder) is
        right by the measure of the answers. It never refuses, so all else is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import rag
from rag import quote
from rag.config import Settings
from rag.embed import open_embedder
from rag.metrics import percent, right, stands

FIRST, DEEP = 5, 20  # passages


def baselines(library: rag.Library, rows: Sequence[dict[str, Any]], settings: Settings) -> dict[str, float]:
    """The figures over the answerable rows."""
    embedder = open_embedder(settings)
    asked = [row for row in rows if row.get("answerable", True)]
    found = {FIRST: 0, DEEP: 0}
    nearest = 0
    for number, row in enumerate(asked, start=1):
        sys.stderr.write(f"\rplain stack {number}/{len(asked)} ")
        hits = library.search(row["question"], k=DEEP)
        for k in found:
            found[k] += any(stands(row["answers"], hit.text) for hit in hits[:k])
        sentences = [hit.text[start:end] for hit in hits[:FIRST] for start, end in quote.candidates(hit.text)]
        if sentences:
            vectors = embedder.embed([row["question"], *sentences])
            nearest += right(sentences[int((vectors[1:] @ vectors[0]).argmax())], row["answers"])
    sys.stderr.write("\n")
    return {
        f"passage_in_first_{FIRST}": percent(found[FIRST], len(asked)),
        f"passage_in_first_{DEEP}": percent(found[DEEP], len(asked)),
        "nearest_sentence_right": percent(nearest, len(asked)),
    }
