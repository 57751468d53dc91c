"""One run: a library takes from a source what is new, and with `sync` lets go of what vanished.

Takes   an open library's parts and a `Source`.
Gives   one `FileReport` for each document, unchanged ones too. Marks are kept after each batch, so a run that was ended
        goes on where it stood; a document that could not be read leaves no mark and is tried again.
Never   removes because something could not be reached: only what a source no longer lists, or says is gone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag import ingest
from rag.connect import marks
from rag.connect.marks import Mark
from rag.connect.source import WHOLE, Brought, Event, Gone, Kept, Missing, Source, Whole
from rag.discover import Found
from rag.errors import GroundlingError
from rag.parts import Parts
from rag.types import DEFAULT_COLLECTION, Document, FileReport

BATCH_FILES = 256
BATCH_BYTES = 200_000_000


@dataclass
class _Run:
    """What was asked, and what is known so far."""

    parts: Parts
    source: Source
    collection: str
    access: Sequence[str]
    tell: Callable[[Any], None] | None
    quiet: bool  # unchanged documents need no report
    documents: dict[str, Document]  # of this source before the run, by path
    reports: list[FileReport] = field(default_factory=list)
    there: set[str] = field(default_factory=set)  # paths that the source still has
    closed: list[str] = field(default_factory=list)  # folders that could not be looked into
    gone: dict[str, str] = field(default_factory=dict)  # path to reason
    whole: Whole | None = None
    failed: bool = False  # something of it did not go in
    broken: bool = False  # it ended before everything was listed


def take_from(
    parts: Parts,
    source: Source,
    *,
    collection: str = DEFAULT_COLLECTION,
    sync: bool = False,
    access: Sequence[str] = (),
    progress: Callable[[Any], None] | None = None,
    quiet: bool = False,
) -> list[FileReport]:
    """Follow a source once; `quiet` leaves out what is unchanged."""
    before = [] if quiet else parts.catalogue.documents(collection=collection, source=source.source)
    run = _Run(parts, source, collection, access, progress, quiet, {document.path: document for document in before})
    known = marks.known(parts.catalogue, collection, source.address, source.source)
    if access:
        known = {}  # other readers are named: every document is looked at
    with tempfile.TemporaryDirectory(prefix="groundling-") as folder:
        for batch in _batches(run, source.bring(known, Path(folder))):
            _take(run, batch)
            for brought in batch:
                if brought.file.is_relative_to(folder):
                    shutil.rmtree(brought.file.parent)
    if run.whole is not None and run.whole.unchanged:
        for path in known:
            _kept(run, path)
    elif not run.broken:
        _let_go(run, sync=sync)
        _note_whole(run)
    return run.reports


def _batches(run: _Run, events: Iterator[Event]) -> Iterator[list[Brought]]:
    """What was brought, a batch at a time; everything else is noted on the way."""
    batch: list[Brought] = []
    size = 0
    try:
        for event in events:
            if isinstance(event, Brought):
                run.there.add(event.path)
                batch.append(event)
                size += event.file.stat().st_size
            else:
                _hear(run, event)
            if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    except GroundlingError as error:  # the source as a whole; what came before it broke off goes in
        run.broken = True
        run.reports.append(FileReport(run.source.address, "failed", reason=str(error)))
    if batch:
        yield batch


def _hear(run: _Run, event: Kept | Gone | Missing | Whole) -> None:
    """Everything that brings no file."""
    if isinstance(event, Whole):
        run.whole = event
    elif isinstance(event, Gone):
        run.gone[event.path] = event.reason
    elif isinstance(event, Kept):
        run.there.add(event.path)
        _kept(run, event.path)
    else:
        run.failed = True
        (run.closed.append if event.path.endswith("/") else run.there.add)(event.path)
        run.reports.append(FileReport(event.path, "failed", reason=event.reason))


def _kept(run: _Run, path: str) -> None:
    """Report what is as it was, where somebody wants to hear it."""
    if run.quiet or path == WHOLE:
        return
    document = run.documents.get(path)
    if document:
        report = FileReport(document.name, "unchanged", document.passages, document.pages_without_text)
        run.reports.append(report)


def _take(run: _Run, batch: Sequence[Brought]) -> None:
    """Read, embed and commit a batch, then remember the marks of what went in."""
    catalogue, source = run.parts.catalogue, run.source.source
    met = [Found(one.file, source, one.path, one.file.stat().st_size) for one in batch]
    reports = ingest.take(run.parts, met, collection=run.collection, access=run.access, progress=run.tell)
    noted = []
    for brought, report in zip(batch, reports, strict=True):
        document = catalogue.current(run.collection, source, brought.path)
        if report.status == "failed" or document is None:
            run.failed = True
        else:
            noted.append(Mark(brought.path, brought.mark, document.sha256))
        if not (run.quiet and report.status == "unchanged"):
            run.reports.append(report)
    marks.note(catalogue, run.collection, run.source.address, noted)


def _let_go(run: _Run, *, sync: bool) -> None:
    """What the source no longer has: removed with `sync`, else it stays. What is said to be gone is told either way."""
    catalogue, source, collection = run.parts.catalogue, run.source, run.collection
    removed: set[str] = set()
    if sync:
        came = marks.paths(catalogue, collection, source.address)
        shared = marks.shared(catalogue, collection, source.address, source.source)
        vanished = [
            document
            for document in catalogue.documents(collection=collection, source=source.source)
            if (source.alone or document.path in came - shared) and _is_lost(run, document.path)
        ]
        run.reports += ingest.remove_all(run.parts, vanished)
        marks.forget(catalogue, collection, source.address, [path for path in came if _is_lost(run, path)])
        removed = {document.path for document in vanished}
    for path, reason in run.gone.items():
        if path not in removed:
            run.failed = True
            run.reports.append(FileReport(path, "failed", reason=reason))


def _is_lost(run: _Run, path: str) -> bool:
    """Whether the source was asked for it and has it no more."""
    hidden = any(path.startswith(folder) or folder == "/" for folder in run.closed)
    return run.source.options.wanted(path) and path not in run.there and not hidden


def _note_whole(run: _Run) -> None:
    """A mark of the whole address counts while exactly these documents are known: nothing missing, nothing vanished."""
    if run.whole is not None and not run.failed:
        mark = Mark(WHOLE, run.whole.mark, str(len(run.there)))
        marks.note(run.parts.catalogue, run.collection, run.source.address, [mark])
