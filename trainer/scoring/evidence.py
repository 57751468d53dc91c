"""Which of five passages answers? The reader's evidence beside the embedder alone, on the same questions.

Takes   questions with sources, the right one first; a reader; a BERT encoder that embeds (all-MiniLM-L6-v2 by default).
Gives   shares of questions whose right source comes first, in percent, with the 95% interval of the difference.
Why     a retriever has brought all five: what the reader adds to its order is what a second model is good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer import neighbours
from trainer.chat import Source
from trainer.encoder import Encoder
from trainer.reading import SourceReader
from trainer.rows import in_context
from trainer.scoring import outcomes, scores

LENGTH = 256  # tokens of a passage that all-MiniLM-L6-v2 was made for
Asked = Sequence[tuple[str, list[Source]]]


def compare(reader: SourceReader, asked: Asked, *, embedder: Encoder | None, bf16: bool = False) -> dict[str, Any]:
    """Right source first, by reader and by embedder; the embedder's figures are missing where it is."""
    ours = np.array(
        [int(np.argmax(reader.read(question, sources)[0])) == 0 for question, sources in watch(asked)], dtype=float
    )
    found: dict[str, Any] = {
        "of": len(asked[0][1]) if asked else 0,
        "n": len(asked),
        "reader": scores.percent(scores.mean(ours)),
        "reader_interval": edges([scores.mean(ours[at]) for at in scores.draws(len(ours))]),
    }
    if embedder is not None and asked:
        theirs = by_embedder(asked, embedder, bf16=bf16)
        apart = [scores.mean(ours[at]) - scores.mean(theirs[at]) for at in scores.draws(len(ours))]
        found |= {"embedder": scores.percent(scores.mean(theirs)), "difference_interval": edges(apart)}
    return found


def watch(asked: Asked) -> Any:
    """The questions, with progress on stderr."""
    return outcomes.progress(asked, "evidence")


def edges(values: Sequence[float]) -> list[float | None]:
    """The 95% interval in percent."""
    return [scores.percent(edge) for edge in scores.interval(values)]


def by_embedder(asked: Asked, embedder: Encoder, *, bf16: bool) -> scores.Floats:
    """1 for each question whose right source is nearest by cosine, else 0."""
    texts = sorted({in_context(*source) for _, sources in asked for source in sources})
    place = {text: at for at, text in enumerate(texts)}
    passages = neighbours.embed(texts, embedder, length=LENGTH, bf16=bf16)
    questions = neighbours.embed([question for question, _ in asked], embedder, length=LENGTH, bf16=bf16)
    first = [
        int(np.argmax(passages[[place[in_context(*source)] for source in sources]] @ vector)) == 0
        for (_, sources), vector in zip(asked, questions, strict=True)
    ]
    return np.array(first, dtype=float)
