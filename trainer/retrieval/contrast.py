"""Questions against passages: how a batch is put together, and what it loses.

    step n ─► questions of the rows, `general_share` of them from general rows ─► their passages, hard negatives, and
              passages drawn from all others ─► micro-batches of questions of like length

Takes   pairs and a `Side`; for a frozen passage side also the vectors of all passages, made once.
Gives   `Batch`es for `trainer.loop`, a pure function of the step, and the loss: InfoNCE and drift, sums in nats.
Source  InfoNCE: van den Oord et al., arXiv:1807.03748. Passages too like the right one are left out, as by a guide in
        Solatorio, arXiv:2402.16829; here the base's likeness of passage to passage guides.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.nn import functional

from trainer import files, loop
from trainer.retrieval.pairs import Pair
from trainer.retrieval.query_side import Floats, Side

BLOCK = 512  # passages a file: what a stop may cost
PASSAGE = "passage_"  # in front of the names of a passage's features


@dataclass(frozen=True, kw_only=True)
class ContrastConfig(loop.LoopConfig):
    """How a batch is made and what it loses."""

    questions_per_step: int = 64
    questions_at_a_time: int = 16  # of one micro-batch
    drawn: int = 2048  # passages a step drawn from all, beside the questions' own
    negatives: int = 2  # hard negatives of a row that are used
    general_share: float = 0.25  # of a step's questions from the general rows, where there are some
    scale: float = 20.0  # cosines times this are the logits
    too_like: float = 0.95  # cosine to the right passage from which another may answer too, and is left out
    drift: float = 2.0  # weight of the squared distance of a question's vector from the base's


class Passages:
    """Texts, each once, and their vectors by the base."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        texts = dict.fromkeys(text for pair in pairs for text in (pair.passage, *pair.negatives))
        self.row = {text: place for place, text in enumerate(texts)}
        self.texts = list(texts)
        self.vectors: Floats = np.empty((0, 0), dtype=np.float32)
        self.seconds = 0.0  # that embedding took, this time and before a stop

    def embed(self, side: Side, folder: Path, *, bf16: bool) -> None:
        """Embed all, block by block; a block that lies in `folder` from before a stop is read."""
        parts: list[Floats] = []
        began, fresh = time.monotonic(), 0
        for start in range(0, len(self.texts), BLOCK):
            some = self.texts[start : start + BLOCK]
            key = hashlib.sha256("\0".join([side.identity, *some]).encode()).hexdigest()[:16]
            path = folder / f"{key}.safetensors"
            if not path.is_file():
                then = time.monotonic()
                made = {"vectors": side.embed(some, bf16=bf16)}
                fresh += len(some)
                with files.aside(path) as part:
                    save_file({**made, "seconds": np.array([time.monotonic() - then])}, part)
                rate = fresh / (time.monotonic() - began)
                left = (len(self.texts) - start - len(some)) / rate
                sys.stderr.write(
                    f"passages {start + len(some):,}/{len(self.texts):,}  {rate:.0f}/s  {left / 60:.1f} min left\n"
                )
            found = load_file(path)
            parts.append(found["vectors"])
            self.seconds += float(found["seconds"][0])
        self.vectors = np.concatenate(parts)

    def gold(self, pairs: Sequence[Pair]) -> list[int]:
        """Which row answers each question."""
        return [self.row[pair.passage] for pair in pairs]


