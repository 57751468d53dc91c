"""What kind of text is it? Length, ease of reading, age: bands by which the report says what a corpus over-represents.

Takes   one normalised text and its words.
Gives   one band for each trait.
Source  ease of reading: Flesch, "A new readability yardstick", 1948; syllables are counted as groups of vowels,
        which is rough for a word and good enough for a page. Age: the latest year that the text names, a rough guess.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from trainer.cleaning.quality import Words

PREFIX = 2500  # characters looked at for ease of reading
SYLLABLE = re.compile(r"[aeiouyäöüéèà]+")
SENTENCE_END = re.compile(r"[.!?:;](?=\s|$)|\n\n")
YEAR = re.compile(r"(?<![\d.,-])(?:1[5-9]\d\d|20[0-4]\d)(?![\d,]|\.\d)")
LENGTHS = (50, 100, 250, 500, 1000, 2500, 10_000)
EASE = (0, 30, 50, 60, 70, 80)
EASE_NAMES = ("below 0: lists, code", "0-30 very hard", "30-50 hard", "50-60 fairly hard", "60-70 plain", "70-80 easy",
              "80 and more: very easy")  # fmt: skip


def traits(text: str, words: Words) -> dict[str, str]:
    """The band of each trait."""
    return {"length in words": length_band(len(words.words)), "ease of reading": ease_band(text), "age": age_band(text)}


def length_band(count: int) -> str:
    """Names the band that a number of words falls in.

    >>> length_band(99), length_band(20_000)
    ('50-100', '10000 and more')
    """
    at = bisect_right(LENGTHS, count)
    if at == 0:
        return f"below {LENGTHS[0]}"
    return f"{LENGTHS[at - 1]}-{LENGTHS[at]}" if at < len(LENGTHS) else f"{LENGTHS[-1]} and more"


def ease_band(text: str) -> str:
    """Flesch's reading ease of the beginning."""
    start = text[:PREFIX].lower()
    count = max(len(start.split()), 1)
    sentences = max(len(SENTENCE_END.findall(start)), 1)
    ease = 206.835 - 1.015 * count / sentences - 84.6 * len(SYLLABLE.findall(start)) / count
    return EASE_NAMES[bisect_right(EASE, ease)]


def age_band(text: str) -> str:
    """The latest year that the text names.

    >>> age_band("Opened in 1987 and closed in 2003.")
    '2000-2009'
    """
    years = YEAR.findall(text[:10_000])
    if not years:
        return "no year"
    year = int(max(years))
    return f"{year // 10 * 10}-{year // 10 * 10 + 9}" if year >= 1900 else "before 1900"
