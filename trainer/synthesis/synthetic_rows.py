"""The rows of one shelf of passages: candidates, their round trip, near misses, and what nothing answers.

Takes   a shelf, the reader that judges, the writer where there is one, and the settings.
Gives   rows as JSON holds them, answerable ones each followed by what is made from them; a `Tally` of all questions.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from trainer.errors import RecipeError
from trainer.reading import SourceReader
from trainer.synthesis import roundtrip
from trainer.synthesis.asking.altered import alter, names
from trainer.synthesis.asking.made import ask, small_words
from trainer.synthesis.asking.sentences import Asked
from trainer.synthesis.asking.wellformed import answer_fault, fault
from trainer.synthesis.asking.written import Writer
from trainer.synthesis.roundtrip import Limits, Neighbours, Shelf


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """Settings of the synthesis."""

    passages: Path | None = None  # JSONL; OUT/passages.jsonl when not given
    rows: Path | None = None  # what is written; OUT/rows/synthetic.jsonl when not given
    model: Path = Path("models/base")  # its reader judges; a trunk that was taught to ask also writes questions
    embedder: Path | None = None  # folder of a BERT encoder; the embedder's package when not given
    seed: int = 0
    per_passage: int = 3  # answerable rows of a passage, at most
    written: int = 2  # questions a passage that the model writes, where it can
    temperature: float = 0.8
    top_p: float = 0.9
    most_sources: int = 6  # of a row; between 1 and this many, drawn evenly
    unanswerable: float = 0.3  # unanswerable rows for each answerable one
    found_within: int = Limits.found_within
    least_f1: float = Limits.least_f1
    spans: int = Limits.spans
    most_support: float = Limits.most_support
    precision: str = "fp32"  # of embedder and encoder reader; bf16 is faster where the processor has it, auto probes
    shelf: int = 1_000  # passages searched together; memory grows with this, not with the file
    workers: int = 1  # processes, a shelf each

    @property
    def source(self) -> Path:
        """The passages' file."""
        if self.passages is None:
            raise RecipeError("[synthesize] names no passages; give a JSONL file (docs/formats.md)")
        return self.passages

    @property
    def target(self) -> Path:
        """The rows' file."""
        if self.rows is None:
            raise RecipeError("[synthesize] names no rows; give the file to write, such as rows.jsonl")
        return self.rows

    @property
    def limits(self) -> Limits:
        """What the round trip asks for."""
        return Limits(
            found_within=self.found_within, least_f1=self.least_f1, spans=self.spans, most_support=self.most_support
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question on its way, with the passage (index on the shelf) it was made from."""

    owner: int
    asked: Asked
    answer: str


@dataclass(slots=True)
class Tally:
    """What became of the questions of a shelf."""

    passages: int = 0
    made: Counter[str] = field(default_factory=Counter)  # kind -> questions
    kept: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  # "kind | reason"

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"passages": self.passages, "made": self.made, "kept": self.kept, "refused": self.refused}


@dataclass(slots=True)
class Bench:
    """What the rows of a shelf are made with."""

    shelf: Shelf
    reader: SourceReader
    writer: Writer | None
    config: SynthesizeConfig
    tally: Tally
    common: frozenset[str] = frozenset()  # words that stand small in the shelf: no names

    def __post_init__(self) -> None:
        self.common = frozenset(word for passage in self.shelf.passages for word in small_words(passage.text))


def rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The rows of a shelf, answerable ones and after them what is made from them."""
    shelf, tally, config = bench.shelf, bench.tally, bench.config
    found = list(candidates(bench))
    looked = shelf.look([c.asked.question for c in found], [c.owner for c in found], [c.answer for c in found])
    others = names(passage.text for passage in shelf.passages)
    taken: Counter[int] = Counter()
    owed = 0.0  # unanswerable rows, of which not every question gives one
    for candidate, near in zip(found, looked, strict=True):
        if taken[candidate.owner] == config.per_passage:
            tally.refused[f"{candidate.asked.kind} | enough of its passage"] += 1
            continue
        chance = chance_of(config.seed, shelf.passages[candidate.owner].id, candidate.asked.question)
        row = answered(bench, candidate, near, chance)
        if row is None:
            continue
        taken[candidate.owner] += 1
        yield row
        owed = min(owed + config.unanswerable, 3.0)
        if owed >= 1:
            spoilt = unanswered(bench, candidate, near, others=others, chance=chance)
            if spoilt is not None:
                owed -= 1
                yield spoilt


def chance_of(seed: int, *names: str) -> random.Random:
    """Chance that depends on nothing but the seed and the names."""
    return random.Random("/".join((str(seed), *names)))


# --- candidates -------------------------------------------------------------------------------------------------------


def candidates(bench: Bench) -> Iterator[Candidate]:
    """Questions of all passages; of each passage those first whose kind and opening are rare so far."""
    config, tally = bench.config, bench.tally
    kinds: Counter[str] = Counter()
    openings: Counter[str] = Counter()
    asked_before: set[str] = set()
    for owner, passage in enumerate(bench.shelf.passages):
        some = questions(bench, owner)
        some.sort(key=lambda one: (kinds[one.kind] + openings[opening(one.question)], one.start))
        spans: list[tuple[int, int]] = []
        for one in some:
            if one.question.lower() in asked_before:
                tally.refused[f"{one.kind} | asked before"] += 1
            elif any(one.start < end and one.end > start for start, end in spans):
                tally.refused[f"{one.kind} | same words answer another"] += 1
            elif len(spans) < 2 * config.per_passage:
                spans.append((one.start, one.end))
                asked_before.add(one.question.lower())
                kinds[one.kind] += 1
                openings[opening(one.question)] += 1
                yield Candidate(owner, one, passage.text[one.start : one.end])
            else:
                tally.refused[f"{one.kind} | enough of its passage"] += 1


def questions(bench: Bench, owner: int) -> list[Asked]:
    """All well-formed questions of one passage, by rule and by the model."""
    passage, config = bench.shelf.passages[owner], bench.config
    chance = chance_of(config.seed, passage.id)
    faults: Counter[str] = Counter()
    some = ask(passage.text, passage.path, chance, faults=faults, common=bench.common)
    for one in bench.writer.ask(passage.source, config.written, chance) if bench.writer else ():
        answer = passage.text[one.start : one.end]
        why = fault(one.question, answer) or answer_fault(answer)
        faults[why] += bool(why)
        some += [] if why else [one]
    bench.tally.made.update(one.kind for one in some)
    bench.tally.refused.update({f"wording | {why}": times for why, times in faults.items() if times})
    return some


def opening(question: str) -> str:
    """The first two words.

    >>> opening("How many days do I have?")
    'how many'
    """
    return " ".join(question.lower().split()[:2])


# --- round trip -------------------------------------------------------------------------------------------------------


def answered(bench: Bench, candidate: Candidate, near: Neighbours, chance: random.Random) -> dict[str, Any] | None:
    """The row of an answerable question, or None where its round trip fails."""
    asked, config, shelf = candidate.asked, bench.config, bench.shelf
    for name, rank in (("BM25", near.by_words), ("embedder", near.by_vector)):
        if not 0 < rank <= config.found_within:
            bench.tally.refused[f"{asked.kind} | {name} does not find it"] += 1
            return None
    chosen = [candidate.owner, *misses(near, chance.randint(1, config.most_sources) - 1, chance)]
    order = chance.sample(range(len(chosen)), len(chosen))
    shown = [shelf.passages[chosen[i]].source for i in order]
    span = (asked.start, asked.end)
    verdict = roundtrip.answerable(
        bench.reader, asked.question, shown, gold=order.index(0), span=span, limits=config.limits
    )
    if verdict.reason:
        bench.tally.refused[f"{asked.kind} | {verdict.reason}"] += 1
        return None
    bench.tally.kept[asked.kind] += 1
    return row_of(candidate, asked.question, chosen, shelf) | {
        "order": order,
        "spans": [list(span)],
        "answer": candidate.answer,
        "answerable": True,
        "kind": asked.kind,
        "rule": asked.rule,
        "round_trip": {
            "by_words": near.by_words,
            "by_vector": near.by_vector,
            "f1": round(verdict.f1, 3),
            "support": round(verdict.support, 3),
        },
    }


def unanswered(
    bench: Bench, candidate: Candidate, near: Neighbours, *, others: Sequence[str], chance: random.Random
) -> dict[str, Any] | None:
    """A row that nothing answers, made from an answerable question; the first way that survives the round trip."""
    shelf, tally = bench.shelf, bench.tally
    for spoilt in spoilings(bench, candidate, near, others=others, chance=chance):
        tally.made[spoilt.kind] += 1
        order = chance.sample(range(len(spoilt.chosen)), len(spoilt.chosen))
        shown = [shelf.passages[spoilt.chosen[i]].source for i in order]
        verdict = roundtrip.unanswerable(bench.reader, spoilt.question, shown, bench.config.limits)
        if verdict.reason:
            tally.refused[f"{spoilt.kind} | {verdict.reason}"] += 1
            continue
        tally.kept[spoilt.kind] += 1
        return row_of(candidate, spoilt.question, spoilt.chosen, shelf) | {
            "order": order,
            "spans": [],
            "answer": "",
            "answerable": False,
            "kind": spoilt.kind,
            "rule": candidate.asked.rule,
            "made": {"from": candidate.asked.question, "changed": spoilt.changed},
            "round_trip": {"support": round(verdict.support, 3)},
        }
    return None


class Spoilt(NamedTuple):
    """A question that none of the chosen passages answers, as far as its making can tell."""

    question: str
    chosen: list[int]  # passages, the likest first
    kind: str
    changed: str  # "old -> new" in the question; empty where the passages were changed


def spoilings(
    bench: Bench, candidate: Candidate, near: Neighbours, *, others: Sequence[str], chance: random.Random
) -> Iterator[Spoilt]:
    """The ways to make a question unanswerable, in an order of chance; a change of the question first, mostly."""
    shelf, question = bench.shelf, candidate.asked.question
    size = chance.randint(1, bench.config.most_sources)
    document = shelf.passages[candidate.owner].document
    for way in dict.fromkeys(chance.sample(["altered", "altered", "altered", "neighbours", "swapped"], 5)):
        if way == "altered":
            chosen = [candidate.owner, *misses(near, size - 1, chance)]
            changed = alter(question, [shelf.passages[i].text for i in chosen], others, chance)
            if changed is not None:
                new, kind, note = changed
                yield Spoilt(new, chosen, f"unanswerable: {kind} changed", note)
        elif way == "neighbours":
            if near.beside:
                yield Spoilt(question, list(near.beside[:size]), "unanswerable: neighbours of the source", "")
        else:
            foreign = [i for i in near.near if shelf.passages[i].document != document][:size]
            if foreign:
                yield Spoilt(question, foreign, "unanswerable: swapped passages", "")


def misses(near: Neighbours, count: int, chance: random.Random) -> list[int]:
    """Hard negatives: half from the source's document where there are such, the rest from retrieval's best."""
    beside = list(near.beside[: 2 * count])
    own = chance.sample(beside, min(len(beside), count // 2))
    best = [i for i in near.near if i not in own][: 2 * (count - len(own))]
    return own + chance.sample(best, min(len(best), count - len(own)))


def row_of(candidate: Candidate, question: str, chosen: Sequence[int], shelf: Shelf) -> dict[str, Any]:
    """What all rows hold. Further keys of the source passage are carried through."""
    owner = shelf.passages[candidate.owner]
    carried = {key: value for key, value in owner.extra.items() if key not in ("title", "domain", "licence")}
    names = [shelf.passages[i].id for i in chosen]
    return {
        **carried,
        "id": hashlib.sha256(f"{owner.id}\n{question}\n{names}".encode()).hexdigest()[:16],
        "question": question,
        "sources": [list(shelf.passages[i].source) for i in chosen],
        "domain": str(owner.extra.get("domain", "synthetic")),
        "licence": str(owner.extra.get("licence", "")),
        "document": owner.document,
        "passages": names,
    }
