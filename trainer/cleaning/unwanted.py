"""Spam and unsafe text is scored, and dropped above a limit: rules for spam, a small linear classifier for unsafe text.

Takes   one normalised text and its `Words`.
Gives   a spam score (selling phrases and shouting for each 100 words) and an unsafe score between 0 and 1,
        of the whole text or of the window of 200 words which is worst, so that a paragraph counts in a long page.
Weights `unsafe.safetensors` beside this file, made by `trainer filter` (unwanted_training.py), which writes
        licence, sources and held-out accuracy into the file's header; docs/experiments.md says what it mistakes.
Refuses weights that are not there or have another number of buckets.
Source  hashed words and pairs of words under a linear model: Joulin et al., "Bag of tricks for efficient text
        classification", arXiv:1607.01759.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.cleaning.quality import Hashes, Words
from trainer.errors import DataError

WEIGHTS = Path(__file__).with_name("unsafe.safetensors")
BUCKETS = 1 << 15
WINDOW = 200  # words
STEP = 100
LEAST_WORDS = 30  # fewer prove little
MARGIN = 1.7  # in the logit: of the many windows of a novel one is always the worst
SELLING = (  # phrases of one to three words, without punctuation
    "buy now, order now, call now, act now, apply now, subscribe now, limited time offer, while stocks last, "
    "while supplies last, back guarantee, 100 free, 100 guaranteed, 100 satisfaction, 100 legit, risk free, no "
    "obligation, no credit check, payday loan, payday loans, cash bonus, make money online, make money fast, "
    "extra cash, earn extra, double your money, double your income, double your bitcoin, free gift, free iphone, "
    "gift card, free trial offer, online casino, live casino, casino bonus, slot machines, free spins, sports "
    "betting, viagra, cialis, levitra, online pharmacy, weight loss, loss pills, diet pills, miracle cure, lowest "
    "price, lowest prices, best price, best prices, cheap flights, cheap pills, cheap watches, cheap jerseys, "
    "replica watches, replica handbags, discount code, discount codes, promo code, promo codes, coupon code, "
    "coupon codes, free shipping, special promotion, hot singles, claim your prize, claim your reward, collect "
    "your prize, you have won, been selected, congratulations you, winning ticket, buy followers, buy backlinks, "
    "buy likes, cheap backlinks, seo services, seo expert, forex signals, binary options, get rich, dear friend, "
    "dear beneficiary, escort service, escort services, adult webcam, adult dating, xxx, porn, porno, pornhub, "
    "click here to, order here, shop now, visit our website"
)
LEAST_PHRASES = 3  # different ones


def phrase_hashes() -> dict[int, Hashes]:
    """Words in a phrase -> sorted hashes of the phrases of that many words."""
    found: dict[int, list[int]] = {1: [], 2: [], 3: []}
    for phrase in SELLING.split(", "):
        words = Words(phrase)
        found[len(words.words)].append(int(words.grams(len(words.words))[0]))
    return {size: np.array(sorted(hashes), dtype=np.uint64) for size, hashes in found.items()}


PHRASES = phrase_hashes()


class Scores(NamedTuple):
    """How unwanted a text is."""

    spam: float  # hits for each 100 words
    unsafe: float  # 0 to 1


def score(text: str, words: Words) -> Scores:
    """Both scores of a text."""
    return Scores(spam_score(text, words), unsafe_score(words))


def spam_score(text: str, words: Words) -> float:
    """Hits for each 100 words: selling phrases weigh one each, shouting half of one. Two phrases are no spam yet.

    >>> text = "Act now! Lowest prices! Free shipping while stocks last. Buy now!"
    >>> spam_score(text, Words(text)) > 20
    True
    """
    hits, different = 0, 0
    for size, phrases in PHRASES.items():
        grams = words.grams(size)
        at = np.minimum(np.searchsorted(phrases, grams), len(phrases) - 1)
        found = at[phrases[at] == grams]
        hits += len(found)
        different += len(np.unique(found))
    if different < LEAST_PHRASES:
        return 0.0
    return 100 * (hits + text.count("!") / 2) / len(words.words)


def unsafe_score(words: Words) -> float:
    """The classifier's probability for the whole text, or for its worst window less a margin if that is more."""
    weights, bias = opened()
    values = word_values(words, weights)
    if not len(values):
        return 0.0
    sums = np.concatenate([[0.0], np.cumsum(values)])
    starts = np.arange(0, max(len(values) - STEP, 1), STEP)
    ends = np.minimum(starts + WINDOW, len(values))
    means = (sums[ends] - sums[starts]) / np.maximum(ends - starts, LEAST_WORDS)
    whole = sums[-1] / max(len(values), LEAST_WORDS)
    worst = means.max() - MARGIN if len(means) > 1 else whole
    return float(1 / (1 + np.exp(-(max(whole, worst) + bias))))


def word_values(words: Words, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """For each word the weight of itself and of its pair with the next one."""
    values = weights[buckets(words.hashes)]
    if len(values) > 1:
        values[:-1] += weights[buckets(words.grams(2))]
    return values


def buckets(hashes: Hashes) -> npt.NDArray[np.int64]:
    """Numbers below BUCKETS."""
    spread = (hashes * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - 15)
    return spread.astype(np.int64)


@lru_cache(maxsize=1)
def opened() -> tuple[npt.NDArray[np.float32], float]:
    """Weights [BUCKETS] and bias. Raises DataError where the file is missing or another program's."""
    from safetensors.numpy import load_file

    if not WEIGHTS.is_file():
        raise DataError(f"{WEIGHTS} is missing; install the package again or make it with `trainer filter`")
    tensors = load_file(WEIGHTS)
    if set(tensors) != {"weights", "bias"} or tensors["weights"].shape != (BUCKETS,):
        raise DataError(f"{WEIGHTS} does not hold {BUCKETS} weights and a bias; make it again with `trainer filter`")
    return tensors["weights"].astype(np.float32), float(tensors["bias"][0])
