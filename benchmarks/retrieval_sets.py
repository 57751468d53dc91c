"""Six collections of texts with questions and judged texts, on which retrieval is compared.

    vaswani, cisi, cacm    old abstracts with long, formal queries (Glasgow's classic collections)
    msmarco                5,000 passages of the web, 50 short queries, graded judgements
    new_wiki               paragraphs of Wikipedia; to each question one paragraph belongs
    handbooks              1,200 pages of three handbooks; to each question the pages that its set names

Takes   the data folder.
Gives   `Collection`s: every system gets the same texts and the same questions.
Left out: texts without a word, questions without a judged text, handbook questions that have no answer.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEIR = ("vaswani", "cisi", "cacm", "msmarco")
NAMES = (*BEIR, "new_wiki", "handbooks")
HANDBOOKS = ("sourcegraph", "18F", "alphagov")
ASKED = ("sourcegraph", "18F")  # the handbooks that have questions
PAGES = (".md", ".html", ".htm")


@dataclass(frozen=True)
class Text:
    """One document: what a person would see as its title (perhaps none) and its words."""

    id: str
    title: str
    text: str
    suffix: str = ".md"  # of the file that it is or would be

    @property
    def whole(self) -> str:
        """Title and words in one, for systems that know no titles."""
        return f"{self.title}\n{self.text}" if self.title else self.text

    @property
    def file(self) -> str:
        """The name of the file that it is or would be."""
        return self.id if self.id.endswith(self.suffix) else self.id + self.suffix

    @property
    def page(self) -> str:
        """As a file: the title as its heading."""
        return f"# {self.title}\n\n{self.text}" if self.title else self.text


@dataclass(frozen=True)
class Collection:
    """Texts, questions by id, and for each question the gain (1 or more) of each text that was judged to help."""

    name: str
    texts: list[Text]
    questions: dict[str, str]
    gains: dict[str, dict[str, int]]


def read(data: Path, name: str) -> Collection:
    """One of `NAMES`."""
    if name in BEIR:
        return _beir(data / "retrieval" / name, name)
    return _wiki(data) if name == "new_wiki" else _handbooks(data)


def _beir(folder: Path, name: str) -> Collection:
    file = next(file for file in (folder / "corpus.jsonl", folder / "corpus.jsonl.xz") if file.exists())
    rows = [Text(row["_id"], _line(row["title"]), row["text"].strip()) for row in _rows(file)]
    texts = [text for text in rows if text.whole.strip()]
    known = {text.id for text in texts}
    gains: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        question, text, gain = line.split("\t")
        if text in known and gain.isdigit() and int(gain) > 0:  # "score" is the heading of the column
            gains.setdefault(question, {})[text] = int(gain)
    questions = {row["_id"]: _line(row["text"]) for row in _rows(folder / "queries.jsonl")}
    return Collection(name, texts, {key: words for key, words in questions.items() if key in gains}, gains)


def _wiki(data: Path) -> Collection:
    rows = list(_rows(data / "qa" / "eval" / "new_wiki.jsonl.xz"))
    ids = {context: f"p{at:04}" for at, context in enumerate(dict.fromkeys(row["context"] for row in rows))}
    return Collection(
        "new_wiki",
        [Text(ids[context], "", context) for context in ids],
        {f"q{at:04}": row["question"] for at, row in enumerate(rows)},
        {f"q{at:04}": {ids[row["context"]]: 1} for at, row in enumerate(rows)},
    )


def _handbooks(data: Path) -> Collection:
    folder = data / "documents" / "handbooks"
    texts = [
        Text(file.relative_to(folder).as_posix(), "", file.read_text(encoding="utf-8", errors="replace"), file.suffix)
        for name in HANDBOOKS for file in sorted((folder / name).rglob("*")) if file.suffix.lower() in PAGES
    ]  # fmt: skip
    known = {text.id for text in texts}
    questions: dict[str, str] = {}
    gains: dict[str, dict[str, int]] = {}
    for name in ASKED:
        for row in _rows(folder / f"{name}.questions.jsonl"):
            wanted = {f"{name}/{path}": 1 for path in row.get("documents", ()) if f"{name}/{path}" in known}
            if row.get("answerable", True) and wanted:
                key = f"{name}/{row['id']}"
                questions[key], gains[key] = row["question"], wanted
    return Collection("handbooks", [text for text in texts if text.whole.strip()], questions, gains)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    opened = lzma.open if file.suffix == ".xz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _line(text: str) -> str:
    return " ".join(text.split())
