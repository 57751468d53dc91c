"""What can be chosen about improving a model on a bundle, and what a stage's result depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainer.errors import ANY, RecipeError, within
from trainer.loop import LoopConfig

KINDS = ("judged", "synthetic", "replay")


def _shares() -> dict[str, float]:
    return {"judged": 0.5, "synthetic": 0.2, "replay": 0.3}


@dataclass(frozen=True, kw_only=True)
class ImproveConfig(LoopConfig):
    """Settings of the whole; the loop's are those of the reader's tuning. Decisions are argued in docs/improve.md."""

    judgements: bool = True  # learn from what people judged; false: from questions made of the documents alone
    synthetic: bool = True  # make questions from the documents
    retriever: bool = True  # tune the query side
    preferences: bool = True  # learn which words people prefer
    most_passages: int = 3_000  # that questions are made from; whole documents, drawn by the seed
    most_synthetic: int = 1_500  # questions that are learnt from
    dev_one_in: int = 4  # documents of the training side by which weights and thresholds are chosen
    most_dev: int = 160  # rows of each kind for that
    most_measured: int = 300  # rows of each kind that a model is measured on, before and after
    shares: dict[str, float] = field(default_factory=_shares)  # of a step's questions
    epochs: float = 4.0  # visits of each judged row
    synthetic_epochs: float = 0.3  # beside judged rows; without any, each is visited once
    least_steps: int = 40
    most_minutes: float = 50.0  # for all of it; where a short measurement says more, the reader gets fewer steps
    questions_per_step: int = 20
    sources: int = 4  # shown with a question
    withheld: float = 0.2  # share of questions that are shown without the passage that answers
    cropped: float = 0.5  # share of visits that see stretches of the passages only: more questions in the same time
    crop: int = 480  # characters of such a stretch, about
    length: int = 320  # tokens of a question with a passage
    miss_weight: float = 0.3  # of the span loss on a passage that does not answer
    lora_rank: int = 0  # of adapters that learn alone, beside the heads; 0: all weights move
    lora_alpha: float = 32.0
    alphas: tuple[float, ...] = (0.5, 0.75, 1.0)  # parts of the way from the base that are tried on the dev rows
    steps: int = 0  # of the reader; 0: as many as the epochs ask for
    peak_learning_rate: float = 4e-5
    weight_decay: float = 0.01
    beta2: float = 0.98
    warmup_share: float = 0.05
    decay_share: float = 0.95
    checkpoint_every: int = 20
    evaluate_every: int = 0  # steps between looks at the dev rows, for their curve; the last step is taken anyway
    log_every: int = 5
    keep: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, dev_one_in=(2, ANY), most_passages=(0, ANY), most_synthetic=(0, ANY), epochs=(0, ANY))
        within(
            self,
            sources=(1, 8),
            withheld=(0, 1),
            cropped=(0, 1),
            crop=(80, ANY),
            questions_per_step=(2, ANY),
            most_minutes=(0.1, ANY),
        )
        unknown = sorted(set(self.shares) - set(KINDS))
        if unknown or any(share < 0 for share in self.shares.values()) or not any(self.shares.values()):
            raise RecipeError(f"[improve] shares are {self.shares}; give some of {', '.join(KINDS)} a share above 0")


def quota(shares: Mapping[str, float], have: Mapping[str, int], questions: int) -> dict[str, int]:
    """How many of a step's questions come from each kind that has rows; the shares of those that have none go to all.

    >>> quota({"judged": 0.4, "synthetic": 0.3, "replay": 0.3}, {"judged": 9, "synthetic": 0, "replay": 50}, 7)
    {'judged': 4, 'replay': 3}
    """
    there = {kind: share for kind, share in shares.items() if share and have.get(kind)}
    total = sum(there.values())
    counts = {kind: max(1, round(questions * share / total)) for kind, share in there.items()}
    if counts:
        most = max(counts, key=lambda kind: counts[kind])
        counts[most] = max(1, counts[most] + questions - sum(counts.values()))
    return counts
