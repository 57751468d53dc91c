"""Which rows taught a model, and which models saw a document that has gone since.

    MODEL/lineage.json {"format": 1, "bundle", "base": {"name", "fingerprint"}, "rows": [{"document_id", "judgements"}]}

Takes   model folders, and the catalogue, which knows what became of documents and judgements.
Gives   `Lineage`: what one model learnt from, those it was made from included; the marks of each version; the last
        version without any.
Marks   are never stored: what was removed, closed or withdrawn is looked up each time, so none can be forgotten.
Refuses (ModelError) a lineage.json that cannot be read. A model without one is of unknown origin, which is a mark too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag import bundle
from rag.catalogue import Catalogue
from rag.errors import ModelError
from rag.read import fingerprint
from rag.versions import Version, Versions

FORMAT = 1
FILE = "lineage.json"
UNKNOWN = "what it learnt from is not known: it has no lineage.json"
_FAMILY = """
    select d.id, min(f.id) from documents d join documents f
    on f.collection = d.collection and f.source = d.source and f.path = d.path group by d.id"""


@dataclass(frozen=True)
class Lineage:
    """What one model learnt from."""

    bundles: tuple[str, ...]
    base: Mapping[str, Any]  # name and fingerprint of the model that it was made from
    rows: int
    foreign: int  # of them with a bundle that this library did not write: what they show is not known here
    judgements: frozenset[str]
    documents: frozenset[int]  # versions, by their ids in the catalogue
    members: Mapping[int, int]  # a version ─► the first version of the same document

    @property
    def families(self) -> frozenset[int]:
        """Its documents, whatever their versions."""
        return self.of(self.documents)

    def of(self, documents: Iterable[int]) -> frozenset[int]:
        """Documents, whatever their versions."""
        return frozenset(self.members.get(document, document) for document in documents)


@dataclass(frozen=True, slots=True)
class Marked:
    """One version, and what is wrong with what it learnt from."""

    version: Version
    lineage: Lineage | None
    marks: tuple[str, ...]  # a line each; none: clean
    removed: tuple[int, ...] = ()  # documents it saw that were removed or closed


def read(folder: Path) -> dict[str, Any] | None:
    """What a folder's lineage.json says; None where there is none. Raises ModelError."""
    file = folder / FILE
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{file}: cannot be read ({error}). `trainer improve` writes it; make the model anew"
        ) from error
    fits = isinstance(said, dict) and said.get("format") == FORMAT and isinstance(said.get("rows"), list)
    if not fits or not isinstance(said.get("base"), dict):
        found = said.get("format") if isinstance(said, dict) else type(said).__name__
        raise ModelError(
            f"{file}: format {found!r}; need format {FORMAT} with base and rows, as `trainer improve` writes"
        )
    return dict(said)


def lineage(catalogue: Catalogue, folder: Path, versions: Versions) -> Lineage | None:
    """What a model learnt from, together with what those learnt from that it was made from. None: not known."""
    said = read(folder)
    if said is None:
        return None
    earlier = _earlier(said, folder, versions)
    if earlier is None:
        return None
    own = {row[0] for row in catalogue.db.execute("select id from bundles")}
    every = [(row, one.get("bundle") in own) for one in (said, *earlier) for row in one["rows"]]
    rows = [row for row, ours in every if ours]  # ids of another library mean other documents
    bundles = [one.get("bundle") for one in (said, *earlier)]
    foreign = count([row for row, ours in every if not ours])
    return Lineage(
        bundles=tuple(str(one) for one in bundles if one),
        base=said["base"],
        rows=count(rows) + foreign,
        foreign=foreign,
        judgements=frozenset(str(one) for row in rows for one in row.get("judgements") or ()),
        documents=frozenset(int(row["document_id"]) for row in rows if row.get("document_id") is not None),
        members={int(one): int(first) for one, first in catalogue.db.execute(_FAMILY)},
    )


