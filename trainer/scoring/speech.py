"""What does a trunk say, having read the prompt both ways, and looking back only?

Takes   a trunk, and the cases that reading is scored on.
Gives   for both ways of reading: exact match and F1 of the spoken answer, in percent of the answerable, how many of the
        others it refuses, and how many spoken quotations are literal.
Why     the product reads prompts both ways; whoever exports the model to a runner of causal models (llama.cpp,
        transformers) reads them looking back only. A model that was taught both must be seen to do both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer.reading import TrunkReader
from trainer.scoring import outcomes, quotations, scores
from trainer.scoring.outcomes import Case

WAYS = {"both_ways": False, "looking_back": True}  # name -> causal


def report(reader: TrunkReader, asked: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """The figures of both ways of reading the same questions."""
    return {name: spoken(reader, asked, causal=causal) for name, causal in WAYS.items()}


def spoken(reader: TrunkReader, asked: Sequence[Case], *, causal: bool) -> dict[str, Any]:
    """The figures of one way of reading; None where nothing was asked."""
    exact, overlap, refused = [], [], []
    literal = quotations.Quotations()
    for case in outcomes.progress(asked, "speaking, looking back only" if causal else "speaking"):
        said = quotations.speak(reader, case.question, case.sources, causal=causal)
        literal = literal.and_(quotations.of_speech(case.question, case.sources, said.quoted))
        if case.gold >= 0:
            exact.append(scores.best(scores.exact, said.answer, case.answers))
            overlap.append(scores.best(scores.word_f1, said.answer, case.answers))
        else:
            refused.append(float(not said.answer))
    return {
        "exact_match": scores.percent(scores.mean(exact)),
        "f1": scores.percent(scores.mean(overlap)),
        "refused": scores.percent(scores.mean(refused)),
        "n": len(asked),
        "quotations": literal.report(),
    }
