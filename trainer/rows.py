"""Reading rows: a question, the sources to read, which of them holds the answer, and where.

    qa/train/*.jsonl.xz ─┐
    pretrain/*.jsonl.xz ─┴─► examples ─► minus what evaluation sets hold ─► near misses ─► train / dev rows

Takes   question files (`{"question", "context", "title", "answers": [{"text", "start"}]}`) and raw text whose headings,
        lists and definitions become questions (`trainer.headings`).
Gives   `ReadingRow`s as JSONL. The gold source comes first; near misses follow, none with an answer string in it.
Refuses a row whose span is not literally in its source. What shares words with an evaluation set never gets here:
        `mixture.py` leaves it out first.
Misses  by BM25 and, where an encoder is given, by the embedder: what the product's own retrieval would confuse.
Source  BM25: Robertson & Zaragoza, 2009, doi:10.1561/1500000019.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer import files, jsonl, neighbours
from trainer.encoder import Encoder
from trainer.errors import DataError

WORD = re.compile(r"[^\W_]+")
LONGEST = 1_100  # characters of a source; the product's passages have about 900


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One question with its sources. `sources[0]` is gold when `spans` is not empty; each source is (heading, text)."""

    question: str
    sources: tuple[tuple[str, str], ...]
    spans: tuple[tuple[int, int], ...]  # characters in sources[0]'s text, one per annotator; empty: no source answers
    domain: str
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the one text that answers it, before near misses are found."""

    question: str
    heading: str
    text: str
    spans: tuple[tuple[int, int], ...]
    domain: str
    licence: str


def question_file(path: Path, *, seed: int) -> Iterator[Example]:
    """Examples of one question file; contexts longer than LONGEST are cut to a window around the answer."""
    chance = random.Random(seed)
    for number, raw in jsonl.numbered(path):
        try:
            example = example_of(raw, path.name.split(".")[0], chance)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f'{path}, line {number}: {type(error).__name__}: {error}. Each line is {{"question", "context", '
                '"answers": [{"text", "start"}]}; correct or remove that line'
            ) from error
        if example is not None:
            yield example


def example_of(raw: dict[str, Any], domain: str, chance: random.Random) -> Example | None:
    """One line of a question file; None where it says that there is an answer and shows none that can be pointed at."""
    text, answers = str(raw.get("context", "")), raw.get("answers") or []
    spans = [(a["start"], a["start"] + len(a["text"])) for a in answers if a["start"] >= 0 and a["text"]]
    spans = [(s, e) for s, e in spans if text[s:e].strip()]
    text, kept = window(text, spans, chance)
    if not kept and (spans or raw.get("answerable", True)):
        return None  # an answer that is longer than a source may be: without it the row would teach to refuse
    heading = heading_of(str(raw.get("title", "")))
    return Example(str(raw["question"]).strip(), heading, text, tuple(kept), domain, str(raw.get("licence", "")))


def heading_of(title: str) -> str:
    """What is read above a context; titles that only number their file say nothing.

    >>> heading_of("Acid_rain"), heading_of("Reddit_4120")
    ('Acid rain', '')
    """
    return "" if re.search(r"_\d+$|^$", title) else title.replace("_", " ")


def window(text: str, spans: list[tuple[int, int]], chance: random.Random) -> tuple[str, list[tuple[int, int]]]:
    """Cut a long text at sentence ends to at most LONGEST characters that still hold the first span.

    >>> window("A b. " * 400, [(1000, 1001)], random.Random(0))[1] != []
    True
    """
    if len(text) <= LONGEST:
        return text, spans
    first, last = spans[0] if spans else (0, 1)
    room = max(0, LONGEST - (last - first))
    start = max(0, min(first - chance.randint(0, room), len(text) - LONGEST))
    ends = [m.end() for m in re.finditer(r"(?<=[.!?])\s+|\n+", text)]
    start = max((e for e in ends if e <= first and e >= start), key=lambda e: -e, default=start)
    stop = min(len(text), start + LONGEST)
    stop = max((e for e in ends if e <= stop and e >= last), default=stop)
    return text[start:stop].rstrip(), [(s - start, e - start) for s, e in spans if s >= start and e <= stop]


# --- near misses ------------------------------------------------------------------------------------------------------


class BM25:
    """Okapi BM25 over a fixed list of texts, in memory: made to mine near misses, not to serve."""

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        counts = [Counter(WORD.findall(text.lower())) for text in texts]
        lengths = np.array([sum(c.values()) for c in counts], dtype=np.float32)
        norm = k1 * (1 - b + b * lengths / max(1.0, float(lengths.mean()) if len(lengths) else 1.0))
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for index, count in enumerate(counts):
            for word, times in count.items():
                postings[word].append((index, times))
        self.size = len(texts)
        self.weights: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # word -> (text indices, BM25 weights)
        for word, pairs in postings.items():
            which = np.array([p[0] for p in pairs])
            counted = np.array([p[1] for p in pairs], dtype=np.float32)
            rarity = math.log(1 + (len(texts) - len(pairs) + 0.5) / (len(pairs) + 0.5))
            self.weights[word] = (which, rarity * counted * (k1 + 1) / (counted + norm[which]))

    def top(self, query: str, k: int) -> list[int]:
        """Indices of the k best texts, best first."""
        scores = np.zeros(self.size, dtype=np.float32)
        for word in set(WORD.findall(query.lower())):
            if word in self.weights:
                which, weights = self.weights[word]
                scores[which] += weights
        k = min(k, self.size)
        best = np.argpartition(-scores, k - 1)[:k]
        return [int(i) for i in best[np.argsort(-scores[best])]]


def in_context(heading: str, text: str) -> str:
    """A passage as it is embedded and searched: its heading path in front.

    >>> in_context("Leave > Annual", "27 days.")
    'Leave > Annual\\n27 days.'
    """
    return f"{heading}\n{text}" if heading else text


def normalise(text: str) -> str:
    """Lower-cased words with single spaces: how two answers are compared."""
    return " ".join(WORD.findall(text.lower()))


def with_near_misses(
    examples: Sequence[Example], *, misses: int, seed: int, encoder: Encoder | None = None, easy: bool = False
) -> Iterator[ReadingRow]:
    """Add to each example texts that are easily confused with its own and that hold none of its answers.

    encoder: look for them with the embedder too, taking turns with BM25; easy: take any texts, for sets in which dozens
    of texts answer the same question (what did people like about this book?), where the nearest are no misses at all.
    """
    texts = sorted({(e.heading, e.text) for e in examples})
    where = {pair: index for index, pair in enumerate(texts)}
    plain = [f" {normalise(text)} " for _, text in texts]
    chance = random.Random(seed)
    found = confused(examples, texts, misses=misses, chance=chance, encoder=encoder, easy=easy)
    for example, candidates in zip(examples, found, strict=True):
        own = where[(example.heading, example.text)]
        wanted = [f" {normalise(example.text[s:e])} " for s, e in example.spans]
        near: list[int] = []
        for index in candidates:
            overlap = plain[index][:60] == plain[own][:60]
            if index != own and not overlap and not any(w in plain[index] for w in wanted):
                near.append(index)
        near = near[: misses * 2]
        chance.shuffle(near)
        sources = ((example.heading, example.text), *(texts[i] for i in near[:misses]))
        yield ReadingRow(example.question, sources, example.spans, example.domain, example.licence)


def confused(
    examples: Sequence[Example],
    texts: Sequence[tuple[str, str]],
    *,
    misses: int,
    chance: random.Random,
    encoder: Encoder | None,
    easy: bool,
) -> Iterator[list[int]]:
    """For each example the indices of candidates for near misses, the most confusing first."""
    count = misses * 4 + 4
    if easy:
        for _ in examples:
            yield chance.sample(range(len(texts)), min(count, len(texts)))
        return
    whole = [in_context(*pair) for pair in texts]
    engine = BM25(whole)
    near = None
    if encoder is not None:
        vectors = neighbours.embed(whole, encoder)
        near = neighbours.nearest(vectors, neighbours.embed([e.question for e in examples], encoder), count)
    for at, example in enumerate(examples):
        by_words = engine.top(example.question, count)
        by_meaning = by_words if near is None else near[at].tolist()
        yield list(dict.fromkeys(i for pair in zip(by_words, by_meaning, strict=True) for i in pair))


def write_rows(rows: Iterable[ReadingRow], path: Path) -> int:
    """Write rows as JSONL, aside and renamed; returns their number."""
    count = 0
    with files.aside(path) as part, part.open("w", encoding="utf-8") as out:
        for count, row in enumerate(rows, 1):  # noqa: B007 (the last number is the result)
            out.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
    return count


def read_rows(path: Path) -> list[ReadingRow]:
    """Rows written by `write_rows`. Raises DataError naming the line of a row that is none."""
    rows = []
    for number, raw in jsonl.numbered(path):
        try:
            rows.append(row_of(raw))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f'{path}, line {number}: {type(error).__name__}: {error}. A reading row is {{"question", "sources": '
                '[[heading, text], ...], "spans": [[start, end], ...], "domain"}; correct or remove that line'
            ) from error
    return rows


def row_of(raw: dict[str, Any]) -> ReadingRow:
    """One row from plain values. Raises ValueError, KeyError or TypeError."""
    row = ReadingRow(
        str(raw["question"]),
        tuple((str(heading), str(text)) for heading, text in raw["sources"]),
        tuple((int(start), int(end)) for start, end in raw["spans"]),
        str(raw["domain"]),
        str(raw.get("licence", "")),
    )
    if not row.sources:
        raise ValueError("sources are empty; a row shows at least one")
    if any(not 0 <= start < end <= len(row.sources[0][1]) for start, end in row.spans):
        raise ValueError(f"spans {row.spans} lie outside the first source")
    return row
