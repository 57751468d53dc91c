"""What a person asked to be remembered: kept in one place, used for that person alone, erased at once.

    "Remember that I work in Lisbon."   ─►  a fact
    "How many public holidays do I have?"  ─►  "How many public holidays do I have? (Lisbon)"

Takes   the catalogue, and whose facts: nobody reaches another person's.
Gives   `Fact`s; `heed()` for what is said in a chat; `recall()`: which facts a question needs, and what they add to it.
Refuses unknown ids and other people's alike: NotFound. Facts that are empty, too long or too many: SettingsError.
Erasing the words of a fact stand in the table `remembered` and nowhere else: answers, the audit and conversations hold
        its id. So one deletion is enough; the page is overwritten (secure_delete) and the log emptied.
Needed  is a fact when the question speaks of the person ("I", "my", "here"), does not say otherwise itself, and a
        passage found for it speaks of what the fact says ("Lisbon"): where documents make no difference, none is added.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError
from rag.followup import phrases
from rag.types import LOCAL_OWNER, Fact, Hit, Passage
from rag.units import sentences
from rag.wording import stems

LONGEST = 200  # characters: a fact is a sentence
MOST = 50  # facts of a person
USED = 2  # facts that one question may use
TOGETHER = 6  # phrases looked for in one search
LEAN = 0.5  # on the scale of cosines
LOOKED_AT = 14  # passages of each such search: as many as are read

_SELF = re.compile(r"\b(?:i|i['’]\w+|me|my|mine|myself|we|we['’]\w+|us|our|ours|ourselves|here)\b", re.IGNORECASE)
_ROLE = re.compile(r"^(?:my|our)\b.*?\b(?:is|are|was)\b\s*", re.IGNORECASE)  # of "my manager is Ana" only Ana counts
_FRAME = re.compile(r"^(?:work|live|part|member|employee)\s+(?:for|in|at|of|from)\s+(?:the\s+|an?\s+)?", re.IGNORECASE)
_PLACE = re.compile(
    r"(?<=\s)(?:in|at|to|from|near|for|of|than|visiting)\s+(?:the\s+)?(?!(?:January|February|March|April|May|June|July|"
    r"August|September|October|November|December|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)\b)[A-Z][\w'’-]+"
)
_HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
_QUANTITY = frozenset({"many", "much", "long", "often"})

_POLITE = r"^(?:(?:ok(?:ay)?|please|can you|could you|and)[\s,]+)*"
_MINE = r"(?:i|i['’]\w+|my|we|we['’]\w+|our)\b"
_REMEMBER = re.compile(
    rf"{_POLITE}(?:remember|keep in mind|note|don['’]?t forget)(?:(?:\s+that\b|\s*:|,)\s*(?P<said>\S.*)"
    rf"|\s+(?P<mine>{_MINE}.*))$",
    re.IGNORECASE | re.DOTALL,
)
_FORGET = re.compile(rf"{_POLITE}forget(?:\s+that|\s+about|\s*:)?\s+(?P<said>{_MINE}.*)$", re.IGNORECASE | re.DOTALL)
_FORGET_ALL = re.compile(
    rf"{_POLITE}forget (?:everything|all)(?: that)? (?:about me|(?:you|i)\b.{{0,40}}\b(?:know|remember(?:ed)?)\b.*)$",
    re.IGNORECASE,
)
_WHAT = re.compile(
    rf"{_POLITE}what (?:do you|have you|did i ask you to) (?:know about me|remember(?:ed)?(?: about me| of me)?)\W*$",
    re.IGNORECASE,
)


class Recalled(NamedTuple):
    """The facts that a question needs, and the question with what they add."""

    question: str
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()  # what they add


# --- kept -------------------------------------------------------------------------------------------------------------


def facts(catalogue: Catalogue, *, person: str = LOCAL_OWNER) -> list[Fact]:
    """What a person asked to be remembered, the oldest first."""
    rows = catalogue.db.execute(
        "select id, text, at, edited_at from remembered where person = ? order by at, rowid", (person,)
    )
    return [Fact(*row) for row in rows]


def remember(catalogue: Catalogue, text: str, *, person: str = LOCAL_OWNER) -> Fact:
    """Keep a sentence; one that is kept already stays as it is."""
    words = _checked(text)
    with catalogue.atomic() as db:
        kept = facts(catalogue, person=person)
        for fact in kept:
            if _same(fact.text, words):
                return fact
        if len(kept) >= MOST:
            raise SettingsError(f"{len(kept)} facts are remembered already, the most there can be. Erase one first")
        made = Fact(uuid.uuid4().hex[:12], words, now())
        db.execute(
            "insert into remembered (id, person, text, at) values (?, ?, ?, ?)", (made.id, person, made.text, made.at)
        )
    return made


def edit(catalogue: Catalogue, identity: str, text: str, *, person: str = LOCAL_OWNER) -> Fact:
    """Say it in other words; the former ones are erased."""
    words = _checked(text)
    with catalogue.atomic() as db:
        before = fact(catalogue, identity, person=person)
        if before.text != words:
            db.execute("update remembered set text = ?, edited_at = ? where id = ?", (words, now(), identity))
    catalogue.truncate()
    return fact(catalogue, identity, person=person)


def erase(catalogue: Catalogue, identity: str, *, person: str = LOCAL_OWNER) -> None:
    """Forget it: its words are overwritten before this returns."""
    with catalogue.atomic() as db:
        fact(catalogue, identity, person=person)
        db.execute("delete from remembered where id = ?", (identity,))
    catalogue.truncate()


def erase_all(catalogue: Catalogue, *, person: str = LOCAL_OWNER) -> int:
    """Forget everything of a person; returns how many facts there were."""
    with catalogue.atomic() as db:
        erased = db.execute("delete from remembered where person = ?", (person,)).rowcount
    catalogue.truncate()
    return erased


def fact(catalogue: Catalogue, identity: str, *, person: str = LOCAL_OWNER) -> Fact:
    """One fact of this person. Raises NotFound."""
    row = catalogue.db.execute(
        "select id, text, at, edited_at from remembered where id = ? and person = ?", (identity, person)
    ).fetchone()
    if row is None:
        raise NotFound(f"{identity}: nothing is remembered under this id. `rag memory` lists what is")
    return Fact(*row)


def _checked(text: str) -> str:
    """One line without the full stop at its end."""
    words = " ".join(text.split()).rstrip(" .!")
    if not re.search(r"\w", words):
        raise SettingsError("nothing to remember: say it in a sentence, such as: I work in Lisbon")
    if len(words) > LONGEST:
        raise SettingsError(f"{len(words)} characters are too many to remember; say it in at most {LONGEST}")
    return words[0].upper() + words[1:]


def _same(one: str, other: str) -> bool:
    return re.sub(r"\W+", " ", one).casefold().strip() == re.sub(r"\W+", " ", other).casefold().strip()


# --- said in a chat ---------------------------------------------------------------------------------------------------


def heed(catalogue: Catalogue, words: str, *, person: str = LOCAL_OWNER) -> str | None:
    """Do what a person asks about their memory, and say so; None where the words are a question for the documents."""
    said = " ".join(words.split())
    if _WHAT.match(said):
        kept = facts(catalogue, person=person)
        if not kept:
            return "Nothing is remembered about you. Say for example: Remember that I work in Lisbon."
        return "Remembered, for you alone: " + "; ".join(f"“{fact.text}”" for fact in kept) + "."
    if said.endswith("?"):
        return None
    if _FORGET_ALL.match(said):
        return f"Erased: everything that was remembered about you ({erase_all(catalogue, person=person)})."
    if match := _FORGET.match(said):
        found = _meant(facts(catalogue, person=person), match["said"])
        if found is None:
            return "Nothing like that is remembered, so nothing was erased. Ask: What do you remember about me?"
        erase(catalogue, found.id, person=person)
        return f"Erased: “{found.text}”."
    if match := _REMEMBER.match(said):
        made = remember(catalogue, match["said"] or match["mine"], person=person)
        return f"I will remember, for you alone: “{made.text}”. You can change or erase it in the settings."
    return None


def _meant(kept: Sequence[Fact], words: str) -> Fact | None:
    """The one fact that is meant: the same sentence, or the only one that says all of these words."""
    wanted = stems(words)
    exact = [fact for fact in kept if _same(fact.text, words.rstrip(" .!"))]
    like = [fact for fact in kept if wanted and wanted <= stems(fact.text)]
    found = exact or like
    return found[0] if len(found) == 1 else None


# --- used -------------------------------------------------------------------------------------------------------------


def recall(question: str, kept: Sequence[Fact], search: Callable[[str], Sequence[Hit]]) -> Recalled:
    """The question with what it needs of these facts. `search` finds passages as the answer will, rights and all."""
    wanted = _stems(question) - _QUANTITY
    if not wanted or not _SELF.search(question):
        return Recalled(question)
    notes = [(fact, note) for fact in reversed(kept) for note in notes_of(fact.text) if _open(question, wanted, note)]
    ranked: list[tuple[int, int, Fact, str]] = []
    for start in range(0, len(notes), TOGETHER):
        some = notes[start : start + TOGETHER]
        hits = search(f"{question} ({'; '.join(note for _, note in some)})")[:LOOKED_AT]
        told = [list(_statements(hit.passage)) for hit in hits]
        for place, (fact, note) in enumerate(some, start=start):
            rank = next(
                (at for at, said in enumerate(told) if any(_speaks(one, _stems(note), wanted) for one in said)), None
            )
            if rank is not None:
                ranked.append((rank, place, fact, note))
    used: dict[str, Fact] = {}
    added: list[str] = []
    for _, _, fact, note in sorted(ranked, key=lambda row: row[:2]):
        if fact.id in used or len(used) < USED:
            used[fact.id] = fact
            added.append(note)
    if not used:
        return Recalled(question)
    return Recalled(f"{question} ({'; '.join(added)})", tuple(used.values()), tuple(added))


def lean(recalled: Recalled, words: str, passage: Passage, start: int) -> float:
    """How much is to be added to the likeness of question and words (they stand at `start`), as they speak of a note.

    A small reader passes over a word in brackets: of "Full-time employees have 27 days" and "Part-time employees have
    18 days" it takes the first, whoever asks.
    """
    said = _stems(f"{_heading(passage, start)} {words}")
    return LEAN if any(_stems(note) <= said for note in recalled.notes) else 0.0


def among(kept: Sequence[Fact], allowed: Collection[str] | None) -> list[Fact]:
    """The facts that may be used: all, or only those with these ids."""
    return [fact for fact in kept if allowed is None or fact.id in allowed]


def notes_of(text: str) -> list[str]:
    """What a fact can add to a question: its noun phrases; of "My manager is Ana" only what follows the verb."""
    found = (_FRAME.sub("", phrase) for phrase in phrases(_ROLE.sub("", text)))
    return [note for note in found if _stems(note)]


def _open(question: str, wanted: frozenset[str], note: str) -> bool:
    """Does the question leave this open? It does not where it speaks of the same, or names another place or person."""
    if _stems(note) & wanted:
        return False
    return not (re.search(r"[A-Z]", note) and _PLACE.search(question))


def _stems(text: str) -> frozenset[str]:
    """Content words; what is written with a hyphen here may stand without one there."""
    return stems(re.sub(r"[-–‐‑]", " ", text))


def _statements(passage: Passage) -> Iterator[frozenset[str]]:
    """The content words of each sentence of a passage, those of the headings above it among them."""
    for start, end in sentences(passage.text):
        yield _stems(f"{_heading(passage, start)} {passage.text[start:end]}")


def _heading(passage: Passage, start: int) -> str:
    """What stands above a place: the passage's headings, and the last heading inside it before that place."""
    inside = _HEADING.findall(passage.text, 0, start)
    return " ".join((*passage.headings, *inside[-1:]))


def _speaks(said: frozenset[str], note: frozenset[str], wanted: frozenset[str]) -> bool:
    """Does a sentence speak both of the note and of at least half of what is asked?"""
    return note <= said and 2 * len(said & wanted) >= len(wanted)
