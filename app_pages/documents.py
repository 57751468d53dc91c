"""Documents: add files or a folder, watch them go in, see what is there, remove; which approved questions still hold.

Takes   files from the browser, or a folder of this computer.
Gives   one line a file: added with its passages, or failed with the reason and the next step.
Files go in within a thread of their own (`app_pages.work`): leaving the page does not stop them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app_pages import approved, embedder, prose
from app_pages.work import Work
from rag.errors import GroundlingError
from rag.library import Library
from rag.types import DEFAULT_COLLECTION, Document, FileReport

FORMATS = "PDF, Word, Excel, PowerPoint, OpenDocument, HTML, Markdown, text, CSV, JSON, e-mail, EPUB, pictures"
SYNC = "What changed goes in again, what vanished is removed, what is the same costs nothing."
PAGE = 20  # documents listed at a time


@dataclass
class Adding:
    """Files on their way in. A report is a (file name, progress) or a FileReport."""

    what: str
    total: int  # 0 where it is not known beforehand
    work: Work[Any]


@st.cache_resource(show_spinner=False)
def adding_now() -> dict[str | None, Adding]:
    """At most one of each person, so that a reload finds it."""
    return {}


def main() -> None:
    """The page."""
    library: Library = st.session_state["library"]
    documents = library.documents()
    st.html('<h1 class="gl-page">Documents</h1>')
    if said := st.session_state.pop("documents-learnt", None):
        st.html(prose.notice(said, "warning"))
    if library.may("administrator"):
        embedder.draw(library)
    collections = sorted({DEFAULT_COLLECTION, *(document.collection for document in documents)})
    adding = adding_now().get(library.person)
    if adding is None or adding.work.finished:  # a result nobody dismissed yet must not bar the next person's files
        writable = library.writable()
        if writable is None or writable:
            draw_upload(library, collections if writable is None else writable, anywhere=writable is None)
    progress = st.container(key="progress", gap="small")
    in_dialog = draw_list(library, documents)
    if documents and library.may("reviewer"):
        approved.draw(library, collections, in_dialog=in_dialog)
    if adding is not None:
        with progress:
            draw_adding(adding, in_dialog)


# --- adding -----------------------------------------------------------------------------------------------------------


def draw_upload(library: Library, collections: list[str], *, anywhere: bool) -> None:
    """Where files are dropped, and which collection they go to; `anywhere`: also a new one, or from a folder here."""
    round_ = st.session_state.setdefault("upload-round", 0)  # a new key empties the uploader after each round
    files = st.file_uploader("Add files", accept_multiple_files=True, key=f"upload-{round_}", help=FORMATS)
    ways = "Collection, or a folder of this computer" if anywhere else "Collection"
    with st.expander(ways, key="more-ways", type="compact"):
        collection = st.selectbox(
            "Collection",
            collections,
            key="collection",
            accept_new_options=anywhere,
            index=collections.index(DEFAULT_COLLECTION) if DEFAULT_COLLECTION in collections else 0,
            help="Choose one or type a new name. Questions can be asked of one collection.",
        )
        if anywhere:
            with st.form("folder", border=False):
                folder = st.text_input("Folder", key="folder-path", placeholder="/home/me/handbooks")
                st.html(prose.plain(SYNC))
                if st.form_submit_button("Sync folder", key="folder-send") and folder.strip():
                    start_folder(library, folder.strip(), collection or DEFAULT_COLLECTION)
    if files:
        st.session_state["upload-round"] = round_ + 1
        start_files(library, [(file.name, file.getvalue()) for file in files], collection or DEFAULT_COLLECTION)


def start_files(library: Library, files: list[tuple[str, bytes]], collection: str) -> None:
    """Index uploaded files, one after the other."""

    def task(emit: Callable[[Any], None]) -> None:
        for name, data in files:
            emit((name, None))
            try:
                emit(library.add_bytes(name, data, collection=collection, progress=partial(_pass_on, emit, name)))
            except GroundlingError as error:
                emit(FileReport(document=name, status="failed", reason=str(error)))

    _start(prose.count(len(files), "file"), len(files), task)


def start_folder(library: Library, folder: str, collection: str) -> None:
    """Make the library hold what the folder holds now."""

    def task(emit: Callable[[Any], None]) -> None:
        progress = partial(_pass_on, emit, "")
        for report in library.add([Path(folder)], collection=collection, sync=True, progress=progress):
            emit(report)

    _start(folder, 0, task)


def _pass_on(emit: Callable[[Any], None], name: str, progress: Any) -> None:
    emit((name or str(progress.file), progress))


def _start(what: str, total: int, task: Callable[[Callable[[Any], None]], None]) -> None:
    library: Library = st.session_state["library"]
    adding_now()[library.person] = Adding(what, total, Work(task))
    st.rerun()


def draw_adding(adding: Adding, in_dialog: bool) -> None:
    """Progress while it runs; then what became of each file, until it is dismissed. A rerun would close a dialog."""
    work = adding.work
    bar, current, stop, done = (st.empty() for _ in range(4))
    if not work.finished:
        stop.button("Stop", key="stop-adding", type="tertiary", icon=":material/stop_circle:", on_click=work.stop)
        bar.progress(0.0, prose.label(f"Adding {adding.what}"))
        reports: list[FileReport] = []
        for item in work.follow(pulse=0.5):
            if isinstance(item, FileReport):
                reports.append(item)
                done.html("".join(map(report_line, reports[-5:])))
            elif item is not None:
                name, progress = item
                bar.progress(*_progress(adding, len(reports), name, progress))
            else:
                current.empty()  # touches the page, so that leaving it takes effect
        if not in_dialog:
            st.rerun()
        for place in (bar, stop, done):
            place.empty()
    draw_reports(adding)


def _progress(adding: Adding, done: int, name: str, progress: Any) -> tuple[float, str]:
    """How far the bar stands, and its line: file, rate, time left."""
    total, parts = adding.total, [name]
    if progress is not None:
        if not total:
            done, total = progress.done, progress.total
        if progress.passages:
            parts += [f"{progress.passages} passages", f"{progress.passages_per_second:.0f} a second"]
        if progress.seconds_left:
            parts.append(f"about {_duration(progress.seconds_left)} left")
    position = f"{min(done + 1, total)} of {total}: " if total else ""
    return (min(done / total, 1.0) if total else 0.0), prose.label(position + " · ".join(parts))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def draw_reports(adding: Adding) -> None:
    """Failures first, each with its reason; then what went in."""
    reports = [item for item in adding.work.items if isinstance(item, FileReport)]
    failed = [report for report in reports if report.status == "failed"]
    if adding.work.error:
        st.html(prose.notice(str(adding.work.error), "error"))
    if adding.work.stopping:
        st.html(prose.notice("Stopped. What had gone in stays; the file on its way was left out."))
    if failed:
        st.html(prose.notice(f"{len(failed)} of {prose.count(len(reports), 'file')} did not go in.", "warning"))
    rest = [report for report in reports if report.status != "failed"]
    st.html('<div class="gl-reports" role="status">' + "".join(map(report_line, failed + rest[:50])) + "</div>")
    if len(rest) > 50:
        st.html(prose.plain(f"and {len(rest) - 50} more."))
    with st.container(horizontal=True, vertical_alignment="center", key="added"):
        if st.button("Done", key="dismiss", type="primary"):
            adding_now().pop(st.session_state["library"].person, None)
            st.rerun()
        st.page_link(st.session_state["pages"]["chat"], label="Ask about your documents", icon=":material/forum:")


def report_line(report: FileReport) -> str:
    """What became of one file, as HTML."""
    parts = [report.status]
    if report.passages:
        parts.append(prose.count(report.passages, "passage"))
    if report.pages_without_text:
        parts.append(prose.count(report.pages_without_text, "page") + " without text")
    details = report.reason if report.status == "failed" else " · ".join(parts)
    note = report.reason if report.reason and report.status != "failed" else ""
    kind = "failed" if report.status == "failed" else "went-in"
    lines = "".join(f"<span>{prose.escape(text)}</span>" for text in (details or "failed", note) if text)
    return f'<div class="gl-report gl-{kind}"><strong>{prose.escape(report.document)}</strong>{lines}</div>'


# --- what is there ----------------------------------------------------------------------------------------------------


def draw_list(library: Library, documents: list[Document]) -> bool:
    """The documents, sought by name, twenty at a time. True when removing one opened a dialog."""
    if not documents:
        st.html(prose.plain("No documents yet. Drop files above; they stay on this computer.", "lead"))
        return False
    sought = ""
    if len(documents) > 5:
        sought = st.text_input(
            "Find a document",
            key="find",
            placeholder="Find a document",
            icon=":material/search:",
            label_visibility="collapsed",
        )
    found = [d for d in documents if sought.strip().lower() in f"{d.name} {d.title} {d.collection}".lower()]
    passages = sum(document.passages for document in found)
    st.html(prose.plain(f"{prose.count(len(found), 'document')} · {prose.count(passages, 'passage')}", "caption"))
    pages = max(1, -(-len(found) // PAGE))
    number = min(st.session_state.get("list-page", 1), pages)
    with st.container(key="documents", gap=None):
        asked = [draw_document(library, document) for document in found[(number - 1) * PAGE : number * PAGE]]
    if pages > 1:
        st.pagination(pages, key="list-page")
    return any(asked)


def draw_document(library: Library, document: Document) -> bool:
    """One row: name, facts, remove. True when that opened a dialog."""
    facts = [document.collection, f"version {document.version}", prose.count(document.passages, "passage")]
    if document.pages_without_text:
        facts.append(prose.count(document.pages_without_text, "page") + " without text")
    facts.append(f"added {prose.day(document.added_at)}")
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-{document.id}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(document.name)}</strong>'
            f"<span>{prose.escape(' · '.join(facts))}</span></div>"
        )
        if library.may_write(document.collection) and st.button(
            "Remove", key=f"remove-{document.id}", type="tertiary", icon=":material/delete:"
        ):
            confirm_removal(library, document)
            return True
    return False


def learnt(models: Sequence[int]) -> str:
    """Which models learnt from a document, in words."""
    listed = ", ".join(map(str, models))
    return f"Model version{'s' if len(models) > 1 else ''} {listed} learnt from it"


def way_back(removed: FileReport) -> str:
    """What to do about models that learnt from a document that is gone."""
    said = f"“{removed.document}” is removed. {learnt(removed.models)}"
    if not removed.back:
        return f"{said}; the one that answers never saw it."
    clean = f"version {removed.back}" if removed.back.isdecimal() else f"the {removed.back}"
    return f"{said}; {clean} never saw it, and Training returns to it (rag promote --back {removed.back})."


@st.dialog("Remove document?", icon=":material/delete:", on_dismiss="rerun")
def confirm_removal(library: Library, document: Document) -> None:
    """Ask once more."""
    words = f"“{document.name}” will no longer be found or quoted. The file itself is not touched."
    st.html(prose.plain(words, "body"))
    if models := library.models_that_saw(document.name, collection=document.collection):
        st.html(prose.plain(f"{learnt(models)} and will be marked.", "body"))
    with st.container(horizontal=True, key="remove-buttons"):
        if st.button("Remove", key="remove-yes", type="primary"):
            try:
                removed = library.remove(document.name, collection=document.collection)
                if removed.models and library.may("administrator"):
                    st.session_state["documents-learnt"] = way_back(removed)
            except GroundlingError as error:
                st.html(prose.notice(str(error), "error"))
                return
            st.rerun()
        if st.button("Keep", key="remove-no"):
            st.rerun()


main()
