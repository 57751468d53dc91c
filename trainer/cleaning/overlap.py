"""What is used for measuring must not be learnt: runs of 13 words that a text shares with evaluation files.

Takes   the evaluation files (question sets, retrieval sets, everything under documents/).
Gives   sorted hashes of all their runs of 13 words, and whether a text shares one of them.
Source  13 words in a row: Brown et al., arXiv:2005.14165, appendix C.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from trainer.cleaning import plain
from trainer.cleaning.quality import Hashes, Words, normalise

EVALUATION = ("qa/eval/*", "retrieval/*/*", "documents/**/*")  # what must not be learnt, below the data folder
OVERLAP = 13  # words in a row
TABLE_BITS = 25  # of a hash, looked up first: 33 MB
SHIFT = np.uint64(64 - TABLE_BITS)


class Forbidden:
    """Sorted hashes, behind a table that tells most strangers at one glance."""

    def __init__(self, hashes: Hashes) -> None:
        self.hashes = hashes
        self.table = np.zeros(1 << TABLE_BITS, dtype=bool)
        self.table[(hashes >> SHIFT).astype(np.int64)] = True

    def __len__(self) -> int:
        return len(self.hashes)

    def shares(self, grams: Hashes) -> bool:
        """Whether any of the hashes is among the forbidden ones."""
        if not len(self.hashes):
            return False
        grams = grams[self.table[(grams >> SHIFT).astype(np.int64)]]
        at = np.minimum(np.searchsorted(self.hashes, grams), len(self.hashes) - 1)
        return bool((self.hashes[at] == grams).any())


def overlap_grams(data: Path, patterns: tuple[str, ...]) -> tuple[Hashes, dict[str, int]]:
    """Sorted hashes of every run of 13 words in the evaluation files, and how many files of each kind were not read.

    The texts are normalised as those that they are compared with: a soft hyphen would cut a word in two.
    """
    parts: list[Hashes] = []
    unread: Counter[str] = Counter()
    paths = sorted({p for pattern in patterns for p in data.glob(pattern) if p.is_file()})
    if paths:
        sys.stderr.write(f"evaluation  reading {len(paths):,} files first: what shares 13 words with one is left out\n")
    for path in paths:
        text = plain.text_of(path)
        if text is None:
            unread[path.suffix.lower() or "no suffix"] += 1
        elif ".jsonl" in path.suffixes:
            rows = [json.loads(line) for line in text.split("\n") if line]
            parts += [grams_of(value) for value in plain.strings(rows)]
        else:
            parts.append(grams_of(text))
    if unread:
        sys.stderr.write(
            f"evaluation  {unread.total()} files could not be read ({', '.join(sorted(unread))}): what shares their "
            "words stays. PDF needs pypdfium2\n"
        )
    return (np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.uint64)), dict(unread)


def grams_of(text: str) -> Hashes:
    """Hashes of the runs of words of one text."""
    return Words(normalise(text)).grams(OVERLAP)
