"""Is a text worth learning from? Rules on its words, lines and repetitions.

Takes   one normalised text.
Gives   the name of the first rule it breaks, or None. The corpus compares documents by the hashes of `Words`.
Source  word, symbol, stop-word and repetition rules with their limits: Gopher, Rae et al., arXiv:2112.11446, A.1.1
        and table A1. Line rules: FineWeb, Penedo et al., arXiv:2406.17557, appendix E.
Changed for handbooks and manuals, which are shorter and hold more lists than web pages: 30 words suffice (Gopher: 50),
        lists may fill a page when they hold sentences, and a page of short lines is dropped only if no line ends one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

WORD = re.compile(r"[^\W_]+")
STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))  # Gopher's eight
TOP_GRAM = {2: 0.20, 3: 0.18, 4: 0.16}  # share of characters in the commonest n-gram
REPEATED_GRAM = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}  # share of characters in n-grams seen before
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b\u2060\ufeff]")
GAPS = re.compile(r"\n{3,}")
Hashes = npt.NDArray[np.uint64]


class WordHashes(dict[str, int]):
    """CRC-32 of words; each is computed once while it is remembered."""

    def __missing__(self, word: str) -> int:
        value = self[word] = crc32(word.encode("utf-8", "replace"))
        return value


HASH = WordHashes()
MOST_HASHES = 300_000  # words remembered, about 40 MB


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Limits; a text outside one of them is dropped."""

    least_words: int = 30
    most_words: int = 100_000
    least_word_length: float = 3.0  # mean characters
    most_word_length: float = 10.0
    most_symbols: float = 0.1  # '#' and ellipses for each word
    least_alphabetic: float = 0.8  # share of words with a letter
    least_stop_words: int = 2
    most_bullets: float = 0.9  # share of lines that begin with one
    most_ellipses: float = 0.3  # share of lines that end with one
    most_repeated_lines: float = 0.3  # share of lines seen before
    least_sentence_lines: float = 0.12  # share of lines that end a sentence, asked of pages of short lines
    most_short_lines: float = 0.67  # share of lines under 30 characters


class Words:
    """The words of a text as hashes: runs of words are compared as numbers."""

    def __init__(self, text: str) -> None:
        self.words = WORD.findall(text.lower())
        count = len(self.words)
        self.hashes: Hashes = np.fromiter(map(HASH.__getitem__, self.words), dtype=np.uint64, count=count)
        self.lengths = np.fromiter(map(len, self.words), dtype=np.int64, count=count)
        if len(HASH) > MOST_HASHES:
            HASH.clear()

    def grams(self, size: int) -> Hashes:
        """One hash for each run of `size` words."""
        count = len(self.hashes) - size + 1
        if count < 1:
            return np.empty(0, dtype=np.uint64)
        total = np.zeros(count, dtype=np.uint64)
        for offset in range(size):  # arithmetic wraps at 64 bits, as a rolling hash wants it
            total = total * np.uint64(0x9E3779B97F4A7C15) + self.hashes[offset : offset + count]
        return total ^ (total >> np.uint64(29))


def normalise(text: str) -> str:
    """One form for the same text: composed characters, plain line ends, no control characters, no trailing blanks."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = "\n".join(line.rstrip(" \t") for line in CONTROL.sub("", text).split("\n"))
    return GAPS.sub("\n\n", text).strip()


def broken_rule(
    text: str, words: Words, limits: QualityConfig, *, stop_words: frozenset[str] = STOP_WORDS
) -> str | None:
    """The first rule that the text breaks. `stop_words`: of its language; none are asked for where there are none."""
    return word_rule(text, words, limits, stop_words) or line_rule(text, limits) or repetition_rule(words)


def word_rule(text: str, words: Words, limits: QualityConfig, stop_words: frozenset[str]) -> str | None:
    """Rules on words and symbols."""
    count = len(words.words)
    if count < limits.least_words:
        return "too few words"
    if count > limits.most_words:
        return "too many words"
    if not limits.least_word_length <= float(words.lengths.mean()) <= limits.most_word_length:
        return "mean word length"
    if (text.count("#") + text.count("...") + text.count("…")) / count > limits.most_symbols:
        return "symbols"
    if 1 - sum(map(str.isdigit, words.words)) / count < limits.least_alphabetic:
        return "words without letters"
    if stop_words and len(stop_words.intersection(words.words)) < limits.least_stop_words:
        return "no sentences"
    return None


def line_rule(text: str, limits: QualityConfig) -> str | None:
    """Rules on lines."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    count = len(lines)
    sentences = sum(line.endswith((".", "!", "?", '"', "”", ":", ";")) for line in lines) / count
    if sentences < limits.least_sentence_lines:
        if sum(line.startswith(("-", "*", "•", "+")) for line in lines) / count > limits.most_bullets:
            return "only a list"
        if sum(len(line) < 30 for line in lines) / count > limits.most_short_lines:
            return "short lines"
    if sum(line.endswith(("...", "…")) for line in lines) / count > limits.most_ellipses:
        return "cut-off lines"
    repeated = sum(times - 1 for times in Counter(lines).values()) / count
    return "repeated lines" if repeated > limits.most_repeated_lines else None


def repetition_rule(words: Words) -> str | None:
    """Rules on runs of words: one that fills the text, or many that come again."""
    total = int(words.lengths.sum())
    if any(top_gram_share(words, size, total, limit) > limit for size, limit in TOP_GRAM.items()):
        return "one phrase again and again"
    for size, limit in REPEATED_GRAM.items():
        share = repeated_share(words, size) / total
        if share > limit:
            return "repeated phrases"
        if share <= min(REPEATED_GRAM.values()):
            return None  # what longer runs cover, shorter ones cover too
    return None


def top_gram_share(words: Words, size: int, total: int, limit: float) -> float:
    """Share of characters in the commonest n-gram; a bound instead of it where the bound is within the limit."""
    grams = words.grams(size)
    if not len(grams):
        return 0.0
    ends = np.concatenate([[0], words.lengths.cumsum()])
    most = int(np.bincount((grams >> np.uint64(52)).astype(np.int64)).max())  # of 4096 groups of n-grams
    bound = most * int((ends[size:] - ends[:-size]).max()) / total
    if bound <= limit:
        return bound
    _, first, times = np.unique(grams, return_index=True, return_counts=True)
    top = int(times.argmax())
    at = int(first[top])
    return int(times[top]) * int(words.lengths[at : at + size].sum()) / total if times[top] > 1 else 0.0


def repeated_share(words: Words, size: int) -> int:
    """Characters in n-grams that were seen before."""
    grams = words.grams(size)
    _, first = np.unique(grams, return_index=True)
    if len(first) == len(grams):
        return 0
    again = np.ones(len(grams), dtype=bool)
    again[first] = False  # an n-gram's first appearance is no repetition
    covered = np.zeros(len(words.lengths) + 1, dtype=np.int64)
    np.add.at(covered, np.flatnonzero(again), 1)
    np.add.at(covered, np.flatnonzero(again) + size, -1)
    return int(words.lengths[covered.cumsum()[:-1] > 0].sum())
