"""Does anybody ever find what is not for them? `make bench-rights`, or `python -m benchmarks.rights --data DIR`.

    random library, people, rights ─► searched as each person ─┬─► what is found, against the rules written again
         └─► only what this person may read, in a new library ─┴─► found there by its owner: the same, in order?

Takes   the data folder: paragraphs of qa/eval/new_wiki as documents, its questions as searches.
Gives   one JSON object: `searches`; `foreign`, passages found that are not for who searched, and documents listed or
        opened that are not; `top_k_equal`, the share of searches in percent whose hits are, in order and by score,
        those of a library that holds nothing but the permitted documents.
The rules are written here a second time, over plain sets, and know nothing of `rag/accounts`. Rights change between the
searches: people leave groups and the company, collections close and open, documents get readers and new versions. One
paragraph in eight stands in several documents, once word for word and once with a word changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.record import record
from rag import clean, commit
from rag.config import Settings
from rag.embed import open_embedder
from rag.errors import NotFound
from rag.library import Library
from rag.parts import open_parts
from rag.types import Chunk, Draft, Embedder, PageSpan

K = 10
COLLECTIONS = ("default", "hr", "legal", "board")
GROUPS = ("hr", "lawyers", "managers")


@dataclass(frozen=True)
class Paper:
    """A document to be: its parts stand in one text."""

    name: str
    collection: str
    parts: tuple[str, ...]
    access: frozenset[str] = frozenset()


@dataclass
class World:
    """A library and, beside it, what the rules of docs/rights.md say about it."""

    library: Library
    papers: dict[str, Paper] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)  # people who left are not in it
    groups: dict[str, set[str]] = field(default_factory=dict)
    grants: dict[str, set[str]] = field(default_factory=dict)

    def readable(self, person: str) -> list[Paper]:
        """The papers that this person may read, the oldest first."""
        if person not in self.roles:
            return []
        if self.roles[person] == "administrator":
            return list(self.papers.values())
        holders = {person} | {f"group:{group}" for group, members in self.groups.items() if person in members}
        return [
            paper
            for paper in self.papers.values()
            if (paper.collection not in self.grants or self.grants[paper.collection] & holders)
            and (not paper.access or paper.access & holders)
        ]


class Known:
    """The real embedder's vectors, each made once."""

    query_side = ""

    def __init__(self, embedder: Embedder, texts: Sequence[str], questions: Sequence[str]) -> None:
        self.identity, self.dimension, self._embedder = embedder.identity, embedder.dimension, embedder
        self._texts = dict(zip(texts, embedder.embed(list(texts)), strict=True))
        self._questions = dict(zip(questions, embedder.embed_questions(list(questions)), strict=True))

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Of passages."""
        return np.stack([self._texts[text] for text in texts])

    def embed_questions(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Of questions; one that was respelt, since a word of it stands in no passage, is new."""
        for text in texts:
            if text not in self._questions:
                self._questions[text] = self._embedder.embed_questions([text])[0]
        return np.stack([self._questions[text] for text in texts])


def opened(folder: Path, embedder: Known) -> Library:
    """An empty library whose vectors are known already."""
    library = Library(folder, Settings(index=folder, questions_a_minute=0))
    library._opened = open_parts(folder, library.settings, embedder)  # type: ignore[arg-type]
    return library


def put(library: Library, paper: Paper, embedder: Known) -> None:
    """Commit a paper as ingestion commits a document; one of the same name gets a new version."""
    text, at, chunks = "\n\n".join(paper.parts), 0, []
    for part in paper.parts:
        chunks.append(Chunk(at, at + len(part), part, 1))
        at += len(part) + 2
    hashes = [hashlib.sha256(part.encode()).hexdigest()[:32] for part in paper.parts]
    commit.write(
        library._catalogue,
        commit.Record(
            collection=paper.collection, source="/papers", path=paper.name, access=sorted(paper.access),
            sha256=hashlib.sha256(text.encode()).hexdigest(), embedder=embedder.identity, chunks=chunks, hashes=hashes,
            draft=Draft(paper.name, text, (PageSpan(1, 0, len(text)),)), near_keys=clean.near_keys(paper.parts),
            vectors=dict(zip(hashes, embedder.embed(paper.parts), strict=True)),
        ),
    )  # fmt: skip


# --- a random library, and what happens to its rights -----------------------------------------------------------------


