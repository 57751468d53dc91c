"""Accepted judgements and the documents' passages leave the library as one file to learn from.

    accepted judgements ─► lessons ─► contradictions settled ─► split by document ─► one person's share capped
        ─► rows with near misses ─► ZIP aside ─► remembered by id ─► renamed

Takes   an open library, and whom the bundle is for: everybody of the library, or the named persons.
Gives   the file (docs/judgements.md) and a `Bundled`: what went in, and what was left out for which reason.
Refuses to write without a model folder, whose identity the bundle names (ModelError), and while documents change.
Remembers by id which judgements and documents left the library: what is withdrawn, rejected, changed, erased, removed
        or closed later is listed in every later bundle. Nothing unreviewed is in any.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rag import feedback, lessons, review, training_rows
from rag.audit import Audit
from rag.bundle_file import BundleFile
from rag.catalogue import Catalogue, now
from rag.errors import ModelError, SettingsError
from rag.lessons import Lesson
from rag.parts import Parts
from rag.read import fingerprint, model_config
from rag.readable import LeftOut, Readable, open_to
from rag.split import Split, split
from rag.training_rows import Sides

FLOOR = 20  # judgements of one person that always count: in a small bundle a share says little
TRIES = 3  # documents that change while the bundle is made let it begin again
PAIR, SINGLE = "preferred of two", "single thumb"
BECOMES = (review.RETRIEVER, review.SPAN, review.NO_ANSWER, SINGLE, PAIR)  # what a judgement becomes in a bundle
CONTRADICTED = "people contradict each other about it"
EVERYWHERE = "its words stand in almost every document"
CAPPED = "one person's share is full"


class Wanted(NamedTuple):
    """What a bundle is to hold."""

    audience: tuple[str, ...] = ()  # empty: everybody of the library
    collection: str | None = None
    passages: bool = True  # also the passages nobody judged
    seed: str = ""  # of the first choice of sides; empty: the library's id


@dataclass(frozen=True, slots=True)
class Bundled:
    """What became of the judgements."""

    file: str
    id: str
    bytes: int
    rows: dict[str, int]  # by member of the file
    judgements: int  # that the bundle holds
    people: int
    left_out: dict[str, int]  # accepted judgements that it does not hold, by reason
    withdrawn: int
    documents: dict[str, int]  # train, held

    def as_dict(self) -> dict[str, Any]:
        """For `rag export --bundle FILE --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a bundle would hold now, counted before its rows are made."""

    becomes: dict[str, dict[str, int]]  # judgements by what they become (of BECOMES): on the side train, held
    judgements: int
    people: int
    left_out: dict[str, int]  # accepted judgements that it would not hold, by reason
    documents: dict[str, int]  # train, held
    passages: dict[str, int]


@dataclass
class _Course:
    """What is known of one bundle while it is made."""

    parts: Parts
    wanted: Wanted
    readable: Readable
    split: Split
    lessons: list[Lesson]
    left_out: Counter[str]
    generation: int
    rows: dict[str, int] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)  # documents whose words are in the file


def write(parts: Parts, file: Path, wanted: Wanted, *, person: str) -> Bundled:
    """Make the bundle; the same library gives the same bytes."""
    model = base_model(parts.settings.model)
    for _ in range(TRIES):
        generation = parts.refresh()
        with BundleFile(file) as out:
            with parts.catalogue.snapshot():
                course = _gathered(parts, wanted, generation)
                gone = withdrawn(parts.catalogue)
                _fill(out, course, gone)
            if parts.catalogue.generation != generation:
                continue  # a document was changed, removed or closed meanwhile: it may not leave as it was
            identity = out.finish(_manifest(course, model))
            _remember(course, identity, person)
            size = out.place()
        sides = Counter(course.split.held.values())
        return Bundled(
            str(file), identity, size, course.rows, len(course.lessons), _people(course.lessons),
            dict(sorted(course.left_out.items())), len(gone), {"train": sides[False], "held": sides[True]},
        )  # fmt: skip
    raise SettingsError(f"{file}: the documents kept changing, so no bundle was written. Try again when they rest")


def base_model(folder: Path) -> dict[str, Any]:
    """Name, fingerprint and checksums of the model that a bundle is meant to improve. Raises ModelError."""
    config = model_config(folder)
    try:
        sums = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
            if path.name in ("config.json", "model.safetensors", "tokenizer.json")
        }
        return {"name": config["name"], "kind": config["kind"], "fingerprint": fingerprint(folder), "sha256": sums}
    except OSError as error:
        raise ModelError(
            f"{folder}: the model cannot be read ({error}). Restore the folder, or choose another"
        ) from error


def foreseen(parts: Parts, wanted: Wanted | None = None) -> Foreseen:
    """What a bundle made now would hold; nothing is written or remembered."""
    generation = parts.catalogue.generation
    with parts.catalogue.snapshot():
        course = _gathered(parts, wanted or Wanted(), generation)
        held = course.split.held
        passages = Counter(
            held[document]
            for identity, document in parts.catalogue.db.execute("select id, document_id from passages")
            if document in held and identity not in course.split.everywhere
        )
    becomes = {kind: {"train": 0, "held": 0} for kind in BECOMES}
    for lesson in course.lessons:
        for kind in _becomes(lesson):
            becomes[kind]["held" if held[lesson.home] else "train"] += 1
    sides = Counter(held.values())
    return Foreseen(
        becomes, len(course.lessons), _people(course.lessons), dict(sorted(course.left_out.items())),
        {"train": sides[False], "held": sides[True]}, {"train": passages[False], "held": passages[True]},
    )  # fmt: skip


def taught(parts: Parts, wanted: Wanted) -> tuple[list[Lesson], Split]:
    """What accepted judgements teach now, and on which side each document stands; nothing is written or remembered."""
    with parts.catalogue.snapshot():
        course = _gathered(parts, wanted, parts.catalogue.generation)
    return course.lessons, course.split


def _becomes(lesson: Lesson) -> Iterator[str]:
    yield from (kind for kind in lesson.teaches if kind in BECOMES)
    if review.PREFERENCE in lesson.teaches:
        yield PAIR if lesson.chosen is not None and lesson.rejected is not None else SINGLE


# --- what goes in -----------------------------------------------------------------------------------------------------


def _gathered(parts: Parts, wanted: Wanted, generation: int) -> _Course:
    """The lessons of accepted judgements, each document's side, and why others are left out."""
    catalogue = parts.catalogue
    readable = Readable(catalogue, wanted.audience, wanted.collection)
    left_out: Counter[str] = Counter()
    found: list[Lesson] = []
    for made in feedback.judgements(catalogue, state="accepted"):
        try:
            found.append(lessons.lesson(catalogue, readable, made))
        except LeftOut as why:
            left_out[str(why)] += 1
    agreed = training_rows.settled(found)
    left_out[CONTRADICTED] += len(found) - len(agreed)
    homes = {lesson.home for lesson in agreed}
    share = parts.settings.held_out
    sides = split(catalogue, list(readable.documents), _together(agreed), homes, share=share, seed=wanted.seed)
    seen = [lesson for lesson in agreed if not _everywhere(lesson, sides)]
    left_out[EVERYWHERE] += len(agreed) - len(seen)
    kept = capped(catalogue, seen, share=parts.settings.influence)
    left_out[CAPPED] += len(seen) - len(kept)
    return _Course(parts, wanted, readable, sides, kept, +left_out, generation)


def _together(found: Sequence[Lesson]) -> list[list[int]]:
    """Documents whose words one row carries, and those that one question is about."""
    questions: dict[str, list[int]] = {}
    for lesson in found:
        questions.setdefault(training_rows.asked(lesson), []).append(lesson.home)
    return [*(list(lesson.tied) for lesson in found), *questions.values()]


def _everywhere(lesson: Lesson, sides: Split) -> bool:
    place = lesson.answers
    return place is not None and place.passage.id in sides.everywhere


def capped(catalogue: Catalogue, found: Sequence[Lesson], *, share: float, floor: int = FLOOR) -> list[Lesson]:
    """At most `share` of what is left from one person, but FLOOR in any case; first what others agree with."""
    given = Counter(lesson.judgement.person for lesson in found)
    most = max(given.values(), default=0)
    while most > floor:
        fewer = max(floor, int(share * sum(min(count, most) for count in given.values())))
        if fewer >= most:
            break
        most = fewer
    agreed = review.agreements(catalogue)
    taken: Counter[str] = Counter()
    kept: set[str] = set()

    def last(lesson: Lesson) -> tuple[int, str, str]:
        made = lesson.judgement
        return -agreed.get(made.id, review.Agreement(0, 0)).alike, made.at, made.id

    for lesson in sorted(found, key=last):
        if taken[lesson.judgement.person] < most:
            taken[lesson.judgement.person] += 1
            kept.add(lesson.judgement.id)
    return [lesson for lesson in found if lesson.judgement.id in kept]


def _people(found: Sequence[Lesson]) -> int:
    return len({lesson.judgement.person for lesson in found})


def _fill(out: BundleFile, course: _Course, gone: list[dict[str, Any]]) -> None:
    sides = Sides(course.parts, course.readable, course.split)
    reading = training_rows.reading_rows(sides, course.lessons)
    preferred = training_rows.preference_rows(sides, course.lessons)
    for side in (sides.train, sides.held):
        name = "held" if side.held else "train"
        passages = training_rows.passage_rows(sides, side) if course.wanted.passages else ()
        for kind, rows in (
            ("rows", reading),
            ("preferences", preferred),
            ("passages", ((side.held, p) for p in passages)),
        ):
            out.add(f"{kind}.{name}.jsonl", _noted(course, (row for held, row in rows if held is side.held)))
    out.add("withdrawn.jsonl", gone)
    course.rows = {name: about["rows"] for name, about in out.members.items()}


def _noted(course: _Course, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same rows; which documents' words they carry is noted on the way."""
    for row in rows:
        course.shown.update(place["document_id"] for place in row.get("passages", [row]))
        yield row


def _manifest(course: _Course, model: dict[str, Any]) -> dict[str, Any]:
    given = Counter(lesson.judgement.person for lesson in course.lessons)
    most = max(given.values(), default=0)
    held = Counter(course.split.held.values())
    return {
        "library": course.parts.catalogue.library_id,
        "generation": course.generation,
        "audience": sorted(set(course.wanted.audience)),  # empty: everybody of the library
        "collection": course.wanted.collection,
        "base_model": model,
        "embedder": {"name": course.parts.settings.embedder, "identity": course.parts.catalogue.embedder,
                     "query_side": course.parts.embedder.query_side},
        "documents": {"train": held[False], "held": held[True]},
        "passages_everywhere": len(course.split.everywhere),
        "judgements": {"held": len(course.lessons), "people": len(given), "most_from_one_person": most,
                       "influence": course.parts.settings.influence, "floor": FLOOR},
        "left_out": dict(sorted(course.left_out.items())),
    }  # fmt: skip


# --- what left the library --------------------------------------------------------------------------------------------


def _remember(course: _Course, identity: str, person: str) -> None:
    """By id, without any words; writing the same bundle again is nothing new."""
    catalogue = course.parts.catalogue
    with catalogue.atomic() as db:
        values = (identity, now(), person, course.generation)
        if not db.execute("insert or ignore into bundles values (?, ?, ?, ?)", values).rowcount:
            return
        db.executemany(
            "insert into bundle_judgements values (?, ?)",
            [(identity, lesson.judgement.id) for lesson in course.lessons],
        )
        db.executemany(
            "insert into bundle_documents values (?, ?, ?)",
            [(identity, document, int(course.split.held[document])) for document in sorted(course.shown)],
        )
        Audit(catalogue).record("exported", person, {
            "entry": identity, "audience": sorted(set(course.wanted.audience)), "collection": course.wanted.collection,
            "judgements": len(course.lessons), "documents": len(course.shown),
        })  # fmt: skip


_JUDGEMENTS = """
    select b.judgement_id, j.state, j.withdrawn, j.withdrawn_at, j.reviewed_at, j.edited_at,
           a.payload is null or (j.other_id is not null and o.payload is null)
    from (select distinct judgement_id from bundle_judgements) b left join judgements j on j.id = b.judgement_id
    left join audit a on a.id = j.answer_id left join audit o on o.id = j.other_id order by b.judgement_id"""
_DOCUMENTS = """
    select b.document_id, b.bundle_id, d.removed_at, c.id
    from bundle_documents b join documents d on d.id = b.document_id left join documents c
    on c.collection = d.collection and c.source = d.source and c.path = d.path and c.current = 1
    order by b.document_id"""
_OF_BUNDLE = "select {0}_id from bundle_{0}s where bundle_id = ?"
_GRAVITY = ("replaced", "closed", "removed")  # the gravest is told


def withdrawn(catalogue: Catalogue) -> list[dict[str, Any]]:
    """What earlier bundles held and must not be learnt from any more: judgements and documents, with the reason."""
    found = [_taken_back(*row) for row in catalogue.db.execute(_JUDGEMENTS)]
    audiences = {
        str(entry.payload["entry"]): tuple(entry.payload["audience"])
        for entry in Audit(catalogue).entries(kind="exported")
        if entry.payload
    }
    gone: dict[int, dict[str, Any]] = {}
    opened = {audience: open_to(catalogue, audience) for audience in {(), *audiences.values()}}
    for document, bundle, removed_at, today in catalogue.db.execute(_DOCUMENTS).fetchall():
        closed = today not in opened[audiences.get(bundle, ())]
        reason = "removed" if today is None else "closed" if closed else "replaced" if today != document else ""
        before = gone.get(document, {}).get("reason", "")
        if reason and (not before or _GRAVITY.index(reason) > _GRAVITY.index(before)):
            gone[document] = {
                "document_id": document,
                "reason": reason,
                "at": removed_at if reason == "removed" else None,
            }
    return [row for row in found if row["reason"]] + list(gone.values())


def taken_back(catalogue: Catalogue, bundle: str) -> int:
    """How much of one bundle must not be learnt from any more; a document's new version closes nothing."""
    judgements = {row[0] for row in catalogue.db.execute(_OF_BUNDLE.format("judgement"), (bundle,))}
    documents = {row[0] for row in catalogue.db.execute(_OF_BUNDLE.format("document"), (bundle,))}
    gone = (row for row in withdrawn(catalogue) if row["reason"] != "replaced")
    return sum(row.get("judgement") in judgements or row.get("document_id") in documents for row in gone)


def _taken_back(judgement: str, state: str | None, taken: int, taken_at: str, *rest: Any) -> dict[str, Any]:
    """A judgement that an earlier bundle held; no reason where it still stands."""
    reviewed_at, edited_at, erased = rest
    reason, at = "", None
    if state is None:  # the library was restored from a backup that did not know it
        reason = "missing"
    elif taken:
        reason, at = "withdrawn", taken_at
    elif erased:
        reason = "erased"
    elif state == "rejected":
        reason, at = "rejected", reviewed_at
    elif state == "new":
        reason, at = "in review again", edited_at
    return {"judgement": judgement, "reason": reason, "at": at}
