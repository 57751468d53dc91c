"""Insight: what was asked, what the documents leave open, which of them nobody needs or are out of date.

Takes   a period and, where there are several, a collection.
Gives   three views: the questions over time, gaps to write about, documents. Each number leads to what it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import streamlit as st

from app_pages import address, plots, prose, recall
from app_pages.source import open_source
from app_pages.turns import WORDS
from rag.errors import GroundlingError
from rag.library import Library

if TYPE_CHECKING:
    from rag.library import Gap, Insight, Question, Totals, Use

PERIODS: dict[str, int | None] = {"7 days": 7, "30 days": 30, "90 days": 90, "Year": 365, "All": None}
VIEWS = ("Questions", "Gaps", "Documents")
KINDS = ("All", "Answered", "Refused", "Judged down")
PAGE = 20  # questions listed at a time
SHOWN = 8  # gaps and documents before "Show all"
DRAWN = 12  # bars of a plot


@st.cache_resource(show_spinner=False)
def _kept() -> dict[str, Any]:
    """What was found last, for all tabs; nothing of it outlives the next change of the library."""
    return {}


def look(library: Library, days: int | None, collection: str | None) -> Insight:
    """The insight of a period; found once as long as nothing changes."""
    kept, revision = _kept(), (library.path, library.revision())
    if kept.get("revision") != revision:
        kept.clear()
        kept["revision"] = revision
    key = f"{days}-{collection}-{library.person}"
    if key not in kept:
        with st.spinner("Looking at the questions"):
            kept[key] = library.insight(days, collection=collection)
    found: Insight = kept[key]
    return found


def main() -> None:
    """The page."""
    library: Library = st.session_state["library"]
    st.html('<h1 class="gl-page">Insight</h1>')
    with st.container(horizontal=True, vertical_alignment="center", key="insight-choices"):
        period = address.choice("Period", list(PERIODS), key="period", default="30 days")
        collection = _collection(library)
    found = look(library, PERIODS[period], collection)
    st.html(plots.figures(figures(found)))
    view = address.choice("Show", VIEWS, key="view", default=VIEWS[0])
    in_dialog = recall.open_waiting(library)
    open_: dict[str, Any] = {}  # what was pressed
    {"Questions": draw_questions, "Gaps": draw_gaps, "Documents": draw_documents}[view](library, found, open_)
    if in_dialog:
        return
    if "answer" in open_:
        recall.open_answer(library, open_["answer"])
    elif "source" in open_:
        open_source(library, open_["source"])


def _collection(library: Library) -> str | None:
    names = sorted({document.collection for document in library.documents()})
    if len(names) < 2:
        return None
    chosen: str = st.selectbox(
        "Collection",
        ["", *names],
        key="insight-collection",
        width=220,
        label_visibility="collapsed",
        format_func=lambda name: name or "All collections",
    )
    return chosen or None


def figures(found: Insight) -> list[tuple[str, str, str]]:
    """The four numbers at the top, each with what it was in the period before."""
    now, before = found.totals, found.before

    def was(name: str, number: Callable[[Totals], str]) -> str:
        return f"{name}{number(before)} before" if before and before.asked else ""

    def share(count: int, of: Totals) -> str:
        return f"{100 * count / of.asked:.0f}%" if of.asked else "–"

    people = prose.count(now.people, "person").replace("persons", "people")
    return [
        (
            "Asked",
            f"{now.asked:,}",
            was(f"by {people} · " if now.asked else "", lambda t: f"{t.asked:,}") or f"by {people}",
        ),
        ("Answered", share(now.answered, now), was("", lambda t: share(t.answered, t))),
        ("Refused", share(now.refused, now), was("", lambda t: share(t.refused, t))),
        ("Judged down", f"{now.down:,}", was(f"{now.up:,} up · ", lambda t: f"{t.down:,}") or f"{now.up:,} up"),
    ]


# --- questions --------------------------------------------------------------------------------------------------------


def draw_questions(library: Library, found: Insight, open_: dict[str, Any]) -> None:  # noqa: ARG001 - one of three views
    """Over time, why answers were judged down, and the questions themselves."""
    if not found.questions:
        st.html(prose.plain("Nobody has asked anything in this period.", "lead"))
        st.page_link(st.session_state["pages"]["chat"], label="Ask something", icon=":material/forum:")
        return
    rows = [(_when(step.start, found.by), step.totals) for step in found.steps]
    counted = [(label, totals.answered, totals.refused, totals.down) for label, totals in rows]
    asked = f"{prose.count(found.totals.asked, 'question')} since {prose.day(found.since)}"
    plots.over_time(counted, f"{asked}: answered and refused for each {found.by}. The table below holds the numbers.")
    with st.expander("The numbers", key="numbers", type="compact"):
        table = [(label, totals.asked, *counts) for (label, totals), (_, *counts) in zip(rows, counted, strict=True)]
        st.html(plots.table((found.by.capitalize(), "Asked", "Answered", "Refused", "Judged down"), table, asked))
    if found.reasons:
        st.html('<h2 class="gl-section">Why answers were judged down</h2>')
        reasons = [(WORDS.get(reason, reason), count) for reason, count in found.reasons.items()]
        plots.bars(reasons, "Answers", "; ".join(f"{name}: {count}" for name, count in reasons), plots.DOWN)
        st.page_link(st.session_state["pages"]["review"], label="Review the judgements", icon=":material/rule:")
    st.html('<h2 class="gl-section">The questions</h2>')
    kind = st.pills("Which questions", KINDS, default="All", required=True, key="kind", label_visibility="collapsed")
    _list_questions([question for question in found.questions if _is(question, str(kind))], str(kind), open_)


def _when(start: str, by: str) -> str:
    day = date.fromisoformat(start)
    return day.strftime("%b %Y") if by == "month" else day.strftime("%d %b").lstrip("0")


def _is(question: Question, kind: str) -> bool:
    if kind == "Answered":
        return not question.refused
    if kind == "Refused":
        return question.refused
    return kind == "All" or question.down > 0


def _list_questions(questions: Sequence[Question], kind: str, open_: dict[str, Any]) -> None:
    if not questions:
        st.html(prose.plain(f"None was {kind.lower()} in this period."))
        return
    pages = max(1, -(-len(questions) // PAGE))
    number = min(st.session_state.get(f"page-{kind}", 1), pages)
    with st.container(key="questions", gap=None):
        for question in questions[(number - 1) * PAGE : number * PAGE]:
            draw_question(question, "question", open_)
    if pages > 1:
        st.pagination(pages, key=f"page-{kind}")


def draw_question(question: Question, place: str, open_: dict[str, Any]) -> None:
    """One question with what became of it, and a button that opens the answer."""
    facts = ["refused" if question.refused else "answered", prose.day(question.at)]
    if question.up:
        facts.append(f"{question.up} up")
    if question.down:
        facts.append(f"{question.down} down")
    facts += [WORDS.get(reason, reason).lower() for reason in question.reasons]
    key = f"{place}-{question.answer_id}"
    if _row(question.question, " · ".join(facts), "Open", key):
        open_["answer"] = question.answer_id


def _row(title: str, facts: str, label: str, key: str) -> bool:
    """A line with its small print and a button at its end. True when that was pressed."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-{key}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(title)}</strong><span>{prose.escape(facts)}</span></div>'
        )
        return st.button(label, key=f"open-{key}", type="tertiary", help=None)


