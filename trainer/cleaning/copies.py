"""Copies and near copies: the first of them stays.

Takes   for each document 64 bits of its digest and the 14 bands of its MinHash.
Gives   why it is a copy, or nothing; a new one is remembered.
Memory  eight bytes for each of the 15 numbers of a kept document: 120 MB for a million documents; sets would take 1 GB.
How     sorted arrays, merged two by two as they grow to one size, and a small set of the youngest numbers.
Source  near copies: MinHash, Broder 1997, 14 bands of 8 over runs of 5 words, and the rule that one shared band makes a
        copy: FineWeb, arXiv:2406.17557, E.2. Signatures are computed by rensa (R-MinHash).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.cleaning.quality import Hashes, Words

BANDS, ROWS = 14, 8  # MinHash: copies of similarity .75 share a band with probability .77, of .5 with .05
SHINGLE = 5  # words
YOUNG = 1 << 17  # numbers held in a set before they are sorted


def bands_of(words: Words) -> Hashes:
    """The bands of a text's MinHash, one number each."""
    from rensa import RMinHash

    grams = words.grams(SHINGLE)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(grams, [0, len(grams)], BANDS * ROWS, 7)
    digest = np.array(matrix.to_rows()[0], dtype=np.uint64).reshape(BANDS, ROWS)
    bands = np.arange(1, BANDS + 1, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)  # equal rows, different bands
    for column in range(ROWS):  # arithmetic wraps at 64 bits; the shift carries high bits down
        bands = (bands ^ digest[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        bands ^= bands >> np.uint64(31)
    return bands


class Numbers:
    """A growing set of 64-bit numbers in little memory."""

    def __init__(self) -> None:
        self.sorted: list[Hashes] = []  # each at least twice as long as the next
        self.young: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number in self.young or any(holds(old, number) for old in self.sorted)

    def holds_any(self, numbers: Hashes) -> bool:
        """Whether one of the numbers is in the set."""
        if not self.young.isdisjoint(numbers.tolist()):
            return True
        for old in self.sorted:
            at = np.minimum(np.searchsorted(old, numbers), len(old) - 1)
            if bool((old[at] == numbers).any()):
                return True
        return False

    def update(self, numbers: Sequence[int]) -> None:
        """Add numbers."""
        self.young.update(numbers)
        if len(self.young) < YOUNG:
            return
        self.sorted.append(np.sort(np.fromiter(self.young, dtype=np.uint64, count=len(self.young))))
        self.young = set()
        while len(self.sorted) > 1 and len(self.sorted[-2]) < 2 * len(self.sorted[-1]):
            both = np.concatenate([self.sorted.pop(), self.sorted.pop()])
            both.sort()
            self.sorted.append(both)


def holds(numbers: Hashes, number: int) -> bool:
    """Whether a sorted array holds a number."""
    at = int(np.searchsorted(numbers, np.uint64(number)))
    return at < len(numbers) and int(numbers[at]) == number


class Seen:
    """What was kept so far."""

    def __init__(self) -> None:
        self.digests, self.bands = Numbers(), Numbers()

    def copy_of(self, digest: int, bands: Hashes) -> str:
        """Why a document is a copy, or nothing; a new one is remembered."""
        if digest in self.digests:
            return "exact copy"
        if self.bands.holds_any(bands):
            return "near copy"
        self.digests.update([digest])
        self.bands.update(bands.tolist())
        return ""
