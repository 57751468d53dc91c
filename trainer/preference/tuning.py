"""Learn from thumbs and choices: KTO for single thumbs and DPO for pairs, in one run over a policy and its reference.

    preferences ─► acts ─► batches of questions ─► look(model), look(reference) ─► kto + dpo + beyond ─► loop.train
                                     rows to replay ─► reading losses ───────────────────┘

Takes   a model, preferences, a folder for checkpoints; held-out preferences and rows to replay where there are some.
Gives   the model with new weights and a `Tuned`. Stopped and run again with the same arguments, it goes on, and ends
        with the bits of a run that nobody stopped.
Bound   where the KL to the reference passes `most_kl` nats on a question, its preference teaches no more: the KL itself
        is pulled back until it is below.
Refuses preferences of which none can be learnt from; checkpoints that were made with others.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from trainer import checkpoint, loop
from trainer.encoder_reader import EncoderReader
from trainer.errors import ANY, DataError, within
from trainer.loop import Batch
from trainer.order import LikeLengths
from trainer.preference import measures
from trainer.preference.dpo import dpo_loss
from trainer.preference.kto import class_weights, kto_loss
from trainer.preference.opened import digest, quiet
from trainer.preference.pairs import Preference, asked
from trainer.preference.policy import Policy, Reference, fingerprint
from trainer.preference.span_policy import SpanPolicy
from trainer.reader import PairBatches, ReaderConfig, reading_losses
from trainer.rows import ReadingRow


@dataclass(frozen=True, kw_only=True)
class PreferenceConfig(loop.LoopConfig):
    """Settings of learning from preferences; the loop's own belong to them."""

    steps: int = 0  # 0: as many as `epochs` need
    epochs: float = 3.0  # over the preferences, where steps is 0
    questions_per_step: int = 8
    beta: float = 0.5  # how soon a gain over the reference is enough: an act is a few nats, not a long text's hundreds
    most_kl: float = 1.0  # nats of a question that the model may move away from its reference before it is pulled back
    most_weight: float = 10.0  # of a thumb of the rarer kind
    sources: int = 4  # read per question: those in which one of the texts stands, then others
    length: int = 384  # tokens of a pair of question and source, as when serving
    replayed: int = 4  # questions replayed a step, where there are rows for it
    replay_weight: float = 1.0  # of their losses
    peak_learning_rate: float = 1e-5
    weight_decay: float = 0.0  # the reference, not zero, is where weights should stay
    warmup_share: float = 0.1
    checkpoint_every: int = 50
    log_every: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, steps=(0, ANY), epochs=(0.01, ANY), questions_per_step=(1, ANY), beta=(1e-6, ANY))
        within(self, most_kl=(0, ANY), most_weight=(1, ANY), sources=(1, 8), length=(16, ANY))
        within(self, replayed=(0, ANY), replay_weight=(0, ANY))


class Tuned(NamedTuple):
    """What came of it."""

    checkpoint: Path  # of the last step
    done: bool  # False: `minutes` are over, and there is more to learn
    figures: dict[str, Any]  # used, left out by reason, and what `measures` says of both sides


class Taught(NamedTuple):
    """A preference that a policy can learn from."""

    encoded: Any
    kind: str  # "pair", "up" or "down"
    id: str


def tune(
    reader: EncoderReader,
    preferences: Sequence[Preference],
    config: PreferenceConfig,
    *,
    folder: Path,
    held: Sequence[Preference] = (),
    replay: Sequence[ReadingRow] = (),
    each: Callable[[int, int, float], bool] | None = None,
) -> Tuned:
    """Teach an encoder reader what people prefer; it is left on the CPU with the new weights. Run again, it goes on.

    each: told step, steps and loss after every step; where it says True the run saves and pauses.
    """
    quiet(reader)
    again = None
    if replay and config.replayed:
        count = min(config.replayed, len(replay))
        plan = ReaderConfig(questions_per_step=count, length=config.length, seed=config.seed)
        again = PairBatches(replay, reader.encoder, plan)
    policy = SpanPolicy(reader.encoder, config.length)
    return learn(reader, policy, preferences, config, folder=folder, held=held, again=again, each=each)


def learn(
    model: nn.Module,
    policy: Policy,
    preferences: Sequence[Preference],
    config: PreferenceConfig,
    *,
    folder: Path,
    held: Sequence[Preference] = (),
    again: PairBatches | None = None,
    each: Callable[[int, int, float], bool] | None = None,
) -> Tuned:
    """The same for any model with a policy."""
    taught, out = usable(preferences, policy, config.sources)
    if not taught:
        raise DataError(
            f"none of {len(preferences)} preferences can be learnt from ({dict(out) or 'there are none'}); "
            "accept judgements with words of the documents and export the bundle again"
        )
    size = min(config.questions_per_step, len(taught))
    config = replace(config, steps=config.steps or math.ceil(config.epochs * len(taught) / size))
    reference = Reference(copy.deepcopy(model))
    kept, _ = usable(held, policy, config.sources)
    sides = {"learnt": taught, "held": kept}
    before = {name: measures.measure(policy, model, reference, side) for name, side in sides.items() if side}
    names = ("questions_per_step", "beta", "most_kl", "most_weight", "sources", "length", "replayed", "seed")
    identity = {
        "reference": fingerprint(model),
        "preferences": digest([asdict(preference) for preference in preferences]),
        "replay": digest([asdict(row) for row in again.rows]) if again else None,
        "batches": {name: getattr(config, name) for name in names},
    }
    last = loop.train(
        model,
        Batches(taught, policy, config, again),
        Preferring(policy, reference, config),
        config,
        folder=folder,
        identity=identity,
        weights={"span": config.replay_weight, "rank": config.replay_weight},
        each=None if each is None else lambda step, loss: each(step, config.steps, loss),
    )
    model.cpu()
    after = {name: measures.measure(policy, model, reference, side) for name, side in sides.items() if side}
    figures = {
        "used": dict(Counter(each.kind for each in taught)),
        "left_out": dict(out),
        **{name: {"before": before[name], "after": after[name]} for name in before},
    }
    return Tuned(last, checkpoint.read_state(last)["step"] >= config.steps, figures)