def made(folder: Path, embedder: Known, pool: Sequence[str], chance: random.Random) -> World:
    """Papers, people, groups and rights by chance."""
    world = World(opened(folder, embedder))
    for number, (name, role) in enumerate(
        [("root", "administrator"), ("rita", "reviewer"), *((f"p{n}", "reader") for n in range(chance.randint(5, 9)))]
    ):
        world.library.add_person(name, role, identity=f"{number}@example.org")
        world.roles[name] = role
    for group in GROUPS:
        for name in chance.sample(sorted(world.roles), chance.randint(1, 4)):
            join(world, group, name)
    for number in range(chance.randint(40, 70)):
        parts = tuple(dict.fromkeys(chance.choice(pool) for _ in range(chance.randint(1, 5))))
        readers = chance.sample(holders(world), chance.randint(1, 3)) if chance.random() < 0.3 else ()
        paper = Paper(f"paper{number}.md", chance.choice(COLLECTIONS), parts, frozenset(readers))
        world.papers[paper.name] = paper
        put(world.library, paper, embedder)
    for collection in COLLECTIONS[1:]:
        for holder in chance.sample(holders(world), chance.randint(1, 3)):
            grant(world, collection, holder)
    return world


def holders(world: World) -> list[str]:
    """Who can be given a right."""
    return sorted(world.roles) + sorted(f"group:{group}" for group, members in world.groups.items() if members)


def join(world: World, group: str, name: str) -> None:
    """Into a group."""
    world.library.put_in_group(group, name)
    world.groups.setdefault(group, set()).add(name)


def grant(world: World, collection: str, holder: str) -> None:
    """A right to a collection."""
    world.library.grant(collection, holder)
    world.grants.setdefault(collection, set()).add(holder)


def change(world: World, embedder: Known, pool: Sequence[str], chance: random.Random) -> None:
    """One thing happens."""
    kind = chance.choice(["join", "leave", "grant", "revoke", "open", "readers", "readers", "version", "fired"])
    if kind == "join":
        join(world, chance.choice(GROUPS), chance.choice(sorted(world.roles)))
    elif kind == "leave":
        group = chance.choice([group for group, members in world.groups.items() if members])
        name = chance.choice(sorted(world.groups[group]))
        world.library.take_out_of_group(group, name)
        world.groups[group].discard(name)
    elif kind == "grant":
        grant(world, chance.choice(COLLECTIONS), chance.choice(holders(world)))
    elif kind == "revoke":
        collection = chance.choice(sorted(world.grants) or [""])
        if len(world.grants.get(collection, ())) > 1:
            holder = chance.choice(sorted(world.grants[collection]))
            world.library.revoke(collection, holder)
            world.grants[collection].discard(holder)
    elif kind == "open" and world.grants:
        collection = chance.choice(sorted(world.grants))
        world.library.open_collection(collection)
        del world.grants[collection]
    elif kind == "readers":
        paper = chance.choice(list(world.papers.values()))
        readers = frozenset(chance.sample(holders(world), chance.randint(0, 3)))
        world.library.set_readers(paper.name, sorted(readers))
        world.papers[paper.name] = replace(paper, access=readers)
    elif kind == "version":
        paper = chance.choice(list(world.papers.values()))
        paper = replace(paper, parts=(*paper.parts[:-1], chance.choice(pool)))
        put(world.library, paper, embedder)
        world.papers[paper.name] = world.papers.pop(paper.name) and paper  # its passages are the youngest now
    elif kind == "fired" and len(world.roles) > 6:
        fire(world, chance.choice(sorted(set(world.roles) - {"root"})))


def fire(world: World, name: str) -> None:
    """Somebody leaves. Their right stays where it is a collection's last: it must not open."""
    world.library.remove_person(name)
    del world.roles[name]
    for members in world.groups.values():
        members.discard(name)
    for held in world.grants.values():
        if len(held) > 1:
            held.discard(name)


# --- what is measured -------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Counts so far."""

    searches: int = 0
    foreign: int = 0
    equal: int = 0
    found: int = 0
    looked_at: int = 0  # documents listed or opened, beside the searches
    changes: int = 0
    shown: list[dict[str, Any]] = field(default_factory=list)  # of searches that differed


def told(library: Library, question: str, **who: Any) -> list[tuple[str, int, str, float]]:
    """The hits as (document, start, text, score)."""
    return [(hit.document, hit.start, hit.text, hit.score) for hit in library.search(question, K, **who)]


