"""The filter of unsafe text is learnt: `trainer filter`.

Takes   preferences/harmless_pairs.jsonl.gz (what was asked of an assistant, and the answer people rejected: unsafe) and
        ordinary text: pretrain/*, questions of qa/train, service dialogues, pairs about following instructions.
Gives   `OUT/unsafe.safetensors` (weights in half precision; licence, sources and figures in its header), to be put into
        trainer/cleaning/ by hand once its figures are good, and `OUT/unsafe.json` with the figures.
How     windows of up to 200 words; a fifth of the pairs and of the ordinary documents, chosen by hash, is held out.
        Speakers' names are taken out of dialogues, or the filter would learn to know dialogues.
Source  the pairs: Bai et al., arXiv:2204.05862 (MIT).
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch

from trainer import files, recipe
from trainer.cleaning import plain, sources, unwanted
from trainer.cleaning.quality import Words, normalise
from trainer.errors import DataError

SPEAKER = re.compile(r"(?:^|\n+)(?:Human|Assistant|USER|SYSTEM|User|System): ?")
LICENCES = "weights: Apache-2.0; learnt from pairs under MIT and from ordinary text under the licences of its lines"


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Settings of the filter's training."""

    epochs: int = 6
    learning_rate: float = 0.05
    weight_decay: float = 1e-6
    ordinary: int = 6000  # documents of each ordinary source
    seed: int = 1


def train(plan: recipe.Recipe) -> Path:
    """Learn the weights and measure them on what was held out; returns the weights' file."""
    config = plan.section("filter", FilterConfig)
    unsafe, ordinary = examples(plan.data, config)
    if not unsafe or not ordinary:
        raise DataError(f"{plan.data} holds {len(unsafe)} unsafe and {len(ordinary)} ordinary texts; both are needed")
    shown = [(text, 1) for name, text in unsafe if not held_out(name)]
    shown += [(text, 0) for name, text in ordinary if not held_out(name)]
    weights, bias = fit(shown, config)
    path = plan.out / "unsafe.safetensors"
    write(path, weights, bias, {"licence": LICENCES})
    unwanted.WEIGHTS = path
    unwanted.opened.cache_clear()
    figures = measure([row for row in unsafe if held_out(row[0])], [row for row in ordinary if held_out(row[0])])
    write(path, weights, bias, {"licence": LICENCES, "figures": json.dumps(figures)})
    files.write_json(plan.out / "unsafe.json", figures)
    sys.stderr.write(f"filter  {json.dumps(figures)}\n")
    return path


def held_out(name: str) -> bool:
    """A fifth of all texts, by name."""
    return crc32(name.encode()) % 5 == 0


