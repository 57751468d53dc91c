"""From preferred words to what a model can do: rows of a bundle become acts, each a refusal or words with their places.

    {"question", "sources", "chosen", "rejected"} ─► Preference ─► Asked: question, sources, one act a text

Takes   `preferences.*.jsonl` of a bundle; chosen or rejected is null for a single thumb.
Gives   `Preference`s; `asked`, which finds the places where the words of a text stand in the sources.
Places  are exact: the same words in the same order. Free are blanks, a capital at the front and a full stop at the end,
        a mark of a list, a leading "Yes." or "No.", and lines that stand apart: what the product adds to quoted words.
Refuses a line that is no preference, with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from trainer import jsonl
from trainer.chat import Source
from trainer.errors import DataError

REFUSAL = "The documents do not say."  # as the product words it
Place = tuple[int, int, int]  # source, first character of its text, one past the last


@dataclass(frozen=True, slots=True)
class Preference:
    """One judgement about words: a choice between two texts, or a thumb for one of them."""

    question: str
    sources: tuple[tuple[str, str], ...]  # (heading path, text)
    chosen: str | None
    rejected: str | None
    id: str = ""


class Act(NamedTuple):
    """Something a model can do with a question."""

    words: str  # what it says; empty: it refuses
    places: tuple[Place, ...] = ()  # where these words stand; none of words that stand nowhere
    exact: bool = False  # these very spans; else any span inside, for the product says the sentence around a span
    quotes: tuple[tuple[str, str], ...] = ()  # number of a source as it was said, from 1, and the words quoted from it
    ids: tuple[int, ...] = ()  # what a trunk spoke, token for token


class Asked(NamedTuple):
    """A question with its sources, and acts to be compared."""

    question: str
    sources: tuple[Source, ...]
    acts: tuple[Act, ...]


def read(paths: Iterable[Path]) -> list[Preference]:
    """All preferences of the files, in their order. Raises DataError naming the line that is none."""
    return [preference for path in paths for preference in _file(path)]


def _file(path: Path) -> Iterable[Preference]:
    for number, raw in jsonl.numbered(path):
        try:
            yield _preference(raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f'{path}, line {number}: {type(error).__name__}: {error}. Each line is {{"question", "sources": '
                '[[heading, text], ...], "chosen", "rejected"}, one of the last two may be null; correct or remove it'
            ) from error


def _preference(raw: dict[str, Any]) -> Preference:
    chosen, rejected = raw["chosen"], raw["rejected"]
    if not any(isinstance(text, str) and text.strip() for text in (chosen, rejected)):
        raise ValueError("chosen and rejected are both empty")
    if chosen == rejected:
        raise ValueError(f"chosen and rejected are alike: {chosen!r}")
    sources = tuple((str(heading), str(text)) for heading, text in raw["sources"])
    if not sources:
        raise ValueError("sources are empty; a row shows at least one")
    return Preference(str(raw["question"]), sources, chosen or None, rejected or None, str(raw.get("id", "")))


def asked(preference: Preference, *, most: int) -> Asked:
    """The question with an act for chosen, then for rejected, where there are such; at most `most` sources.

    Sources in which one of the texts stands are kept before others, in their order.
    """
    sources = [Source(*source) for source in preference.sources]
    acts = [act_of(text, sources) for text in (preference.chosen, preference.rejected) if text is not None]
    needed = {place[0] for act in acts for place in act.places}
    kept = sorted(sorted(range(len(sources)), key=lambda i: (i not in needed, i))[:most])
    moved = {old: new for new, old in enumerate(kept)}
    return Asked(
        preference.question,
        tuple(sources[i] for i in kept),
        tuple(
            act._replace(places=tuple((moved[n], start, end) for n, start, end in act.places if n in moved))
            for act in acts
        ),
    )


def act_of(text: str, sources: Sequence[Source]) -> Act:
    """What a model does that says this text."""
    if plain(text) == plain(REFUSAL):
        return Act("")
    return Act(text, places(text, sources))


def plain(text: str) -> str:
    """Words in lower case with single blanks, without what closes them.

    >>> plain("The  documents do not say.")
    'the documents do not say'
    """
    return " ".join(text.split()).casefold().rstrip(".!")


def places(text: str, sources: Sequence[Source]) -> tuple[Place, ...]:
    """Where the words of a text stand; empty where they, or one of the lines that stand apart, stand nowhere.

    >>> places("Yes. You get 27 days.", [Source("Leave", "Here you get 27 days; more is unpaid.")])
    ((0, 5, 20),)
    """
    for words in dict.fromkeys([text, re.sub(r"^(?:Yes|No)\.\s+", "", text)]):
        found = _standing(words, sources)
        if found:
            return found
    lines = [_standing(line, sources) for line in text.splitlines() if line.strip()]
    return tuple(dict.fromkeys(place for line in lines for place in line)) if all(lines) else ()


def _standing(words: str, sources: Sequence[Source]) -> tuple[Place, ...]:
    bare = re.sub(r"^\s*(?:[-*•]\s+)?", "", words).strip().removesuffix(".")
    if not bare:
        return ()
    pieces = [re.escape(piece) for piece in bare.split()]
    front = f"(?:{re.escape(bare[0].lower())}|{re.escape(bare[0].upper())})"
    pieces[0] = front + re.escape(bare.split()[0][1:])
    pattern = re.compile(r"(?<!\w)" + r"\s+".join(pieces) + r"(?!\w)")
    return tuple(
        (number, match.start(), match.end())
        for number, source in enumerate(sources)
        for match in pattern.finditer(source.text)
    )
