"""Which texts does the embedder confuse with a question? Near misses as retrieval will put them beside the answer.

Takes   texts and the folder of a BERT encoder, the package of the product's embedder when none is given.
Gives   unit vectors [texts, width] by mean pooling, as the product embeds, and the nearest of them to a question.
Source  Reimers & Gurevych, arXiv:1908.10084; hard negatives from the retriever: Karpukhin et al., arXiv:2004.04906.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.encoder import Encoder

BATCH_TOKENS = 4096  # of a batch of like length
Vectors = npt.NDArray[np.float32]


def embed(texts: Sequence[str], encoder: Encoder, *, length: int = 128, bf16: bool = True) -> Vectors:
    """Unit vectors [texts, width]; of longer texts the first `length` tokens count, which is enough to find doubles."""
    ids = [cut(encoding.ids, length) for encoding in encoder.tokenizer.encode_batch(list(texts))]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    vectors = np.zeros((len(ids), encoder.config.width), dtype=np.float32)
    began = shown = time.monotonic()
    done = 0
    while done < len(order):
        longest = len(ids[order[min(done + 255, len(order) - 1)]])
        part = order[done : done + max(1, min(256, BATCH_TOKENS // longest))]
        vectors[part] = pooled(encoder, [ids[i] for i in part], bf16=bf16).numpy()
        done += len(part)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            rate = done / (shown - began)
            sys.stderr.write(
                f"embedding {done:,}/{len(order):,}  {rate:.0f}/s, {(len(order) - done) / rate:.0f} s left\n"
            )
    return vectors


def cut(ids: list[int], length: int) -> list[int]:
    """The first tokens of a text that is too long, and the mark of its end.

    >>> cut([101, 7, 8, 9, 102], 4), cut([101, 7, 102], 4)
    ([101, 7, 8, 102], [101, 7, 102])
    """
    return ids if len(ids) <= length else ids[: length - 1] + ids[-1:]


def pooled(encoder: Encoder, batch: Sequence[Sequence[int]], *, bf16: bool) -> Tensor:
    """Unit vectors [batch, width] of token ids."""
    time_ = max(map(len, batch))
    ids = torch.zeros(len(batch), time_, dtype=torch.long)
    mask = torch.zeros(len(batch), time_, dtype=torch.long)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        states = encoder(ids, mask).float()  # [batch, time, width]
    summed = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # [batch, width]
    return torch.nn.functional.normalize(summed, dim=-1)


def nearest(vectors: Vectors, questions: Vectors, k: int) -> npt.NDArray[np.int64]:
    """Indices of the k nearest texts to each question, best first: [questions, k]."""
    k = min(k, len(vectors))
    found = np.empty((len(questions), k), dtype=np.int64)
    for at in range(0, len(questions), 256):
        scores = questions[at : at + 256] @ vectors.T  # [256, texts]
        part = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rank = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1)
        found[at : at + 256] = np.take_along_axis(part, rank, axis=1)
    return found