# --- gaps -------------------------------------------------------------------------------------------------------------


def draw_gaps(library: Library, found: Insight, open_: dict[str, Any]) -> None:
    """Unanswered questions in groups, and what to write."""
    if not found.gaps:
        words = "Every question of this period was answered." if found.questions else "Nobody has asked anything yet."
        st.html(prose.plain(words, "lead"))
        return
    unanswered = sum(len(gap.questions) for gap in found.gaps)
    st.html(
        prose.plain(
            f"{prose.count(unanswered, 'question')} found no answer, about {prose.count(len(found.gaps), 'subject')}. "
            "A subject leaves this list once the same question is answered and nobody judges the answer down."
        )
    )
    drawn = [(gap.about, len(gap.questions)) for gap in found.gaps[:DRAWN] if len(gap.questions) > 1]
    if len(drawn) > 1:
        plots.bars(drawn, "Questions", "; ".join(f"{name}: {count}" for name, count in drawn), plots.REFUSED)
    shown = found.gaps if st.session_state.get("all-gaps") else found.gaps[:SHOWN]
    for number, gap in enumerate(shown):
        draw_gap(library, gap, number, open_)
    _show_all(len(found.gaps), "gaps")
    st.page_link(st.session_state["pages"]["documents"], label="Add documents", icon=":material/upload_file:")


