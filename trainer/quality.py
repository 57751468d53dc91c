"""Is a text worth learning from? Rules on its words, lines and repetitions, and the masking of personal data.

Takes   one normalised text.
Gives   the name of the first rule it breaks, or None. The corpus compares documents by the hashes of `Words`.
Source  word, symbol, stop-word and repetition rules with their limits: Gopher, Rae et al., arXiv:2112.11446, A.1.1
        and table A1. Line rules and the replacement of addresses: FineWeb, Penedo et al., arXiv:2406.17557, appendix E.
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
BLANKS = re.compile(r"[ \t]+(?=\n)|[ \t]+$")
GAPS = re.compile(r"\n{3,}")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}\b")
PHONE = re.compile(
    r"(?<![\w.+/-])(?:"
    r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?(?:\d{2,4}[ .-]){1,3}\d{2,4}"  # +44 20 7946 0018
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}"  # (212) 555-0187
    r"|\d{3}[.-]\d{3}[.-]\d{4}"  # 212-555-0187
    r")(?![\w-])"
)
Hashes = npt.NDArray[np.uint64]


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
        self.hashes: Hashes = np.array([crc32(word.encode()) for word in self.words], dtype=np.uint64)
        self.lengths = np.array([len(word) for word in self.words], dtype=np.int64)

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
    return GAPS.sub("\n\n", BLANKS.sub("", CONTROL.sub("", text))).strip()


def mask_personal(text: str) -> tuple[str, int]:
    """The text with e-mail addresses and telephone numbers replaced, and how many there were.

    >>> mask_personal("Ask ann.lee@corp.com or +44 20 7946 0018.")
    ('Ask name@example.org or 555-0100.', 2)
    """
    text, mails = EMAIL.subn("name@example.org", text)
    text, phones = PHONE.subn("555-0100", text)
    return text, mails + phones


def broken_rule(text: str, words: Words, limits: QualityConfig) -> str | None:
    """The first rule that the text breaks."""
    return word_rule(text, words, limits) or line_rule(text, limits) or repetition_rule(words)


def word_rule(text: str, words: Words, limits: QualityConfig) -> str | None:
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
    if len(STOP_WORDS.intersection(words.words)) < limits.least_stop_words:
        return "no English sentences"
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
    for size, limit in TOP_GRAM.items():
        grams = words.grams(size)
        _, first, times = np.unique(grams, return_index=True, return_counts=True)
        top = int(times.argmax())
        at = int(first[top])
        if times[top] > 1 and int(times[top]) * int(words.lengths[at : at + size].sum()) / total > limit:
            return "one phrase again and again"
    for size, limit in REPEATED_GRAM.items():
        grams = words.grams(size)
        if not len(grams):
            break
        _, first = np.unique(grams, return_index=True)
        again = np.ones(len(grams), dtype=bool)
        again[first] = False  # an n-gram's first appearance is no repetition
        covered = np.zeros(len(words.lengths) + 1, dtype=np.int64)
        np.add.at(covered, np.flatnonzero(again), 1)
        np.add.at(covered, np.flatnonzero(again) + size, -1)
        if int(words.lengths[covered.cumsum()[:-1] > 0].sum()) / total > limit:
            return "repeated phrases"
    return None
