"""Quality: how good the answers are, what people think of them, how the models compare, how far the documents lie.

Takes   measurements that were kept, judgements, models, documents.
Gives   four views, each a plot with its numbers beside it; a wrong row leads to its answer and the passages under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app_pages import address, comparing, distance, measure, plots, prose, recall
from app_pages.source import open_source
from rag.library import Library

if TYPE_CHECKING:
    from rag.library import Measurement, Outcome

VIEWS = ("Answers", "Feedback", "Models", "Documents")
NAMES = {
    "right": "Right",
    "wrong": "Wrong",
    "refused": "Refused",
    "unanswerable_refused": "Refused, of those nothing answers",
    "recall_at_5": "Document among the first five passages (recall@5)",
    "cited": "Cites a document named by the question",
    "exact_match": "Exact match (EM)",
    "f1": "F1 of the words",
}
STATES = {
    "done": "done",
    "stopped": "stopped early",
    "failed": "failed",
    "interrupted": "interrupted",
    "running": "at work",
    "stopping": "stopping",
}
TOP = ("right", "wrong", "refused", "recall_at_5")
PAGE = 15  # rows of a list


def main() -> None:
    """The page."""
    library: Library = st.session_state["library"]
    st.html('<h1 class="gl-page">Quality</h1>')
    view = address.choice("Show", VIEWS, key="quality", default=VIEWS[0])
    in_dialog = recall.open_waiting(library)
    open_: dict[str, Any] = {}  # what was pressed
    if view == "Answers":
        draw_answers(library, open_)
    elif view == "Feedback":
        comparing.draw_feedback(library)
    elif view == "Models":
        comparing.draw_models(library)
    else:
        distance.draw(library, open_)
    if in_dialog:
        return
    if "answer" in open_:
        recall.open_answer(library, open_["answer"])
    elif "source" in open_:
        open_source(library, open_["source"])


# --- answers ----------------------------------------------------------------------------------------------------------


def draw_answers(library: Library, open_: dict[str, Any]) -> None:
    """The measurement at work, the one that is looked at, and the form for another."""
    runs = library.measurements()
    working = next((run for run in runs if run.going_on), None)
    if working:
        measure.draw_running(library, working)
    kept = [run for run in runs if run.rows and not run.going_on]
    if kept:
        run = _chosen(kept)
        draw_measured(library, run)
        draw_rows(library, run, open_)
    elif not working:
        st.html(
            prose.plain(
                "Nothing was measured yet. Ask the model questions whose right answers are known: it is counted how "
                "many it answers right, answers wrong, and refuses.",
                "lead",
            )
        )
    measure.draw_form(library, running=working is not None)
    if runs:
        draw_kept(library, runs)


def _chosen(kept: Sequence[Measurement]) -> Measurement:
    if len(kept) == 1:
        return kept[0]
    titles = {run.id: f"{run.id}: {run.name}, {prose.moment(run.began_at)}, {run.model}" for run in kept}
    wanted = st.query_params.get("measurement", "")
    first = int(wanted) if wanted.isdecimal() and int(wanted) in titles else kept[0].id
    chosen = st.selectbox(
        "Measurement",
        list(titles),
        index=list(titles).index(first),
        format_func=lambda one: titles[one],
        key="measured",
    )
    return next(run for run in kept if run.id == chosen)


def draw_measured(library: Library, run: Measurement) -> None:
    """Figures with intervals, the curve of risk, and the numbers."""
    n = prose.count(len(run.rows), "question")
    part = "" if len(run.rows) == run.total else f" of {run.total:,}, {STATES[run.state]}"
    facts = f"{run.name} · {n}{part} · {run.model} · {prose.moment(run.began_at)} · strictness {run.strictness}"
    st.html(prose.plain(facts))
    if run.error:
        st.html(prose.notice(run.error, "error"))
    st.html(plots.figures([_large(run, name) for name in TOP]))
    points = library.risk_at_coverage(run)
    if len(points) > 1:
        answered = [row for row in run.rows if row.outcome != "refused"]
        wrong = sum(row.outcome == "wrong" for row in answered)
        here = (100 * len(answered) / len(run.rows), 100 * wrong / len(answered)) if answered else None
        st.html('<h2 class="gl-section">Risk and coverage</h2>')
        said = "The surest answers first: how many of them are wrong, the more questions are answered."
        dot = (
            f" The dot is where the library stands: {here[0]:.0f}% answered, {here[1]:.0f}% of these wrong."
            if here
            else ""
        )
        st.html(prose.plain(said + dot))
        plots.risk([(one.coverage, one.risk) for one in points], here, said + dot)
    with st.expander("The numbers", key="numbers", type="compact"):
        rows = [
            (NAMES[name], f"{one.value:.1f}%", f"{one.low:.1f} to {one.high:.1f}", one.n)
            for name, one in run.figures.items()
        ]
        st.html(plots.table(("Measure", "Share", "95% interval", "Questions"), rows, "Figures of this measurement"))
        if points:
            some = [points[at] for at in sorted({round(at * (len(points) - 1) / 10) for at in range(11)})]
            numbers = [(f"{one.coverage:.0f}%", f"{one.risk:.1f}%", f"{one.confidence:.3f}") for one in some]
            st.html(plots.table(("Answered", "Of these wrong", "Confidence"), numbers, "Risk at each coverage"))


def _large(run: Measurement, name: str) -> tuple[str, str, str]:
    if name not in run.figures:
        return ("Recall@5", "–", "no question names a document")
    one = run.figures[name]
    title = "Recall@5" if name == "recall_at_5" else NAMES[name]
    return title, f"{one.value:.0f}%", f"{one.low:.0f} to {one.high:.0f}, of {one.n:,}"


def draw_rows(library: Library, run: Measurement, open_: dict[str, Any]) -> None:
    """The questions by outcome, each with a way to its answer."""
    st.html('<h2 class="gl-section">The questions</h2>')
    counts = {name: sum(row.outcome == name for row in run.rows) for name in ("wrong", "refused", "right")}
    kind = str(
        st.pills(
            "Which questions", list(counts), default="wrong", required=True, key="outcome",
            label_visibility="collapsed", format_func=lambda name: f"{NAMES[name]} {counts[name]:,}",
        )
    )  # fmt: skip
    rows = [row for row in run.rows if row.outcome == kind]
    if not rows:
        st.html(prose.plain(f"None was {kind}."))
        return
    pages = max(1, -(-len(rows) // PAGE))
    key = f"rows-{run.id}-{kind}"
    number = min(st.session_state.get(key, 1), pages)
    with st.container(key="questions", gap=None):
        for row in rows[(number - 1) * PAGE : number * PAGE]:
            _draw_row(library, row, open_)
    if pages > 1:
        st.pagination(pages, key=key)


def _draw_row(library: Library, row: Outcome, open_: dict[str, Any]) -> None:
    words = library.measured_words(row)
    question, answer = words or ("Its words were erased.", "")
    facts = [f"said: {_short(answer)}"] if answer and row.outcome != "refused" else []
    if row.expected is not None:
        facts.append(f"expected: {_short(_expected(row))}" if row.answerable else "nothing answers it")
    facts.append(f"confidence {row.confidence:.2f}")
    if row.found is False:
        facts.append("document not found")
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-{row.ordinal}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(question)}</strong>'
            f"<span>{prose.escape(' · '.join(facts))}</span></div>"
        )
        if words and st.button("Open", key=f"open-{row.ordinal}", type="tertiary"):
            open_["answer"] = row.answer_id


def _expected(row: Outcome) -> str:
    first = (row.expected or ("",))[0]
    return first if isinstance(first, str) else " … ".join(first)


def _short(text: str, limit: int = 140) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= limit else f"{one_line[: limit - 1].rsplit(' ', 1)[0]} …"


def draw_kept(library: Library, runs: Sequence[Measurement]) -> None:
    """Every measurement, and a way to delete one."""
    st.html('<h2 class="gl-section">Measurements</h2>')
    rows = [
        (f"{run.id}", prose.moment(run.began_at), run.name, run.model or "–", STATES[run.state], len(run.rows),
         *(f"{run.figures[name].value:.0f}%" if name in run.figures else "–" for name in TOP[:3]))
        for run in runs
    ]  # fmt: skip
    heads = ("No.", "When", "Questions", "Model", "State", "Asked", "Right", "Wrong", "Refused")
    st.html(f'<div class="gl-wide">{plots.table(heads, rows, "What was measured, the latest first")}</div>')
    over = [run.id for run in runs if not run.going_on]
    if over:
        with st.popover("Delete a measurement", icon=":material/delete:", type="tertiary"):
            chosen = st.selectbox("Measurement", over, key="measurement-to-delete", width=160)
            st.html(prose.plain("Its figures go; the answers stay in the audit."))
            if st.button("Delete", key="delete-measurement"):
                library.forget_measurement(int(chosen))
                st.rerun()


main()