def usable(preferences: Sequence[Preference], policy: Policy, sources: int) -> tuple[list[Taught], Counter[str]]:
    """What a policy can learn from, and how many were left out for which reason."""
    found: list[Taught] = []
    out: Counter[str] = Counter()
    for preference in preferences:
        encoded = policy.encode(asked(preference, most=sources))
        if isinstance(encoded, str):
            out[encoded] += 1
            continue
        both = preference.chosen is not None and preference.rejected is not None
        kind = "pair" if both else "up" if preference.chosen is not None else "down"
        found.append(Taught(encoded, kind, preference.id))
    return found, out


class Batches:
    """Preferences as batches; which ones follows from the step's number alone."""

    def __init__(
        self, taught: Sequence[Taught], policy: Policy, config: PreferenceConfig, again: PairBatches | None
    ) -> None:
        self.taught, self.policy, self.again = taught, policy, again
        size = min(config.questions_per_step, len(taught))
        lengths = [sum(len(text) for _, text in each.encoded.asked.sources) for each in taught]
        self.order = LikeLengths(len(taught), lambda _: lengths, size=size, seed=config.seed)
        thumbs = [number for number, each in enumerate(taught) if each.kind != "pair"]
        good = [taught[number].kind == "up" for number in thumbs]
        self.weights = dict(zip(thumbs, class_weights(good, most=config.most_weight), strict=True))

    def step(self, number: int) -> Sequence[Batch]:
        """A batch of preferences, and one to replay where there are rows."""
        chosen = self.order.batch(number)
        batches = [self.batch(chosen)]
        return [*batches, *(b._replace(kind="replay") for b in self.again.step(number))] if self.again else batches

    def batch(self, chosen: Sequence[int]) -> Batch:
        """thumb, better, worse are numbers of acts; good and weight belong to the thumbs."""
        taught = [self.taught[number] for number in chosen]
        arrays, tokens = self.policy.collate([each.encoded for each in taught])
        starts = np.cumsum([0, *(len(each.encoded.asked.acts) for each in taught)])[:-1]
        pairs = [start for start, each in zip(starts, taught, strict=True) if each.kind == "pair"]
        thumbs = [start for start, each in zip(starts, taught, strict=True) if each.kind != "pair"]
        good = [each.kind == "up" for each in taught if each.kind != "pair"]
        weight = [self.weights[number] for number in chosen if number in self.weights]
        arrays |= {
            "thumb": np.array(thumbs, dtype=np.int64),
            "good": np.array(good, dtype=bool),
            "weight": np.array(weight, dtype=np.float32),
            "better": np.array(pairs, dtype=np.int64),
            "worse": np.array(pairs, dtype=np.int64) + 1,
        }
        counts = {"kto": float(len(thumbs)), "dpo": float(len(pairs)), "beyond": float(len(taught))}
        return Batch(arrays, counts, tokens, kind="preferred")


@dataclass(frozen=True)
class Preferring:
    """The losses of a batch: sums by term."""

    policy: Policy
    reference: Reference
    config: PreferenceConfig

    def __call__(self, model: Any, arrays: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
        """kto over thumbs, dpo over pairs, beyond: nats of KL above the bound; span and rank of what is replayed."""
        if kind == "replay":
            return reading_losses(model, arrays)
        seen = self.policy.look(model, arrays)
        found = self.policy.compare(seen, self.reference.look(self.policy, arrays), arrays)
        beyond = (found.divergence - self.config.most_kl).relu()  # [questions]
        near = (beyond == 0).float()[
            arrays["asks"]
        ]  # [acts] a question beyond the bound teaches nothing but to come back
        terms = {"beyond": beyond.sum()}
        if len(arrays["thumb"]):
            at, good = arrays["thumb"], arrays["good"]
            weight = arrays["weight"] * near[at]
            terms["kto"] = kto_loss(found.gain[at], good, point=found.point, weight=weight, beta=self.config.beta)
        if len(arrays["better"]):
            better, worse = found.gain[arrays["better"]], found.gain[arrays["worse"]]
            terms["dpo"] = dpo_loss(better, worse, weight=near[arrays["better"]], beta=self.config.beta)
        return terms