class QuestionBatches:
    """Micro-batches of questions against frozen passages."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        general: Sequence[Pair],
        passages: Passages,
        *,
        side: Side,
        config: ContrastConfig,
        bf16: bool = False,
    ) -> None:
        self.pairs, self.general, self.passages, self.side, self.config = pairs, general, passages, side, config
        self.first = side.embed([pair.question for pair in (*pairs, *general)], bf16=bf16)  # the base's vectors

    def step(self, number: int) -> list[loop.Batch]:
        """The micro-batches of one step."""
        config, everything = self.config, (*self.pairs, *self.general)
        places = asked(len(self.pairs), len(self.general), number, config)
        places.sort(key=lambda place: len(everything[place].question))
        chance = np.random.default_rng((config.seed, number))
        rows = {int(row) for row in chance.integers(0, len(self.passages.texts), config.drawn)}
        for place in places:
            pair = everything[place]
            rows |= {self.passages.row[text] for text in (pair.passage, *pair.negatives[: config.negatives])}
        ordered = sorted(rows)
        where = {row: at for at, row in enumerate(ordered)}
        candidates = self.passages.vectors[ordered]
        size = config.questions_at_a_time
        parts = [places[start : start + size] for start in range(0, len(places), size)]
        return [self._batch([everything[p] for p in part], self.first[part], candidates, where) for part in parts]

    def _batch(self, pairs: Sequence[Pair], first: Floats, candidates: Floats, where: Mapping[int, int]) -> loop.Batch:
        arrays: dict[str, npt.NDArray[Any]] = {"first": first, "candidates": candidates}
        arrays["target"] = np.array([where[row] for row in self.passages.gold(pairs)], dtype=np.int64)
        if self.side.method == "adapter":
            arrays["vectors"] = first
        else:
            arrays |= arrays_of(self.side, [pair.question for pair in pairs])
        tokens = int(arrays["attention_mask"].sum()) if "attention_mask" in arrays else len(pairs)
        return loop.Batch(arrays, {"rank": len(pairs), "drift": len(pairs)}, tokens)


class TextBatches:
    """Questions and passages that are both computed: for tuning both sides, a whole step at a time."""

    def __init__(
        self, pairs: Sequence[Pair], general: Sequence[Pair], *, side: Side, config: ContrastConfig, bf16: bool = False
    ) -> None:
        self.pairs, self.general, self.side, self.config = pairs, general, side, config
        self.first = side.embed([pair.question for pair in (*pairs, *general)], bf16=bf16)

    def step(self, number: int) -> list[loop.Batch]:
        """One batch: the passages of its questions are each other's negatives, beside the hard ones."""
        config, everything = self.config, (*self.pairs, *self.general)
        places = asked(len(self.pairs), len(self.general), number, config)
        pairs = [everything[place] for place in places]
        texts = dict.fromkeys(pair.passage for pair in pairs)
        texts |= dict.fromkeys(text for pair in pairs for text in pair.negatives[: config.negatives])
        where = {text: at for at, text in enumerate(texts)}
        arrays = arrays_of(self.side, [pair.question for pair in pairs])
        arrays |= {PASSAGE + name: value for name, value in arrays_of(self.side, list(texts)).items()}
        arrays["first"] = self.first[places]
        arrays["target"] = np.array([where[pair.passage] for pair in pairs], dtype=np.int64)
        tokens = sum(int(arrays[front + "attention_mask"].sum()) for front in ("", PASSAGE))
        return [loop.Batch(arrays, {"rank": len(pairs), "drift": len(pairs)}, tokens)]


def asked(own: int, general: int, step: int, config: ContrastConfig) -> list[int]:
    """Places of a step's questions in the own rows followed by the general ones."""
    count = min(config.questions_per_step, own + general)
    borrowed = min(general, round(count * config.general_share))
    places = drawn(own, count - borrowed, step, seed=config.seed)
    return places + [own + place for place in drawn(general, borrowed, step, seed=config.seed)]


def drawn(size: int, count: int, step: int, *, seed: int) -> list[int]:
    """`count` of `size` places for a step: all come once before any comes again, in a new order each time.

    >>> sorted(drawn(6, 3, 0, seed=1) + drawn(6, 3, 1, seed=1))
    [0, 1, 2, 3, 4, 5]
    """
    places: list[int] = []
    at = step * count
    while len(places) < count:
        epoch, begin = divmod(at + len(places), size)
        order = np.random.default_rng((seed, size, epoch)).permutation(size)
        places += order[begin : begin + count - len(places)].tolist()
    return places


def arrays_of(side: Side, texts: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Token ids and masks of texts as arrays."""
    return {name: tensor.numpy() for name, tensor in side.features(texts).items()}


def contrast_losses(
    model: Any,
    arrays: Mapping[str, Tensor],
    kind: str = "",  # noqa: ARG001
    *,
    config: ContrastConfig,
) -> dict[str, Tensor]:
    """Sums over the questions: rank in nats, drift in squared distance."""
    own = {name: value for name, value in arrays.items() if name not in ("first", "candidates", "target")}
    passages = {name.removeprefix(PASSAGE): own.pop(name) for name in list(own) if name.startswith(PASSAGE)}
    questions = model(own)  # [questions, width]
    candidates = model(passages) if passages else arrays["candidates"]  # [candidates, width]
    target = arrays["target"]  # [questions]
    with torch.autocast(questions.device.type, enabled=False):  # cosines times 20 are too coarse in 16 bits
        fixed = candidates.detach()
        like = fixed[target] @ fixed.T > config.too_like  # [questions, candidates]
        like[torch.arange(len(target), device=target.device), target] = False
        scores = (config.scale * questions @ candidates.T).masked_fill(like, -torch.inf)
        return {
            "rank": functional.cross_entropy(scores, target, reduction="sum"),
            "drift": (questions - arrays["first"]).square().sum(),
        }
