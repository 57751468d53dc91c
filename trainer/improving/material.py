"""What of a bundle teaches: judged rows, made questions, rows to replay; and those by which choices are made.

    rows.train ─► minus what was withdrawn ─► by document ─┬─► judged  (span labels, no-answer labels)
    made questions ────────────────────────────────────────┤
    replay ────────────────────────────────────────────────┴─► pools to learn from │ dev rows to choose by

Takes   an unpacked bundle, the rows that `synthesise` made, rows to replay (the shipped ones, or a file of one's own).
Gives   `Row`s: a reading row, and what it says of itself (id, documents, judgements), for the lineage.
Dev     one document in `dev_one_in` of the training side: its judged and its made rows choose, and teach nothing. The
        held side is never looked at here.
Refuses rows whose judgement or document was taken back: they are left out and counted.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainer import jsonl
from trainer.errors import DataError
from trainer.improving.bundle import Bundle
from trainer.improving.replay import shipped
from trainer.improving.settings import ImproveConfig
from trainer.rows import ReadingRow, row_of

PAIR, LABELS = "retriever pair", {"span label", "no-answer label"}  # names of `teaches` in a bundle


class Row(NamedTuple):
    """A row and where it comes from."""

    row: ReadingRow
    about: Mapping[str, Any]  # as the file has it, without its texts


class Material(NamedTuple):
    """What one run learns from, and chooses by."""

    pools: dict[str, list[Row]]  # kind -> rows to learn from
    dev: dict[str, list[Row]]  # kind -> rows to choose by
    withdrawn: int  # rows left out because somebody took them back


class TakenBack:
    """Judgements and documents that must not be learnt from any more."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        listed = list(rows)
        self.judgements = {str(row["judgement"]) for row in listed if row.get("judgement") is not None}
        self.documents = {row["document_id"] for row in listed if row.get("document_id") is not None}

    def holds(self, about: Mapping[str, Any]) -> bool:
        """Does a row rest on any of them?"""
        places = about.get("passages") or []
        documents = {about.get("document_id"), *(p.get("document_id") for p in places if isinstance(p, Mapping))}
        return bool(self.judgements & set(about.get("judgements", ())) or self.documents & documents)


def gather(bundle: Bundle, made: Path | None, config: ImproveConfig, replay: Path | None) -> Material:
    """Everything that is learnt from; `made` are the questions of `synthesise`. Raises DataError."""
    back = TakenBack(bundle.rows("withdrawn.jsonl"))
    found: dict[str, list[Row]] = {"judged": [], "synthetic": [], "replay": []}
    if config.judgements:
        found["judged"] = [row for row in parsed(bundle.folder / "rows.train.jsonl") if LABELS & teaches(row)]
    if made is not None:
        found["synthetic"] = few(located(parsed(made), bundle), config.most_synthetic, config.seed)
    general = shipped()
    found["replay"] = parsed(replay) if replay else [Row(row, {}) for row in general["train"]]
    kept = {kind: [row for row in rows if not back.holds(row.about)] for kind, rows in found.items()}
    withdrawn = sum(map(len, found.values())) - sum(map(len, kept.values()))
    if not kept["judged"] and not kept["synthetic"]:
        raise DataError(
            "nothing of this bundle teaches the reader: no accepted judgement points at words, and no question was "
            "made from its passages. Review judgements (rag judgements list), add documents, and export again"
        )
    pools: dict[str, list[Row]] = {}
    dev: dict[str, list[Row]] = {}
    for kind in ("judged", "synthetic"):
        pools[kind], chosen = split(kept[kind], config)
        dev[kind] = few(chosen, config.most_dev, config.seed)
    pools["replay"] = kept["replay"]
    dev["replay"] = [Row(row, {}) for row in general["dev"]][: config.most_dev]
    return Material({k: r for k, r in pools.items() if r}, {k: r for k, r in dev.items() if r}, withdrawn)


def parsed(path: Path) -> list[Row]:
    """The rows of a file. Raises DataError naming the line of one that is none."""
    rows = []
    for number, raw in jsonl.numbered(path):
        try:
            rows.append(Row(row_of(raw), {k: v for k, v in raw.items() if k not in ("question", "sources")}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}, line {number}: {type(error).__name__}: {error}; correct or remove it") from error
    return rows


def preferences(path: Path) -> list[Row]:
    """The rows of a preferences file: what they show, and where it comes from."""
    rows = []
    for raw in jsonl.objects(path):
        sources = tuple((str(heading), str(text)) for heading, text in raw["sources"])
        row = ReadingRow(raw["question"], sources, (), str(raw.get("domain", "")), str(raw.get("licence", "")))
        rows.append(Row(row, {k: v for k, v in raw.items() if k not in ("question", "sources")}))
    return rows


def located(rows: Sequence[Row], bundle: Bundle) -> list[Row]:
    """Made questions name their passages by id; here each says of which document it is."""
    kept = ("id", "document", "document_id", "version", "sha256")
    places = {p["id"]: {key: p.get(key) for key in kept} for p in bundle.rows("passages.train.jsonl")}
    return [
        row._replace(about={**row.about, "passages": [places[name] for name in row.about["passages"]]}) for row in rows
    ]


def teaches(row: Row) -> set[str]:
    """What the judgement is good for."""
    return set(row.about.get("teaches", ()))


def split(rows: Sequence[Row], config: ImproveConfig) -> tuple[list[Row], list[Row]]:
    """Rows to learn from and rows to choose by: by document; by question where one document has most of the rows."""
    for name in (document, question):
        dev = [zlib.crc32(f"dev {name(row)}".encode()) % config.dev_one_in == 0 for row in rows]
        if 0 < 3 * sum(dev) <= len(rows):
            break
    return [row for row, held in zip(rows, dev, strict=True) if not held], [
        row for row, held in zip(rows, dev, strict=True) if held
    ]


def document(row: Row) -> str:
    """What a row is about, equal in every run."""
    return str(row.about.get("document") or row.row.sources[0][1])


def question(row: Row) -> str:
    """What a row asks."""
    return row.row.question


def few(rows: Sequence[Row], most: int, seed: int) -> list[Row]:
    """At most so many, drawn by the seed, in their order."""
    if len(rows) <= most:
        return list(rows)
    return [rows[i] for i in sorted(random.Random(f"few {seed}").sample(range(len(rows)), most))]