def draw_gap(library: Library, gap: Gap, number: int, open_: dict[str, Any]) -> None:
    """One subject: what to do, who came nearest, the questions."""
    people = prose.count(gap.people, "person").replace("persons", "people")
    facts = [f"{prose.count(len(gap.questions), 'question')} by {people}", f"last {prose.day(gap.questions[0].at)}"]
    about = gap.about[:1].upper() + gap.about[1:]
    with st.container(key=f"gap-{number}", gap="xsmall"):
        st.html(
            f'<h2 class="gl-gap">{prose.escape(about)}</h2>'
            + prose.plain(gap.advice, "body")
            + prose.plain(" · ".join(facts), "quiet")
        )
        with st.container(horizontal=True, key=f"gap-buttons-{number}"):
            if st.button("Ask again", key=f"gap-ask-{number}", type="tertiary", icon=":material/refresh:"):
                recall.ask(gap.questions[0].question)
            for place, (name, times) in enumerate(gap.nearest[:2]):
                label = prose.label(f"{name} came nearest" + (f" {times} times" if times > 1 else ""), limit=60)
                key = f"gap-near-{number}-{place}"
                if st.button(label, key=key, type="tertiary", icon=":material/description:", wrap=True):
                    open_["source"] = _place(library, name)
        listed = st.container(key=f"gap-questions-{number}", gap=None)
        if len(gap.questions) > 1:
            listed = listed.expander(prose.count(len(gap.questions), "question"), type="compact")
        with listed:
            for question in gap.questions[:PAGE]:
                draw_question(question, f"gap-{number}", open_)


def _place(library: Library, document: str, start: int = 0, end: int = 0) -> dict[str, Any]:
    """The present version of a document, as the drawer of sources takes it. One that is gone says so there."""
    try:
        version = library.document(document).version
    except GroundlingError:
        version = 0
    return {"document": document, "version": version, "page": None, "start": start, "end": end}


def _show_all(count: int, what: str) -> None:
    if count > SHOWN and not st.session_state.get(f"all-{what}"):
        st.button(
            f"Show all {count:,}",
            key=f"show-{what}",
            type="tertiary",
            on_click=lambda: st.session_state.update({f"all-{what}": True}),
        )


# --- documents --------------------------------------------------------------------------------------------------------


def draw_documents(library: Library, found: Insight, open_: dict[str, Any]) -> None:
    """Signs of age, never cited, most quoted."""
    if not found.documents:
        st.html(prose.plain("There are no documents yet.", "lead"))
        st.page_link(st.session_state["pages"]["documents"], label="Add documents", icon=":material/upload_file:")
        return
    quoted = [use for use in found.documents if use.cited]
    st.html('<h2 class="gl-section">Most quoted</h2>')
    if quoted:
        drawn = [(use.document, use.cited) for use in quoted[:DRAWN]]
        plots.bars(drawn, "Answers", "; ".join(f"{name}: {count}" for name, count in drawn))
        with st.expander("The numbers", key="quoted-numbers", type="compact"):
            rows = [(use.document, use.read, use.cited, prose.day(use.last_cited_at or "")) for use in quoted]
            st.html(plots.table(("Document", "Read", "Quoted", "Last"), rows, "Answers that read or quote a document"))
    else:
        st.html(prose.plain("No answer of this period quotes a document."))
    _draw_uses(
        library, "Signs of age", found.outdated,
        "No document shows a sign of age: none was judged out of date, names an end that has passed, or is a year old.",
        open_,
    )  # fmt: skip
    _draw_uses(library, "Never cited", found.never_cited, "Every document was quoted in this period.", open_)


def _draw_uses(library: Library, title: str, uses: Sequence[Use], none: str, open_: dict[str, Any]) -> None:
    aged = title == "Signs of age"
    st.html(f'<h2 class="gl-section">{title}</h2>')
    if not uses:
        st.html(prose.plain(none))
        return
    notes = {
        True: "Reasons to look, no verdicts. The most quoted come first.",
        False: "No answer of this period quotes them. Those that were read for questions all the same come first.",
    }
    st.html(prose.plain(f"{prose.count(len(uses), 'document')}. {notes[aged]}"))
    what = "aged" if aged else "uncited"
    for number, use in enumerate(uses if st.session_state.get(f"all-{what}") else uses[:SHOWN]):
        facts = "; ".join(sign.words for sign in use.signs) if aged else ""
        counts = f"quoted {use.cited}×" if aged else f"read for {prose.count(use.read, 'question')}"
        facts = " · ".join(part for part in (facts, counts, f"added {prose.day(use.added_at)}") if part)
        if _row(use.document, facts, "Open", f"{what}-{number}"):
            sign = next((sign for sign in use.signs if sign.end), None) if aged else None
            open_["source"] = _place(library, use.document, *((sign.start, sign.end) if sign else (0, 0)))
    _show_all(len(uses), what)


main()
