"""Many texts become token ids quickly: a text is cut into pieces, and each piece is encoded once.

    text ─► GPT-2's pieces (words with their space, numbers, signs, blanks) ─► ids of each from a dictionary

Takes   a `tokenizers` library object with GPT-2's byte-level splitting, and texts.
Gives   the same ids as the library, three times as fast on one core: the library's cache is small and locked.
How     `re` knows no Unicode classes, so they are spelled out for the blocks in which Python and the library agree
        on every character; a text that holds any other character goes to the library whole.
Memory  at most `MOST` pieces are remembered; then the dictionary starts anew.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from itertools import chain

from tokenizers import Tokenizer as Library

MOST = 500_000  # pieces remembered, about 100 MB
LONGEST = 64  # characters of a piece worth remembering
BLOCKS = (  # controls 1c-1f are blanks to Python alone, hence the gap
    range(0x1C),
    range(0x20, 0x530),  # Latin, Greek, Cyrillic
    range(0x2000, 0x2C00),  # punctuation, arrows, mathematics, boxes
    range(0x3000, 0x3040),
    range(0xFB00, 0xFB07),  # ligatures
)


def character_classes() -> tuple[str, str, str, str]:
    """Letters, numbers, blanks and the rest of BLOCKS, each as the inside of a character class."""
    kinds: dict[str, list[int]] = {"letter": [], "number": [], "blank": [], "other": []}
    for code in chain.from_iterable(BLOCKS):
        category = unicodedata.category(chr(code))
        if category == "Cn":
            continue  # unassigned: another version of Unicode may know it
        kind = {"L": "letter", "N": "number"}.get(category[0], "blank" if chr(code).isspace() else "other")
        kinds[kind].append(code)
    return ranges(kinds["letter"]), ranges(kinds["number"]), ranges(kinds["blank"]), ranges(kinds["other"])


def ranges(codes: Sequence[int]) -> str:
    """Ascending code points as the inside of a character class.

    >>> ranges([97, 98, 99, 120])
    '\\\\U00000061-\\\\U00000063\\\\U00000078-\\\\U00000078'
    """
    starts = [code for code, before in zip(codes, (-2, *codes), strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, (*codes[1:], -2), strict=True) if code != after - 1]
    return "".join(f"\\U{start:08x}-\\U{end:08x}" for start, end in zip(starts, ends, strict=True))


LETTERS, NUMBERS, BLANKS, OTHERS = character_classes()
PIECE = re.compile(
    rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{LETTERS}]+| ?[{NUMBERS}]+| ?[{OTHERS}]+|\s+(?!\S)|\s+"  # GPT-2's pattern
)
STRANGE = re.compile(f"[^{LETTERS}{NUMBERS}{BLANKS}{OTHERS}]")


class Pieces:
    """The dictionary of pieces of one tokenizer."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.known: dict[str, tuple[int, ...]] = {}
        splitting = json.loads(library.pre_tokenizer.__getstate__()) if library.pre_tokenizer else {}
        self.fits = (  # another program's tokenizer may cut or change texts in its own way
            (splitting.get("type"), splitting.get("add_prefix_space"), splitting.get("use_regex"))
            == ("ByteLevel", False, True)
            and library.normalizer is None
            and library.post_processor is None
        )

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text. Lone surrogates must have been replaced."""
        if not self.fits:
            return [encoding.ids for encoding in self.library.encode_batch_fast(list(texts))]
        cut = [None if STRANGE.search(text) else PIECE.findall(text) for text in texts]
        strange = [text for text, pieces in zip(texts, cut, strict=True) if pieces is None]
        whole = iter(self.library.encode_batch_fast(strange)) if strange else iter(())
        long = self.learn(set(chain.from_iterable(pieces for pieces in cut if pieces)))
        ids_of = self.known.__getitem__
        encoded = [
            list(next(whole).ids) if pieces is None else list(chain.from_iterable(map(ids_of, pieces)))
            for pieces in cut
        ]
        for piece in long:
            del self.known[piece]
        return encoded

    def learn(self, pieces: set[str]) -> list[str]:
        """Encode the new ones; returns those too long to be remembered beyond this batch."""
        if len(self.known) > MOST:
            self.known = {}
        new = list(pieces.difference(self.known))
        if new:
            encodings = self.library.encode_batch_fast(new)
            self.known.update((piece, tuple(encoding.ids)) for piece, encoding in zip(new, encodings, strict=True))
        return [piece for piece in new if len(piece) > LONGEST]
