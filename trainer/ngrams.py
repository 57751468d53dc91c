"""How familiar is a text? A small table of byte sequences, and the bits it needs for each byte of a text.

    text ─► bytes, blanks joined ─► for each byte the longest stored sequence that ends in it ─► bits

Takes   texts to count (`learn`), or a table that was learnt (`load`); any text, in any language.
Gives   bits for each byte of UTF-8: about 2 for text like that which was counted, 8 and more for what was never seen.
        It depends on no tokenizer. A compressor made for the counted text would need about so much.
Stores  sequences of up to ORDER bytes as a tree: of each one its last byte, its cost, what falling back from it costs
        and how many longer ones begin with it; sorted, so that a tree of 300,000 takes about a megabyte.
Learns  interpolated absolute discounting (Ney, Essen & Kneser, Computer Speech & Language 8, 1994); a sequence is kept
        where dropping it would cost more than `least` bits over the text that was counted, or a longer one needs it
        (after Stolcke, arXiv:cs/0006025, without his correction for the history's probability).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainer.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ORDER = 6  # bytes, the one to be foretold included
DISCOUNT = 0.75
STEP = 16  # stored costs count sixteenths of a bit
LINE_END = 10
BACK = 192  # what is stored for falling back at no cost: the scale goes from -12 to +4 bits
FORMAT = "1"
SHIPPED = Path(__file__).with_name("gap.safetensors")  # made by `trainer gap`

Keys = npt.NDArray[np.uint64]  # sequences as numbers, the last byte lowest
Counts = npt.NDArray[np.int64]
Bits = npt.NDArray[np.float32]

_BLANKS = re.compile(r"\s+")
_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Level:
    """The stored sequences of one length, in rising order."""

    keys: Keys
    cost: npt.NDArray[np.uint8]  # of the last byte after the others, in sixteenths of a bit
    back: npt.NDArray[np.uint8]  # what it costs to fall back where no longer sequence fits


@dataclass(frozen=True, slots=True)
class Table:
    """What was counted, and `about` it: licence, sources, the figures of held-out text."""

    levels: tuple[Level, ...]
    about: Mapping[str, str]

    def bits(self, text: str) -> tuple[float, int]:
        """Bits for the whole text, and its bytes; each byte is foretold from the five before it."""
        found = _bytes(text)
        if not len(found):
            return 0.0, 0
        unique, times = np.unique(_windows(found, ORDER), return_counts=True)
        return float(cost(self.levels, unique) @ times), len(found)

    def save(self, path: Path) -> None:
        """Write the tree as safetensors."""
        from safetensors.numpy import save_file

        tensors: dict[str, npt.NDArray[np.generic]] = {}
        for number, level in enumerate(self.levels, start=1):
            tensors[f"{number}.last"] = (level.keys & np.uint64(255)).astype(np.uint8)
            tensors[f"{number}.cost"], tensors[f"{number}.back"] = level.cost, level.back
            if number > 1:
                parents = self.levels[number - 2].keys
                children = np.diff(np.searchsorted(level.keys >> np.uint64(8), parents, "left"), append=len(level.keys))
                tensors[f"{number}.children"] = children.astype(np.uint16)
        save_file(tensors, path, metadata={**self.about, "format": FORMAT})


def words_of(text: str) -> list[str]:
    """Runs of letters, for tokens a word: markup, numbers and addresses would say more about the file than its words.

    >>> words_of("[Don't](https://a.bc) pay 38 €")
    ["Don't", 'https', 'a', 'bc', 'pay']
    """
    return _WORDS.findall(text)


def vocabulary(words: Tokenizer) -> str:
    """Which vocabulary a tokenizer has: tokens a word of another one are on another scale."""
    pieces = "\n".join(f"{piece} {number}" for piece, number in sorted(words.get_vocab().items()))
    return hashlib.sha256(pieces.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def load(path: Path) -> Table:
    """Read a table. Raises CheckpointError for a file that holds none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: the table of byte sequences cannot be read ({error}). Restore the file"
        ) from error
    if about.get("format") != FORMAT:
        raise CheckpointError(f"{path}: a table of format {about.get('format')!r}; need {FORMAT}. Restore the file")
    levels: list[Level] = []
    for number in range(1, ORDER + 1):
        keys = tensors[f"{number}.last"].astype(np.uint64)
        if levels:
            keys |= np.repeat(levels[-1].keys, tensors[f"{number}.children"]) << np.uint64(8)
        levels.append(Level(keys, tensors[f"{number}.cost"], tensors[f"{number}.back"]))
    return Table(tuple(levels), about)


def cost(levels: tuple[Level, ...], keys: Keys) -> Bits:
    """Bits of the last byte of each sequence of `len(levels)` bytes, after the bytes before it."""
    level = levels[-1]
    at, there = _find(level.keys, keys)
    found = np.asarray(level.cost[at] / STEP, dtype=np.float32)
    if len(levels) == 1:
        return found  # every byte is stored
    rest = keys[~there]
    context, known = _find(levels[-2].keys, rest >> np.uint64(8))
    back = np.where(known, levels[-2].back[context].astype(np.float32) - BACK, 0) / STEP
    found[~there] = cost(levels[:-1], rest & np.uint64((1 << 8 * (len(levels) - 1)) - 1)) - back
    return found