def count(lines: Iterable[Mapping[str, Any]]) -> int:
    """How many rows these lines are about: a row has a line for each document that it showed."""
    return len({line.get("id") or f"line {at}" for at, line in enumerate(lines)})


def _earlier(said: dict[str, Any], folder: Path, versions: Versions) -> list[dict[str, Any]] | None:
    """Lineages of the models that this one was made from: those it carries, else as they lie here. None: not known."""
    if said.get("earlier"):
        return [dict(one) for one in said["earlier"]]
    found: list[dict[str, Any]] = []
    seen = {folder.resolve()}
    while made_from := made_by(versions, str(said["base"].get("fingerprint", ""))):
        if made_from.resolve() in seen:
            break
        seen.add(made_from.resolve())
        before = read(made_from)
        if before is None:
            return None
        found.append(before)
        if before.get("earlier"):
            return [*found, *before["earlier"]]
        said = before
    return found


def made_by(versions: Versions, wanted: str) -> Path | None:
    """The promoted version with this fingerprint, or None."""
    for version in versions.history():
        if (str(version.about.get("fingerprint") or "") or _fingerprint(version.folder)) == wanted:
            return version.folder
    return None


def _fingerprint(folder: Path) -> str:
    try:
        return fingerprint(folder)
    except OSError:
        return ""


# --- marks ------------------------------------------------------------------------------------------------------------


def marked(catalogue: Catalogue, versions: Versions) -> list[Marked]:
    """Every version with its marks, the oldest first."""
    gone = bundle.withdrawn(catalogue)
    found = []
    for version in versions.history():
        try:
            learnt = lineage(catalogue, version.folder, versions)
        except ModelError as error:
            found.append(Marked(version, None, (str(error),)))
            continue
        if learnt is None:
            found.append(Marked(version, None, (UNKNOWN,)))
            continue
        lines, removed = marks(catalogue, learnt, gone)
        found.append(Marked(version, learnt, tuple(lines), removed))
    return found


def marks(
    catalogue: Catalogue, learnt: Lineage, gone: Sequence[Mapping[str, Any]] | None = None
) -> tuple[list[str], tuple[int, ...]]:
    """What is wrong with what a model learnt from, a line each, and the documents that are gone."""
    gone = bundle.withdrawn(catalogue) if gone is None else gone
    names = dict(catalogue.db.execute("select id, name from documents").fetchall())
    lines: dict[str, None] = {}
    removed = []
    for row in gone:
        document = row.get("document_id")
        if document in learnt.documents and row["reason"] in ("removed", "closed"):
            removed.append(document)
            lines[f"it saw {names.get(document, f'document {document}')}, which was {row['reason']} since"] = None
    if learnt.foreign:
        lines[f"{learnt.foreign} of the rows that taught it come from another library"] = None
    taken = sum(row.get("judgement") in learnt.judgements for row in gone)
    if taken:
        lines[f"{taken} of the judgements it learnt from do not stand any more"] = None
    return list(lines), tuple(removed)


def saw(catalogue: Catalogue, versions: Versions, documents: Iterable[int]) -> list[int]:
    """The versions that learnt from one of these documents, in whatever version; unknown origins count as well."""
    wanted = set(documents)
    found = []
    for version in versions.history():
        try:
            learnt = lineage(catalogue, version.folder, versions)
        except ModelError:
            learnt = None
        if learnt is None or learnt.families & learnt.of(wanted):
            found.append(version.number)
    return found


def last_clean(catalogue: Catalogue, versions: Versions) -> int | None:
    """The latest version that saw nothing of what is gone; None: the base, which learnt from no document here.

    One that learnt with another library's rows may have seen anything. A withdrawn judgement leaves a version clean:
    it is a mark, and no document.
    """
    clean = [
        one.version.number
        for one in marked(catalogue, versions)
        if one.lineage and not one.lineage.foreign and not one.removed
    ]
    return max(clean, default=None)
