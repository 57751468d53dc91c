"""**Journey 1**: a file becomes passages that can be found.

    discover ─► same bytes? done ─► parse in children ─► embed what is new ─► a commit a document ─► copies follow
                                    load · clean · chunk                      catalogue and audit    FAISS · tantivy

Takes   an open library's `Parts` and paths of files and folders, or the bytes of an upload.
Gives   one `FileReport` for every file met. A file that cannot be read is one line with its reason; the others go on.
Whole   a document is there or it is not, whenever the power fails; the version before answers until the new one stands.
Twice   the same bytes cost one hash; a passage whose words stand in the library already is not embedded again.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rag import access as rights
from rag import commit, embedders
from rag.discover import UPLOAD, Found, Missing, discover, is_archive, source_of, upload_path
from rag.errors import GroundlingError
from rag.load import READERS
from rag.parse import Parsed, Pool, context, digest
from rag.parts import Parts
from rag.types import DEFAULT_COLLECTION, Document, FileReport

GROUP = 256  # new passages embedded together: enough to sort by length, little enough to lose
SERVED_S = 1.0  # seconds after which a commit can be found, by other processes too, however many follow
IDLE_S = 0.5  # seconds without a file that is ready to be embedded
AHEAD = 64  # files being read before the first of them is embedded
PLAIN = frozenset({".md", ".txt", ".rst", ".csv", ".tsv", ".json", ".log"})  # read by our own code: no child for a few
FEW = 8
FIRST = 64  # passages of the first group: embedding begins while most files are still being read
ERASED_AT_ONCE = 20_000  # passages: up to here removing also rewrites both copies (at most a second)

Vectors = dict[str, npt.NDArray[np.float32]]


class Progress(NamedTuple):
    """Where an ingestion stands."""

    done: int  # files
    total: int
    file: str  # the one that was finished or is being embedded
    passages: int  # embedded or found known so far
    passages_per_second: float
    seconds_left: float | None  # None before there is anything to judge by


@dataclass
class _Course:
    """One run of `ingest`: what it was asked and how far it is."""

    parts: Parts
    collection: str
    access: Sequence[str]
    tell: Callable[[Progress], None] | None
    total: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    embedded: int = 0  # passages
    embedding_s: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    reports: dict[int, FileReport] = field(default_factory=dict)  # by place in the list of files


class _Read(NamedTuple):
    """A file that was read and waits to be embedded."""

    place: int
    found: Found
    parsed: Parsed


def ingest(
    parts: Parts,
    paths: Iterable[Path],
    *,
    collection: str = DEFAULT_COLLECTION,
    sync: bool = False,
    access: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    workers: int | None = None,
) -> list[FileReport]:
    """Index files and folders; with `sync`, also remove what vanished from the folders.

    `access` names who may read them (nobody named: as before, everybody for new documents); `workers` is the number of
    parsing processes, 0 for none, None for what suits the machine. Archives are left to `rag.connect`.
    """
    paths = [Path(path) for path in paths]
    met = [found for found in discover(paths) if not is_archive(found)]
    reports = take(parts, met, collection=collection, access=access, progress=progress, workers=workers)
    return reports + (remove_all(parts, _vanished(parts, paths, met, collection)) if sync else [])


def take(
    parts: Parts,
    met: Sequence[Found | Missing],
    *,
    collection: str = DEFAULT_COLLECTION,
    access: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    workers: int | None = None,
) -> list[FileReport]:
    """Index files that were met, wherever they come from: one report for each, in their order."""
    commit.check_embedder(parts.catalogue, parts.embedder.identity)
    course = _Course(parts, collection, access, progress, total=len(met))
    waiting = list(_worth_reading(course, met))
    pool = Pool(_workers(waiting) if workers is None else workers, sound_model=parts.settings.sound_model)
    try:
        for group in _groups(_read(course, pool, waiting)):
            vectors = _embed(course, group)
            with parts.writing():
                for read in group:
                    _commit(course, read, vectors)
                    parts.follow(after_s=SERVED_S)
    finally:
        pool.close()
    parts.save()
    return [course.reports[place] for place in sorted(course.reports)]


def ingest_bytes(
    parts: Parts,
    name: str,
    data: bytes,
    *,
    collection: str = DEFAULT_COLLECTION,
    access: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> FileReport:
    """Index an upload. One of the same name in the same collection is replaced."""
    path = upload_path(name)
    with tempfile.TemporaryDirectory(prefix="groundling-") as folder:
        file = Path(folder) / PurePosixPath(path).name  # messages of readers name the file as the person knows it
        file.write_bytes(data)
        met = [Found(file, UPLOAD, path, len(data))]
        return take(parts, met, collection=collection, access=access, progress=progress)[0]


def remove(parts: Parts, document: Document, *, person: str | None = None) -> FileReport:
    """Take a document and all its versions out of search at once, and erase their words."""
    return remove_all(parts, [document], person=person)[0]


def remove_all(parts: Parts, documents: Iterable[Document], *, person: str | None = None) -> list[FileReport]:
    """The same for several; the copies are rid of their words once."""
    reports = [_remove(parts, document, person) for document in documents]
    if reports:
        _erase(parts)
        parts.save()
    return reports


def set_access(parts: Parts, document: Document, persons: Sequence[str], *, person: str | None = None) -> None:
    """Say who may read a document; nobody named means everybody of the library."""
    with parts.writing(), parts.catalogue.atomic():
        commit.set_access(parts.catalogue, document, persons)
        parts.audit.record("access", person, {"document": document.name, "readers": sorted(set(persons))})


def repair(parts: Parts) -> list[str]:
    """Embed what has no vector, and make both copies anew from the catalogue. Says what was done, a line each."""
    identity, catalogue = parts.embedder.identity, parts.catalogue
    commit.check_embedder(catalogue, identity)
    done = []
    with parts.lock.held():
        missing = catalogue.without_vector(identity)
        for start in range(0, len(missing), GROUP):
            embedders.fill(catalogue, parts.embedder, missing[start : start + GROUP])
        if missing:
            catalogue.bump()
            done.append(f"{len(missing)} passages embedded with {identity}")
        parts.lexical.rebuild()
        with parts.file_lock.held():
            parts.vectors.rebuild()
        catalogue.truncate()
    done.append(f"both copies made anew: {len(parts.vectors)} vectors, {len(parts.lexical)} passages of words")
    return done


# --- the steps of `ingest`, in order ----------------------------------------------------------------------------------


def _worth_reading(course: _Course, met: Sequence[Found | Missing]) -> Iterator[tuple[int, Found, str]]:
    """Files whose bytes are new, with their place and hash; the others get their report here."""
    for place, found in enumerate(met):
        if isinstance(found, Missing):
            course.reports[place] = FileReport(found.path, "failed", reason=found.reason)
            continue
        course.bytes_total += found.size
        before = course.parts.catalogue.current(course.collection, found.source, found.path)
        if before and found.file.suffix.lower() in READERS and _same_bytes(found, before):
            _leave(course, place, found, before)
        else:
            yield place, found, before.name if before else found.path


def _same_bytes(found: Found, before: Document) -> bool:
    try:
        return digest(found.file) == before.sha256
    except GroundlingError:
        return False  # reading it again says why


def _leave(course: _Course, place: int, found: Found, before: Document) -> None:
    """Nothing to do, except where this run names other readers."""
    if course.access and set(course.access) != set(rights.readers_of(course.parts.catalogue, before.id)):
        set_access(course.parts, before, course.access)
    report = FileReport(before.name, "unchanged", before.passages, before.pages_without_text)
    _finish(course, place, found, report)


def _workers(waiting: Sequence[tuple[int, Found, str]]) -> int:
    """One core is left for embedding; a few plain texts need no child at all."""
    if len(waiting) <= FEW and all(found.file.suffix.lower() in PLAIN for _, found, _ in waiting):
        return 0
    return max(1, min(len(waiting), 8, (os.cpu_count() or 2) - 1))


def _read(course: _Course, pool: Pool, waiting: Iterable[tuple[int, Found, str]]) -> Iterator[_Read | None]:
    """Files as they were read, in order, and None for every IDLE_S of waiting for a slow one.

    While one is embedded the next ones are being read.
    """
    ahead: deque[tuple[int, Found, str, Future[Parsed]]] = deque()
    files = iter(waiting)
    while True:
        while len(ahead) < AHEAD and (file := next(files, None)) is not None:
            place, found, name = file
            ahead.append((place, found, name, pool.submit(found.file, PurePosixPath(found.path).stem)))
        if not ahead:
            return
        if not wait([ahead[0][3]], timeout=IDLE_S).done:
            yield None
            continue
        place, found, name, future = ahead.popleft()
        try:
            parsed = future.result()
        except GroundlingError as error:
            _finish(course, place, found, FileReport(name, "failed", reason=str(error)))
        else:
            yield _Read(place, found, parsed)


def _groups(files: Iterator[_Read | None]) -> Iterator[list[_Read]]:
    """Files together that hold about GROUP passages, so that few short texts are padded to a long one's length.

    While a slow file is being read, what came before it is not kept waiting.
    """
    group: list[_Read] = []
    enough = min(FIRST, GROUP)
    for read in files:
        if read is not None:
            group.append(read)
        if group and (read is None or sum(len(one.parsed.chunks) for one in group) >= enough):
            yield group
            group, enough = [], GROUP
    if group:
        yield group


def _embed(course: _Course, group: Sequence[_Read]) -> Vectors:
    """Vectors of the texts in this group that the library does not know, by hash."""
    parts = course.parts
    texts = {
        text_hash: context(chunk)
        for read in group
        for text_hash, chunk in zip(read.parsed.hashes, read.parsed.chunks, strict=True)
    }
    known = parts.catalogue.known(texts, parts.embedder.identity)
    new = sorted(set(texts) - known, key=lambda text_hash: len(texts[text_hash]))
    vectors: Vectors = {}
    for start in range(0, len(new), GROUP):
        some = new[start : start + GROUP]
        begun = time.perf_counter()
        vectors.update(zip(some, parts.embedder.embed([texts[text_hash] for text_hash in some]), strict=True))
        course.embedding_s += time.perf_counter() - begun
        course.embedded += len(some)
        _tell(course, group[0].found.path, waiting=len(new) - len(vectors))
    return vectors


def _commit(course: _Course, read: _Read, vectors: Vectors) -> None:
    """One document, one transaction."""
    parts, found, parsed = course.parts, read.found, read.parsed
    catalogue = parts.catalogue
    before = catalogue.current(course.collection, found.source, found.path)  # stays so: we hold the writer's lock
    if before and before.sha256 == parsed.sha256:  # another process was faster
        _leave(course, read.place, found, before)
        return
    try:
        with catalogue.atomic():
            document = commit.write(catalogue, _record(course, read, vectors))
            status = "replaced" if before else "added"
            event = {"document": document.name, "version": document.version, "collection": document.collection}
            parts.audit.record(status, None, {**event, "sha256": document.sha256, "passages": document.passages})
    except (sqlite3.Error, UnicodeError) as error:
        cure = "free some space or check the folder's rights, and add it again"
        reason = f"{found.path}: could not be stored ({error}); {cure}"
        _finish(course, read.place, found, FileReport(found.path, "failed", reason=reason))
        return
    notes = "; ".join(parsed.draft.notes) or None
    report = FileReport(document.name, status, document.passages, document.pages_without_text, notes)
    _finish(course, read.place, found, report)


def _record(course: _Course, read: _Read, vectors: Vectors) -> commit.Record:
    """Everything of the transaction; called inside it."""
    parts, parsed = course.parts, read.parsed
    identity = parts.embedder.identity
    mine = {text_hash: vectors[text_hash] for text_hash in parsed.hashes if text_hash in vectors}
    known = parts.catalogue.known(set(parsed.hashes) - set(mine), identity)
    for text_hash, chunk in zip(parsed.hashes, parsed.chunks, strict=True):
        if text_hash not in mine and text_hash not in known:  # its only other passage was removed a moment ago
            mine[text_hash] = parts.embedder.embed([context(chunk)])[0]
    return commit.Record(
        collection=course.collection, source=read.found.source, path=read.found.path, sha256=parsed.sha256,
        draft=parsed.draft, chunks=parsed.chunks, hashes=parsed.hashes, near_keys=parsed.near_keys,
        vectors=mine, embedder=identity, access=course.access,
    )  # fmt: skip


def _vanished(
    parts: Parts, paths: Sequence[Path], met: Sequence[Found | Missing], collection: str
) -> Iterator[Document]:
    """Documents of the given folders whose files are gone. What could not be opened has not vanished."""
    for source in sorted({source_of(path) for path in paths if path.is_dir()}):
        there = {found.path for found in met if found.source == source}
        closed = [f"{one.path}/" for one in met if isinstance(one, Missing) and one.source == source]
        for document in parts.catalogue.documents(collection=collection, source=source):
            hidden = "./" in closed or any(document.path.startswith(folder) for folder in closed)
            if document.path not in there and not hidden:
                yield document


def _remove(parts: Parts, document: Document, person: str | None) -> FileReport:
    with parts.writing(), parts.catalogue.atomic():
        passages = commit.remove(parts.catalogue, document)
        parts.audit.record("removed", person, {"document": document.name, "collection": document.collection})
    return FileReport(document.name, "removed", passages)


def _erase(parts: Parts) -> None:
    """Overwrite what the copies and the log still hold of removed words. A large library leaves that to `repair`."""
    with parts.lock.held():
        if len(parts.lexical) <= ERASED_AT_ONCE:
            parts.erase()
        parts.catalogue.truncate()


def _finish(course: _Course, place: int, found: Found, report: FileReport) -> None:
    course.reports[place] = report
    course.bytes_done += found.size
    _tell(course, report.document, waiting=0)


def _tell(course: _Course, file: str, *, waiting: int) -> None:
    """Report progress; `waiting` passages of the current group are not embedded yet."""
    if course.tell is None:
        return
    rate = course.embedded / course.embedding_s if course.embedding_s else 0.0
    spent = time.perf_counter() - course.started
    left = None
    if course.bytes_done:
        left = (course.bytes_total - course.bytes_done) * spent / course.bytes_done
    elif rate:
        left = waiting / rate
    course.tell(Progress(len(course.reports), course.total, file, course.embedded, rate, left))