def learn(texts: Iterable[str], about: Mapping[str, str], *, least: float = 40.0, often: int = 3) -> Table:
    """Count the texts. Longer sequences that occur less than `often` times are not looked at."""
    between = np.full(ORDER - 1, LINE_END, dtype=np.uint8)
    counted = np.concatenate([between, *(part for text in texts for part in (_bytes(text), between))])
    grams = [_counted(counted, length, often if length > 3 else 1) for length in range(1, ORDER + 1)]
    exact = [_even(grams[0])]  # bits of every counted sequence's last byte, level by level
    for shorter, longer in pairwise(grams):
        exact.append(_interpolated(exact[-1], shorter, longer))
    kept = _kept(grams, exact, least)
    levels: list[Level] = []
    for (keys, _), bits, chosen in zip(grams, exact, kept, strict=True):
        stored = np.clip(np.rint(bits[chosen] * STEP), 0, 255).astype(np.uint8)
        levels.append(Level(keys[chosen], stored, np.full(chosen.sum(), BACK, dtype=np.uint8)))
        if len(levels) > 1:
            levels[-2] = _with_back(tuple(levels))
    return Table(tuple(levels), about)


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    """Markup differs most in its blanks: each run of them counts as one."""
    return np.frombuffer(_BLANKS.sub(" ", text).strip().encode("utf-8", "replace"), dtype=np.uint8)


def _windows(data: npt.NDArray[np.uint8], length: int) -> Keys:
    """The sequence of `length` bytes that ends at each place; before the beginning stand line ends."""
    padded = np.concatenate([np.full(length - 1, LINE_END, dtype=np.uint8), data])
    keys = np.zeros(len(data), dtype=np.uint64)
    for place in range(length):
        keys = keys << np.uint64(8) | padded[place : place + len(data)].astype(np.uint64)
    return keys


def _counted(data: npt.NDArray[np.uint8], length: int, often: int) -> tuple[Keys, Counts]:
    """Sequences in rising order and how often each occurs; of single bytes all 256."""
    if length == 1:
        return np.arange(256, dtype=np.uint64), np.bincount(data, minlength=256).astype(np.int64)
    keys, times = np.unique(_windows(data, length), return_counts=True)
    enough = times >= often
    return keys[enough], times[enough]


def _even(counted: tuple[Keys, Counts]) -> Bits:
    """Bits of each single byte; none is impossible."""
    times = counted[1] + 1.0
    return np.asarray(np.log2(times.sum() / times), dtype=np.float32)


def _interpolated(lower: Bits, shorter: tuple[Keys, Counts], longer: tuple[Keys, Counts]) -> Bits:
    """The discounted share of a context's continuations; what that leaves is spread as the shorter context says."""
    keys, times = longer
    context, _ = _find(shorter[0], keys >> np.uint64(8))
    share = (times - DISCOUNT) / np.maximum(shorter[1][context], times)
    left = np.clip(1 - np.bincount(context, share, len(shorter[0])), 1e-4, None)
    tail, there = _find(shorter[0], keys & _last(shorter[0]))
    below = np.where(there, np.exp2(-lower[tail]), 1 / 256)
    return np.asarray(-np.log2(share + left[context] * below), dtype=np.float32)


def _last(shorter: Keys) -> np.uint64:
    """A mask for as many bytes as these sequences have."""
    return np.uint64((1 << 8 * ((int(shorter[-1]).bit_length() + 7) // 8)) - 1)


def _kept(grams: list[tuple[Keys, Counts]], exact: list[Bits], least: float) -> list[npt.NDArray[np.bool_]]:
    """Which sequences are worth their place, from the longest down: the beginning of a kept one is kept."""
    kept: list[npt.NDArray[np.bool_]] = []
    for number in range(len(grams) - 1, -1, -1):
        keys, times = grams[number]
        if number == 0:
            kept.append(np.ones(len(keys), dtype=bool))
            break
        at, _ = _find(grams[number - 1][0], keys & np.uint64((1 << 8 * number) - 1))
        worth = np.abs(times * (exact[number - 1][at] - exact[number])) > least
        if kept:
            begins = np.unique(grams[number + 1][0][kept[-1]] >> np.uint64(8))
            worth |= np.isin(keys, begins, assume_unique=True)
        kept.append(worth)
    return kept[::-1]


def _with_back(levels: tuple[Level, ...]) -> Level:
    """The last but one level with its costs of falling back, so that probabilities after each context sum to one."""
    shorter, longer = levels[-2], levels[-1]
    parent, _ = _find(shorter.keys, longer.keys >> np.uint64(8))
    said = np.bincount(parent, np.exp2(longer.cost / -STEP), len(shorter.keys))
    below = cost(levels[:-1], longer.keys & np.uint64((1 << 8 * (len(levels) - 1)) - 1))
    spared = np.bincount(parent, np.exp2(-below), len(shorter.keys))
    left = np.log2(np.clip(1 - said, 1e-4, None) / np.clip(1 - spared, 1e-4, None))
    return Level(shorter.keys, shorter.cost, np.clip(np.rint(left * STEP) + BACK, 0, 255).astype(np.uint8))


def _find(among: Keys, keys: Keys) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where each key stands, or could stand, and whether it does."""
    if not len(among):
        return np.zeros(len(keys), dtype=np.intp), np.zeros(len(keys), dtype=bool)
    at = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    return at, among[at] == keys