def examples(data: Path, config: FilterConfig) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Named texts: unsafe ones, ordinary ones. A name begins with its source."""
    unsafe = []
    path = data / "preferences" / "harmless_pairs.jsonl.gz"
    if not path.is_file():
        raise DataError(f"{path} is missing; the filter learns from it")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            text = SPEAKER.sub("\n", json.loads(line)["rejected"])
            unsafe.append((f"pairs/{number}", normalise(text)))
    ordinary = []
    for kind, texts in ordinary_sources(data).items():
        chance = random.Random(config.seed)
        some = (text for text in texts if chance.random() < 0.3)
        ordinary += [(f"{kind}/{i}", normalise(text)) for i, text in enumerate(islice(some, config.ordinary))]
    return unsafe, ordinary


def ordinary_sources(data: Path) -> dict[str, Iterator[str]]:
    """Texts of each ordinary source."""
    found: dict[str, Iterator[str]] = {path.name.split(".")[0]: (raw.text for raw in sources.documents([path]))
             for path in sorted((data / "pretrain").glob("*.jsonl*"))}  # fmt: skip
    for path in sorted((data / "qa" / "train").glob("*.jsonl*")):
        found[path.name.split(".")[0]] = unique_texts(path, ("context", "answer"))
    for path in sorted((data / "dialogue").glob("*.jsonl*")):
        found["dialogue"] = (SPEAKER.sub("\n", "\n".join(plain.strings(row))) for row in sources.objects(path))
    for path in sorted((data / "preferences").glob("instruction*.jsonl")):
        found["instructions"] = ("\n".join(plain.strings(row)) for row in sources.objects(path))
    return found


def unique_texts(path: Path, keys: tuple[str, ...]) -> Iterator[str]:
    """The longer texts of a question file, each once."""
    seen: set[int] = set()
    for row in sources.objects(path):
        text = f"{row.get('question', '')}\n" + "\n".join(str(row[key]) for key in keys if row.get(key))
        mark = crc32(text[-200:].encode())
        if mark not in seen:
            seen.add(mark)
            yield text


def windows(text: str) -> Iterator[npt.NDArray[np.int64]]:
    """Buckets of the words and pairs of each window."""
    words = Words(text)
    if len(words.words) < 20:
        return
    singles, pairs = unwanted.buckets(words.hashes), unwanted.buckets(words.grams(2))
    for start in range(0, max(len(singles) - unwanted.STEP, 1), unwanted.WINDOW):
        end = start + unwanted.WINDOW
        yield np.concatenate([singles[start:end], pairs[start:end]])


def fit(shown: list[tuple[str, int]], config: FilterConfig) -> tuple[npt.NDArray[np.float32], float]:
    """Logistic regression over the mean weight of a window's words and pairs; both classes weigh the same."""
    chance = random.Random(config.seed)
    torch.manual_seed(config.seed)
    bags, labels = [], []
    for text, label in shown:
        some = list(windows(text))
        for bag in some if label else chance.sample(some, min(2, len(some))):
            bags.append(torch.from_numpy(bag))
            labels.append(label)
    truth = torch.tensor(labels, dtype=torch.float32)
    balance = torch.where(truth > 0, len(truth) / (2 * truth.sum()), len(truth) / (2 * (1 - truth).sum()))
    weights = torch.zeros(unwanted.BUCKETS, 1, requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.AdamW([weights, bias], lr=config.learning_rate, weight_decay=config.weight_decay)
    for _ in range(config.epochs):
        order = torch.randperm(len(bags))
        for at in range(0, len(order), 256):
            part = order[at : at + 256].tolist()
            # the same measure as unwanted.unsafe_score: sum over words and pairs, divided by the number of words
            flat = torch.cat([bags[i] for i in part])
            sizes = torch.tensor([len(bags[i]) for i in part])
            starts = torch.cumsum(sizes, 0) - sizes
            sums = torch.nn.functional.embedding_bag(flat, weights, starts, mode="sum")[:, 0]
            logits = sums / torch.clamp(sizes / 2, min=unwanted.LEAST_WORDS) + bias
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth[part], weight=balance[part])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return weights.detach().numpy()[:, 0], float(bias)


def write(path: Path, weights: npt.NDArray[np.float32], bias: float, about: dict[str, str]) -> None:
    """The weights' file."""
    from safetensors.numpy import save

    tensors: dict[str, npt.NDArray[Any]] = {
        "weights": weights.astype(np.float16),
        "bias": np.array([bias], dtype=np.float32),
    }
    with files.aside(path) as part:
        part.write_bytes(save(tensors, metadata=about))


def measure(unsafe: list[tuple[str, str]], ordinary: list[tuple[str, str]]) -> dict[str, Any]:
    """Accuracy at one half, and at stricter limits the share found and the mistakes of each ordinary source."""
    bad = np.array([unwanted.unsafe_score(Words(text)) for _, text in unsafe])
    kinds: dict[str, list[float]] = {}
    for name, text in ordinary:
        kinds.setdefault(name.split("/")[0], []).append(unwanted.unsafe_score(Words(text)))
    good = np.concatenate([np.array(values) for values in kinds.values()])
    limits = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
    return {
        "unsafe": len(bad),
        "ordinary": {kind: len(values) for kind, values in kinds.items()},
        "accuracy": round(float(((bad > 0.5).mean() + (good <= 0.5).mean()) / 2), 4),
        "found": {str(limit): round(float((bad > limit).mean()), 4) for limit in limits},
        "mistaken": {
            str(limit): {kind: round(float((np.array(v) > limit).mean()), 5) for kind, v in kinds.items()}
            for limit in limits
        },
    }


if __name__ == "__main__":
    recipe.main(train)