def look(world: World, person: str, tally: Tally) -> None:
    """Listing and opening, beside searching."""
    mine = {paper.name for paper in world.readable(person)}
    tally.foreign += len({document.name for document in world.library.documents(person=person)} ^ mine)
    for name in world.papers:
        tally.looked_at += 1
        try:
            world.library.document(name, person=person)
        except NotFound:
            tally.foreign += name in mine  # a right that does not hold is wrong too
        else:
            tally.foreign += name not in mine


def search(world: World, alone: Library, person: str, asked: Sequence[tuple[str, str | None]], tally: Tally) -> None:
    """The same questions as this person, and in the library that holds only what they may read."""
    texts = {(paper.name, part) for paper in world.readable(person) for part in paper.parts}
    for question, collection in asked:
        here = told(world.library, question, person=person, collection=collection)
        there = told(alone, question, collection=collection)
        tally.searches += 1
        tally.found += len(here)
        tally.foreign += sum((document, text) not in texts for document, _, text, _ in here)
        same = [row[:3] for row in here] == [row[:3] for row in there] and np.allclose(
            [row[3] for row in here], [row[3] for row in there], rtol=0, atol=1e-6
        )
        tally.equal += same
        if not same and len(tally.shown) < 5:
            tally.shown.append(
                {"question": question, "here": [row[::3] for row in here], "there": [r[::3] for r in there]}
            )


def period(
    world: World, folder: Path, embedder: Known, plan: tuple[int, Sequence[str], random.Random], tally: Tally
) -> None:
    """Between two changes of rights: everybody searches, also who has left."""
    questions_each, questions, chance = plan
    alone: dict[frozenset[str], Library] = {}
    people = [*sorted(world.roles), "left" if "left" in world.roles else "stranger"]
    for person in people:
        mine = world.readable(person)
        key = frozenset(paper.name for paper in mine)
        if key not in alone:
            alone[key] = opened(folder / f"alone{len(alone)}", embedder)
            for paper in mine:
                put(alone[key], replace(paper, access=frozenset()), embedder)
        look(world, person, tally)
        asked = [
            (chance.choice(questions), chance.choice([None, None, None, *COLLECTIONS[:2]]))
            for _ in range(questions_each)
        ]
        search(world, alone[key], person, asked, tally)
    for library in alone.values():
        library.close()


def material(data: Path, paragraphs: int) -> tuple[list[str], list[str]]:
    """Paragraphs, one in eight a second time with a word changed, and questions about them."""
    with lzma.open(data / "qa" / "eval" / "new_wiki.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts = list(dict.fromkeys(row["context"].strip() for row in rows))[:paragraphs]
    held = set(texts)
    questions = list(dict.fromkeys(" ".join(row["question"].split()) for row in rows if row["context"].strip() in held))
    return texts + [f"{text} Checked." for text in texts[::8]], questions


def main() -> None:
    """Build, search, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--searches", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="400 searches over fewer paragraphs")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    least = 400 if given.quick else given.searches
    texts, questions = material(given.data, 60 if given.quick else 300)
    chance, tally, began = random.Random(given.seed), Tally(), time.monotonic()  # noqa: S311 - to be repeated
    settings = Settings()
    print(f"embedding {len(texts)} paragraphs and {len(questions)} questions", flush=True)
    embedder = Known(open_embedder(settings), texts, questions)
    libraries = 0
    while tally.searches < least:
        with tempfile.TemporaryDirectory(prefix="groundling-rights-") as place:
            world = made(Path(place) / "all", embedder, texts, chance)
            libraries += 1
            for number in range(4):
                period(world, Path(place) / str(number), embedder, (25, questions, chance), tally)
                for _ in range(4):
                    change(world, embedder, texts, chance)
                    tally.changes += 1
            world.library.close()
        print(f"{tally.searches} searches, {tally.foreign} foreign, {tally.equal} equal", flush=True)
    for one in tally.shown:
        print(json.dumps(one, ensure_ascii=False))
    result = {
        "searches": tally.searches, "foreign": tally.foreign,
        "top_k_equal": round(100 * tally.equal / tally.searches, 2), "k": K, "passages_found": tally.found,
        "documents_opened": tally.looked_at, "libraries": libraries, "changes": tally.changes, "seed": given.seed,
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    if not given.quick:
        record("rights", result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
