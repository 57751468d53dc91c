"""A word that no passage holds is taken for the one that was meant.

    vacatoin ─► in no passage? ─► every word one slip away ─► the one in most passages: vacation

Takes   a question, and a way to ask in how many readable passages a word stands.
Gives   the question with such words replaced; all others stay as they are, letter for letter.
Never   touched: words that some passage holds, short ones, names of things with figures or capitals inside (codes,
        identifiers), and letters beyond a to z.
Source  one slip is four of five spelling errors: Damerau, CACM 7, 1964, doi:10.1145/363958.363994.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from string import ascii_lowercase

SHORTEST = 5  # letters; shorter words have too many neighbours
LONGEST = 24
_WORD = re.compile(rf"(?<![\w.@/-])[A-Za-z][a-z]{{{SHORTEST - 1},{LONGEST - 1}}}(?![\w@/-]|\.\w)")


def respelled(question: str, count: Callable[[str], int]) -> str:
    """The question with its misspelt words replaced.

    >>> from collections import Counter
    >>> respelled("How many vacatoin days?", Counter(["many", "vacation", "days"]).__getitem__)
    'How many vacation days?'
    """

    def meant(found: re.Match[str]) -> str:
        word = found[0]
        if count(word):
            return word
        most, best = max(((count(other), other) for other in slips(word.lower())), default=(0, word))
        return best if most else word

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
